// SPDX-License-Identifier: BSD-2-Clause
// A runtime directory in use: deleted, held by somebody, its users killed at any instant. Nothing stays
// behind.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <random>

#include "device/wait.h"
#include "support/directory.h"

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
