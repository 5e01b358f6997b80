// SPDX-License-Identifier: BSD-2-Clause
// The runtime directory when it is full, foreign, damaged or planted: one clear line each, and never a
// signal.
#include "support/directory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <random>

#include "shm/layout.h"

TEST(a_file_system_too_small_is_an_error_that_says_how_much_is_missing) {
  Folder f;
  const int result = in_child([&] {
    mount_tmpfs(f.path, "size=64k");
    bool done = false;
    for (uint32_t kib = 64; kib <= 24 * 1024 && !done; kib += kib / 2) {
      const std::string size = "size=" + std::to_string(kib) + "k";
      CHECK(mount("tmpfs", f.path.c_str(), "tmpfs", MS_REMOUNT, size.c_str()) == 0);
      const Status s = try_everything(f.path);
      done = s.ok();
      if (done) break;
      check_line(s, ENOMEM, f.path, "bytes needed");
      check_line(s, ENOMEM, f.path, " free;");
      // What was refused holds nothing.
      std::unique_ptr<Device> device;
      std::vector<PortRow> rows;
      if (use(f.path, &device).ok()) {
        const Status listed = device->list(&rows);
        if (listed.ok()) CHECK_EQ(rows.size(), size_t{0});
      }
    }
    CHECK(done);
  });
  if (result == kNotPermitted) SKIP("mounting a tmpfs in a user namespace is not permitted here");
}

TEST(a_file_system_that_fills_up_does_not_hurt_running_ports) {
  Folder folder;
  const int result = in_child([&] {
    mount_tmpfs(folder.path, "size=32m");
    Fixture f(folder.path);
    auto a = f.open("vale0:a"), b = f.open("vale0:b");
    const int fill = open(folder.file("fill").c_str(), O_CREAT | O_WRONLY, 0600);
    std::vector<char> block(65536, 'x');
    while (write(fill, block.data(), block.size()) > 0) {
    }
    for (size_t n = 4096; n >= 1; n /= 2) {
      while (write(fill, block.data(), n) > 0) {
      }
    }
    for (int i = 0; i < 3000; i++) {
      f.send(*a, frame(kBroadcast, mac(1 + static_cast<uint32_t>(i)), 60 + i % 1400, i));
      CHECK_EQ(f.receive(*b).size(), size_t{1});
    }
    std::vector<PortRow> rows;
    CHECK_OK(f.device->list(&rows));
    CHECK_EQ(rows.size(), size_t{2});
    OpenRequest q;
    q.name = "vale0:c";
    std::unique_ptr<Port> c;
    check_line(f.device->open(q, &c), ENOMEM, folder.path, "bytes needed");
    q.name = "vale9:c";
    check_line(f.device->open(q, &c), ENOMEM, folder.path, "bytes needed");
    CHECK_OK(f.device->list(&rows));
    CHECK_EQ(rows.size(), size_t{2});
    close(fill);
    unlink(folder.file("fill").c_str());
    c = f.open("vale0:c");
    f.send(*a, frame(kBroadcast, mac(1), 60, 1));
    CHECK_EQ(f.receive(*c).size(), size_t{1});
  });
  if (result == kNotPermitted) SKIP("mounting a tmpfs in a user namespace is not permitted here");
}

TEST(a_file_system_without_inodes_is_one_line) {
  Folder f;
  const int result = in_child([&] {
    mount_tmpfs(f.path, "size=64m,nr_inodes=2");
    bool done = false;
    for (int inodes = 2; inodes < 30 && !done; inodes++) {
      const std::string options = "nr_inodes=" + std::to_string(inodes);
      CHECK(mount("tmpfs", f.path.c_str(), "tmpfs", MS_REMOUNT, options.c_str()) == 0);
      const Status s = try_everything(f.path);
      done = s.ok();
      if (!done) check_line(s, ENOSPC, f.path, "set VALE_DIR");
    }
    CHECK(done);
  });
  if (result == kNotPermitted) SKIP("mounting a tmpfs in a user namespace is not permitted here");
}

