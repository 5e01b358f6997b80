// SPDX-License-Identifier: BSD-2-Clause
// The runtime directory when it is full, foreign, damaged, planted or deleted: one clear line each, and
// never a signal; and whatever instant a process is killed at, nothing stays behind.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <functional>
#include <random>

#include "device/wait.h"
#include "shm/layout.h"
#include "support/check.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

uint64_t now_ms() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1000 + static_cast<uint64_t>(ts.tv_nsec) / 1000000;
}

constexpr int kNotPermitted = 77;

// Runs `body` in a process of its own. A crash is a failed check; kNotPermitted is returned.
int in_child(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    check::state().failed = false;
    body();
    std::fflush(nullptr);
    _exit(check::state().failed ? 1 : 0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) CHECK_EQ(strsignal(WTERMSIG(status)), "no signal");
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotPermitted) return kNotPermitted;
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return 0;
}

bool write_text(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY);
  const bool good =
      fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) close(fd);
  return good;
}

// A tmpfs with these options at `path`, in namespaces of this process alone.
void mount_tmpfs(const std::string& path, const char* options) {
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(kNotPermitted);
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
  write_text("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(kNotPermitted);
  if (mount("tmpfs", path.c_str(), "tmpfs", 0, options) != 0) _exit(kNotPermitted);
  chmod(path.c_str(), 0700);
}

struct Folder {  // an empty directory, gone at the end
  std::string path;
  Folder() {
    char name[] = "/dev/shm/vale-test-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() {
    const std::string command = "rm -rf " + path;
    if (std::system(command.c_str()) != 0) std::printf("  cannot remove %s\n", path.c_str());
  }
  std::string file(const char* name) const { return path + "/" + name; }
};

Status use(const std::string& dir, std::unique_ptr<Device>* device) {
  return open_user_device(dir.c_str(), device, nullptr);
}

// Opens the directory and two ports in it, and sends a frame between them.
Status try_everything(const std::string& dir, uint32_t slots = 0) {
  std::unique_ptr<Device> device;
  if (Status s = use(dir, &device); !s.ok()) return s;
  std::unique_ptr<Port> a, b;
  OpenRequest q;
  q.tx_slots = q.rx_slots = slots;
  q.name = "vale0:a";
  if (Status s = device->open(q, &a); !s.ok()) return s;
  q.name = "vale0:b";
  if (Status s = device->open(q, &b); !s.ok()) return s;
  netmap_ring* t = a->tx_ring(0);
  const std::string s = frame(kBroadcast, mac(1), 60, 1);
  std::memcpy(NETMAP_BUF(t, t->slot[0].buf_idx), s.data(), s.size());
  t->slot[0].len = 60;
  t->head = t->cur = 1;
  a->txsync();
  b->rxsync();
  std::vector<PortRow> ports;
  std::vector<SwitchRow> switches;
  if (Status e = device->list(&ports); !e.ok()) return e;
  return device->switches(&switches);
}

// One line that names the directory and says what to do.
void check_line(const Status& s, int err, const std::string& dir, const char* advice) {
  CHECK_EQ(s.err, err);
  CHECK(s.text.find(dir) != std::string::npos);
  CHECK(s.text.find('\n') == std::string::npos);
  CHECK(s.text.find(advice) != std::string::npos);
  if (check::state().failed) std::printf("  said: %s\n", s.text.c_str());
}

void set_byte(const std::string& file, off_t at,
              const std::function<unsigned char(unsigned char)>& change) {
  const int fd = open(file.c_str(), O_RDWR);
  unsigned char c = 0;
  if (pread(fd, &c, 1, at) != 1) c = 0;
  c = change(c);
  CHECK(pwrite(fd, &c, 1, at) == 1);
  close(fd);
}

}  // namespace

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

TEST(a_directory_deleted_under_running_ports) {
  for (int how = 0; how < 2; how++) {
    Folder folder;
    const std::string dir = folder.path + "/run";
    Fixture f(dir);
    auto busy = f.open("vale0:busy"), slow = f.open("vale0:slow"), asleep = f.open("vale0:asleep");
    const std::string command = how == 0 ? "rm -rf " + dir : "rm " + dir + "/control";
    CHECK(std::system(command.c_str()) == 0);
    const uint64_t deleted = now_ms();
    int err = 0;
    while (err == 0 && now_ms() < deleted + 3000) {
      err = busy->txsync();
      if (err == 0) err = busy->rxsync();
    }
    CHECK_EQ(err, ENODEV);
    CHECK(now_ms() < deleted + 2500);
    err = 0;
    while (err == 0 && now_ms() < deleted + 6000) {  // 40 syncs a second
      usleep(50'000);
      err = slow->txsync();
      if (err == 0) err = slow->rxsync();
    }
    CHECK_EQ(err, ENODEV);
    PortWait wait{asleep.get(), POLLIN};
    const uint64_t from = now_ms();
    CHECK_EQ(wait_ports(&wait, 1, 5000, 0, -1), 1);
    CHECK_EQ(wait.revents, POLLERR);
    CHECK(now_ms() < from + 2500);
    std::vector<PortRow> rows;
    check_line(f.device->list(&rows), ENODEV, dir, "start again");
    OpenRequest q;
    q.name = "vale0:new";
    std::unique_ptr<Port> port;
    check_line(f.device->open(q, &port), ENODEV, dir, "start again");
    // Whoever starts again finds it good, or is told why it is not.
    auto again = [&] {
      if (how == 0) CHECK_OK(try_everything(dir));
      if (how == 1) check_line(try_everything(dir), ENOTEMPTY, dir, "set VALE_DIR");
    };
    again();
    busy.reset();
    f.device.reset();
    CHECK_EQ(slow->counters().tx_frames, uint64_t{0});
    slow.reset();
    asleep.reset();
    again();
  }
}

TEST(a_process_that_holds_the_directory_is_named) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  const int fd = open((f.dir + "/lock").c_str(), O_RDWR | O_CLOEXEC);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  REQUIRE(fcntl(fd, F_OFD_SETLK, &lock) == 0);
  std::vector<PortRow> rows;
  check_line(f.device->list(&rows), EBUSY, f.dir, ("process " + std::to_string(getpid())).c_str());
  f.send(*a, frame(kBroadcast, mac(1), 60, 1));  // frames do not wait for it
  CHECK_EQ(f.receive(*b).size(), size_t{1});
  close(fd);
  CHECK_OK(f.device->list(&rows));
}