TEST(a_read_only_directory) {
  Folder f;
  const int result = in_child([&] {
    mount_tmpfs(f.path, "size=16m");
    CHECK(mount("tmpfs", f.path.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0);
    check_line(try_everything(f.path), EROFS, f.path, "set VALE_DIR");
    check_line(try_everything(f.path + "/deeper"), EROFS, f.path, "set VALE_DIR");
    CHECK(mount("tmpfs", f.path.c_str(), "tmpfs", MS_REMOUNT, "") == 0);
    CHECK_OK(try_everything(f.path));
    CHECK(mount("tmpfs", f.path.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0);
    check_line(try_everything(f.path), EROFS, f.path, "set VALE_DIR");
  });
  if (result == kNotPermitted) SKIP("mounting a tmpfs in a user namespace is not permitted here");
}

TEST(a_directory_of_another_user) {
  if (geteuid() != 0) {
    check_line(try_everything("/usr"), EPERM, "/usr", "set VALE_DIR");
    return;
  }
  Folder f;
  chmod(f.path.c_str(), 0755);
  in_child([&] {
    if (setgid(65534) != 0 || setuid(65534) != 0) std::abort();
    check_line(try_everything(f.path), EPERM, f.path, "belongs to user 0");
    check_line(try_everything(f.path), EPERM, f.path, "set VALE_DIR");
  });
}

TEST(a_directory_that_may_not_be_entered) {
  if (geteuid() == 0) SKIP("root may enter every directory");
  Folder f;
  chmod(f.path.c_str(), 0);
  check_line(try_everything(f.path), EACCES, f.path, "set VALE_DIR");
  check_line(try_everything(f.path + "/deeper"), EACCES, f.path, "set VALE_DIR");
  chmod(f.path.c_str(), 0700);
}

// For a moment, say by a chmod of more than was meant: nothing in it is left unusable.
TEST(a_directory_that_its_owner_may_not_write) {
  Folder f;
  const uid_t other = 65534;
  if (geteuid() == 0) CHECK(chown(f.path.c_str(), other, other) == 0);
  const int result = in_child([&] {
    if (geteuid() == 0 && (setgid(other) != 0 || setuid(other) != 0)) std::abort();
    CHECK_OK(try_everything(f.path));
    chmod(f.path.c_str(), 0500);
    check_line(try_everything(f.path), EACCES, f.path,
               ("(mode 0500); run: chmod 700 " + f.path).c_str());
    chmod(f.path.c_str(), 0700);
    CHECK_OK(try_everything(f.path));
  });
  CHECK_EQ(result, 0);
}

TEST(a_directory_that_holds_something_else) {
  Folder f;
  close(open(f.file("thesis.txt").c_str(), O_CREAT | O_WRONLY, 0600));
  check_line(try_everything(f.path), ENOTEMPTY, f.path, "thesis.txt");
  check_line(try_everything(f.path), ENOTEMPTY, f.path, "set VALE_DIR");
}

TEST(a_directory_that_everybody_may_write) {
  Folder f;
  chmod(f.path.c_str(), 0777);
  check_line(try_everything(f.path), EPERM, f.path, ("chmod 700 " + f.path).c_str());
  chmod(f.path.c_str(), 01777);  // as /tmp, which is not to be changed for this
  check_line(try_everything(f.path), EPERM, f.path, "set VALE_DIR");
}

TEST(a_file_where_the_directory_should_be) {
  Folder f;
  close(open(f.file("x").c_str(), O_CREAT | O_WRONLY, 0600));
  check_line(try_everything(f.file("x")), EPERM, f.file("x"), "set VALE_DIR");
}

TEST(planted_symbolic_links_are_not_followed) {
  Folder f, elsewhere;
  CHECK(symlink(elsewhere.path.c_str(), f.file("link").c_str()) == 0);
  check_line(try_everything(f.file("link")), EPERM, f.file("link"), "symbolic link");
  const std::string target = elsewhere.file("target");
  for (const char* name : {"control", "lock"}) {
    Folder planted;
    CHECK(symlink(target.c_str(), planted.file(name).c_str()) == 0);
    const Status s = try_everything(planted.path);
    check_line(s, EPERM, planted.file(name), "symbolic link");
    check_line(s, EPERM, planted.path, "remove it");
    CHECK(access(target.c_str(), F_OK) != 0);
  }
  // Names that will be needed: taken over, the target untouched.
  Folder guessed;
  { Fixture f2(guessed.path); }  // makes the control file
  for (const char* name :
       {"control.new", "p0.1", "m0.1", "b0.1", "s0.1", "m0.2", "m0.3", "m0.4", "b0.4", "s0.2"}) {
    CHECK(symlink(target.c_str(), guessed.file(name).c_str()) == 0);
  }
  CHECK_OK(try_everything(guessed.path));
  CHECK(access(target.c_str(), F_OK) != 0);
}

TEST(something_else_under_the_names_of_our_files) {
  for (const char* name : {"control", "lock"}) {
    Folder f;
    mkdir(f.file(name).c_str(), 0700);
    check_line(try_everything(f.path), EISDIR, f.path, "remove it");
  }
  Folder f;
  mkfifo(f.file("control").c_str(), 0600);
  check_line(try_everything(f.path), EUCLEAN, f.path, "rm -r");
}

TEST(a_control_file_overwritten_under_running_ports) {
  for (const off_t from : {off_t{0}, off_t{24}, off_t{112}, off_t{128}, off_t{512}}) {
    Folder folder;
    Fixture f(folder.path);
    auto a = f.open("vale0:a"), b = f.open("vale0:b");
    for (off_t i = from; i < from + 128; i++)
      set_byte(folder.file("control"), i, [](unsigned char) { return '\xff'; });
    f.send(*a, frame(kBroadcast, mac(1), 60, 1));
    CHECK_EQ(f.receive(*b).size(), size_t{1});
    if (from == 512) continue;  // nothing is there
    OpenRequest q;
    q.name = "vale0:c";
    std::unique_ptr<Port> c;
    check_line(f.device->open(q, &c), EUCLEAN, folder.path, "rm -r");
  }
}

TEST(another_layout_or_a_damaged_control_file) {
  Folder f;
  CHECK_OK(try_everything(f.path));
  const std::string control = f.file("control");
  set_byte(control, offsetof(Header, version),
           [](unsigned char c) { return static_cast<unsigned char>(c + 1); });
  check_line(try_everything(f.path), EPROTO, f.path, "rm -r");
  check_line(try_everything(f.path), EPROTO, f.path, "another version");
  set_byte(control, offsetof(Header, version),
           [](unsigned char c) { return static_cast<unsigned char>(c - 1); });
  CHECK_OK(try_everything(f.path));
  struct stat st;
  CHECK(stat(control.c_str(), &st) == 0);
  for (off_t size :
       {st.st_size - 1, st.st_size / 2, off_t{8192}, off_t{4096}, off_t{100}, off_t{8}, off_t{0}}) {
    CHECK(truncate(control.c_str(), size) == 0);
    check_line(try_everything(f.path), EUCLEAN, f.path, "rm -r");
  }
  CHECK(truncate(control.c_str(), st.st_size) == 0);  // zeros
  check_line(try_everything(f.path), EUCLEAN, f.path, "rm -r");
  std::mt19937 random(1);
  for (off_t i = 0; i < 4096; i++) {
    set_byte(control, i, [&](unsigned char) { return static_cast<unsigned char>(random()); });
  }
  check_line(try_everything(f.path), EUCLEAN, f.path, "rm -r");
  unlink(control.c_str());
  CHECK_OK(try_everything(f.path));
}

TEST(any_byte_of_the_header_may_be_wrong) {
  Folder f;
  CHECK_OK(try_everything(f.path, 16));
  const std::string control = f.file("control");
  auto* at = static_cast<off_t*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::vector<unsigned char> header(sizeof(Header));
  const int fd = open(control.c_str(), O_RDWR);
  REQUIRE(pread(fd, header.data(), header.size(), 0) == static_cast<ssize_t>(header.size()));
  const off_t end = offsetof(Header, retire) + sizeof(Retire);
  for (off_t from = 0; from < end; from += 64) {
    in_child([&] {
      for (*at = from; *at < std::min(from + 64, end); ++*at) {
        for (int how : {0xff, 0x01}) {
          CHECK(pwrite(fd, header.data(), header.size(), 0) == static_cast<ssize_t>(header.size()));
          set_byte(control, *at,
                   [&](unsigned char c) { return static_cast<unsigned char>(c ^ how); });
          const Status s = try_everything(f.path, 16);
          if (!s.ok()) CHECK(!s.text.empty() && s.text.find('\n') == std::string::npos);
        }
      }
    });
    if (check::state().failed) {
      std::printf("  at byte %lld\n", static_cast<long long>(*at));
      break;
    }
  }
  close(fd);
}