TEST(killed_anywhere_inside_open_and_close_nothing_stays_behind) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  std::vector<PortRow> rows;
  CHECK_OK(f.device->list(&rows));
  const auto files = f.files();
  const unsigned seed = static_cast<unsigned>(getpid());
  std::printf("  seed %u\n", seed);
  std::mt19937 random(seed);
  const char* wanted = getenv("VALE_KILLS");
  const int kills = wanted != nullptr ? atoi(wanted) : 300;
  for (int k = 0; k < kills; k++) {
    std::fflush(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
      std::unique_ptr<Device> device;
      if (!use(f.dir, &device).ok()) _exit(1);
      OpenRequest q;
      q.tx_slots = q.rx_slots = 64;
      for (uint32_t i = static_cast<uint32_t>(k);; i++) {
        std::unique_ptr<Port> port, shared;
        q.name = i % 2 ? "vale0:x" : "vale7:x";
        q.rx_rings = static_cast<uint16_t>(1 + i % 3);
        q.extra_bufs = i % 4 * 3;
        q.mem_id = i % 4 == 1 ? a->info().mem_id : 0;
        device->open(q, &port);
        q.name = "vale0:a";
        q.mem_id = 0;
        if (i % 3 == 0) device->open(q, &shared);
        if (i % 5 == 0) {
          PortInfo info;
          uint32_t index;
          q.name = "keep";
          device->create(q, &info);
          q.name = "vale0:keep";
          device->attach(q, &index);
          device->detach("vale0:keep", &index);
          device->remove("keep");
        }
      }
    }
    usleep(std::uniform_int_distribution<useconds_t>(500, 6000)(random));
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    if (k % 4 == 0) continue;  // the next one, too, may have to mend what this one left
    CHECK_OK(f.device->list(&rows));
    for (const PortRow& row : rows) {
      uint32_t index;
      if (row.name == "vale0:keep") CHECK_OK(f.device->detach(row.name, &index));
      if (row.name.find("keep") != std::string::npos) {
        CHECK_OK(f.device->remove("keep"));
      } else {
        CHECK(row.name == "vale0:a" || row.name == "vale0:b");
      }
    }
    CHECK_OK(f.device->list(&rows));
    CHECK_EQ(rows.size(), size_t{2});
    CHECK(f.files() == files);
    f.send(*a, frame(kBroadcast, mac(1), 60, static_cast<uint64_t>(k)));
    CHECK_EQ(f.receive(*b),
             std::vector<std::string>{frame(kBroadcast, mac(1), 60, static_cast<uint64_t>(k))});
    if (check::state().failed) {
      std::printf("  after kill %d\n", k);
      for (const std::string& name : f.files()) std::printf("  %s\n", name.c_str());
      return;
    }
  }
  // No buffer of the shared region was lost or is in two places: what is left can all be had.
  OpenRequest q;
  q.mem_id = a->info().mem_id;
  q.extra_bufs = 500'000;
  q.tx_slots = q.rx_slots = 64;
  auto rest = f.open("vale0:rest", q);
  const uint32_t first = rest->info().extra_bufs;
  rest.reset();
  Fixture fresh;
  auto whole = fresh.open("vale0:a");
  q.mem_id = whole->info().mem_id;
  CHECK_EQ(first, fresh.open("vale0:rest", q)->info().extra_bufs);
}

TEST(ten_thousand_openings_leave_nothing) {
  Fixture f;
  OpenRequest small;
  small.tx_slots = small.rx_slots =
      32;  // all of its buffers are touched before anything is measured
  auto peer = f.open("vale0:peer", small);
  auto resident = [] {
    long size = 0, pages = 0;
    FILE* s = fopen("/proc/self/statm", "r");
    if (s == nullptr || fscanf(s, "%ld %ld", &size, &pages) != 2) pages = 0;
    if (s != nullptr) fclose(s);
    return pages;
  };
  auto descriptors = [] {
    int n = 0;
    DIR* d = opendir("/proc/self/fd");
    while (readdir(d) != nullptr) n++;
    closedir(d);
    return n;
  };
  auto cycle = [&](int i) {
    auto p = f.open(i % 2 ? "vale0:p" : "vale1:p", small);
    f.send(*p, frame(kBroadcast, mac(2), 60, 1));
    f.receive(*peer);
  };
  for (int i = 0; i < 500; i++) cycle(i);
  const long pages = resident();
  const int open_files = descriptors();
  const auto files = f.files();
  auto blocks = [&] {
    int64_t sum = 0;
    for (const std::string& name : f.files()) {
      struct stat st;
      if (stat((f.dir + "/" + name).c_str(), &st) == 0) sum += st.st_blocks;
    }
    return sum;
  };
  const int64_t used = blocks();
#if defined(VALE_ASAN) || defined(VALE_TSAN)
  for (int i = 0; i < 500; i++) cycle(i);  // the sanitizer's own memory grows
#else
  for (int i = 0; i < 10'000; i++) cycle(i);
  if (resident() > pages + 64) CHECK_EQ(resident(), pages);
#endif
  CHECK_EQ(pages > 0, true);
  CHECK_EQ(descriptors(), open_files);
  CHECK(f.files() == files);
  CHECK_EQ(blocks(), used);
}
