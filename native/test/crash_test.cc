// SPDX-License-Identifier: BSD-2-Clause
// Processes killed at random instants under load. VALE_KILLS sets how many (default 40).
//
// One flow (S → R) must lose, repeat and reorder nothing while other processes that send to R, receive
// from S's switch or only hold descriptors are killed. Every frame carries who, number and a pattern.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>

#include <atomic>
#include <random>
#include <set>

#include "device/wait.h"
#include "support/check.h"
#include "support/child.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

constexpr uint32_t kSenders = 4096;  // incarnations that may ever send
constexpr uint32_t kWindow = 128;    // frames a sender may have on the way

struct Board {  // shared by all processes of the test
  std::atomic<bool> stop;
  std::atomic<uint64_t> sent[kSenders], got[kSenders];
  std::atomic<uint64_t> wrong_order, wrong_bytes, lost, longest_wait_ms;
};

uint64_t now_ms() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1000 + static_cast<uint64_t>(ts.tv_nsec) / 1000000;
}

Board* make_board() {
  void* m = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return static_cast<Board*>(m);  // zeros are its initial state
}

std::string numbered(const std::string& to, uint32_t who, uint64_t number) {
  std::string s = frame(to, mac(1000 + who), 64 + number % 700, number * 8191 + who);
  std::memcpy(s.data() + 14, &who, 4);
  std::memcpy(s.data() + 18, &number, 8);
  return s;
}

std::unique_ptr<Port> open_here(const std::string& dir, const char* name,
                                std::unique_ptr<Device>* device) {
  OpenRequest q;
  q.name = name;
  q.tx_slots = q.rx_slots = 2048;
  return open_in_child(dir, q, device);
}

// Sends to R as fast as the window allows, in bursts of changing length.
[[noreturn]] void run_sender(const std::string& dir, Board* b, uint32_t who, const char* name) {
  std::unique_ptr<Device> device;
  auto port = open_here(dir, name, &device);
  uint64_t number = 0;
  unsigned waits = 0;
  while (!b->stop) {
    const uint64_t away = number - b->got[who].load();
    const uint64_t room = away < kWindow ? kWindow - away : 0;
    // Every other incarnation sends one frame a sync.
    const uint64_t most = who % 2 == 1 ? 1 : 1 + number % 61;
    const uint64_t burst = std::min<uint64_t>(room, most) + (waits >= 4999);
    // Frames may be lost with a count (peer_stalled, on a crowded machine): go on after a while.
    if (burst == 0 && ++waits < 5000) {
      usleep(20);
      continue;
    }
    waits = 0;
    netmap_ring* r = port->tx_ring(0);
    for (uint64_t i = 0; i < burst; i++) {
      const std::string s = numbered(mac(1), who, number++);
      netmap_slot& slot = r->slot[r->head];
      std::memcpy(NETMAP_BUF(r, slot.buf_idx), s.data(), s.size());
      slot.len = static_cast<uint16_t>(s.size());
      slot.flags = 0;
      r->head = r->cur = r->head + 1 == r->num_slots ? 0 : r->head + 1;
    }
    b->sent[who] = number;
    port->txsync();
  }
  _exit(0);
}

// Receives what is for R, and checks it; sleeps when there is nothing.
[[noreturn]] void run_receiver(const std::string& dir, Board* b) {
  std::unique_ptr<Device> device;
  auto port = open_here(dir, "vale0:r", &device);
  const std::string hello = frame(kBroadcast, mac(1), 60, 0);
  netmap_ring* t = port->tx_ring(0);
  std::memcpy(NETMAP_BUF(t, t->slot[0].buf_idx), hello.data(), 60);
  t->slot[0].len = 60;
  t->head = t->cur = 1;
  port->txsync();
  std::vector<uint64_t> next(kSenders);
  b->got[0] = 0;
  PortWait wait{port.get(), POLLIN};
  while (!b->stop) {
    const uint64_t from = now_ms();
    wait_ports(&wait, 1, 3000, 0, -1);
    const uint64_t waited = now_ms() - from;
    if (waited > b->longest_wait_ms && !b->stop) b->longest_wait_ms = waited;
    netmap_ring* r = port->rx_ring(0);
    uint32_t head = r->head;
    for (; head != r->tail; head = head + 1 == r->num_slots ? 0 : head + 1) {
      const netmap_slot& slot = r->slot[head];
      const char* p = NETMAP_BUF(r, slot.buf_idx);
      uint32_t who;
      uint64_t number;
      std::memcpy(&who, p + 14, 4);
      std::memcpy(&number, p + 18, 8);
      if (std::string(p, 6) != mac(1)) continue;
      if (who >= kSenders) {
        b->wrong_bytes++;
        continue;
      }
      const std::string expected = numbered(mac(1), who, number);
      if (slot.len != expected.size() || expected.compare(0, std::string::npos, p, slot.len) != 0)
        b->wrong_bytes++;
      if (number < next[who]) b->wrong_order++;
      if (who == 0) b->lost += number - next[who];
      next[who] = number + 1;
      b->got[who] = number + 1;
    }
    r->head = r->cur = head;
  }
  _exit(0);
}

// Opens a port and reads nothing: its ring fills.
[[noreturn]] void run_deaf(const std::string& dir, Board* b, const char* name) {
  std::unique_ptr<Device> device;
  auto port = open_here(dir, name, &device);
  while (!b->stop) usleep(1000);
  _exit(0);
}

bool listed(Device& d, const std::string& name) {
  std::vector<PortRow> rows;
  if (const Status s = d.list(&rows); !s.ok()) {
    std::printf("  %s\n", s.text.c_str());
    return true;
  }
  for (const PortRow& r : rows) {
    if (r.name == name) return true;
  }
  return false;
}

uint64_t blocks(const std::string& dir) {
  uint64_t sum = 0;
  DIR* d = opendir(dir.c_str());
  while (const dirent* e = readdir(d)) {
    struct stat st;
    if (fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
      sum += static_cast<uint64_t>(st.st_blocks);
  }
  closedir(d);
  return sum;
}

unsigned kills_wanted() {
  const char* v = getenv("VALE_KILLS");
  return v != nullptr ? static_cast<unsigned>(atoi(v)) : 40;
}

}  // namespace

TEST(killed_senders_and_receivers_hurt_nobody) {
  Fixture f;
  Board* b = make_board();
  const pid_t receiver = spawn([&] { run_receiver(f.dir, b); });
  for (int i = 0; i < 3000 && !listed(*f.device, "vale0:r"); i++) usleep(1000);
  const pid_t sender = spawn([&] { run_sender(f.dir, b, 0, "vale0:s"); });
  for (int i = 0; i < 3000 && b->got[0] < 100; i++) usleep(1000);
  REQUIRE(b->got[0] >= 100);
  const auto files = f.files();
  const uint64_t used = blocks(f.dir);

  std::mt19937 random(getpid());
  const unsigned kills = std::min(kills_wanted(), kSenders - 2);
  for (unsigned k = 1; k <= kills; k++) {
    const uint64_t before = b->got[0];
    const pid_t deaf = k % 3 == 0 ? spawn([&] { run_deaf(f.dir, b, "vale0:deaf"); }) : 0;
    const bool holder = k % 5 == 0;
    int pipe_fd[2] = {-1, -1};
    if (holder && pipe(pipe_fd) != 0) std::abort();
    const pid_t victim = spawn([&] {
      if (!holder) run_sender(f.dir, b, k, "vale0:victim");
      // A child that inherits the descriptor keeps the port after its parent was killed.
      std::unique_ptr<Device> device;
      auto port = open_here(f.dir, "vale0:victim", &device);
      const pid_t child = fork();
      if (child == 0) {
        for (;;) pause();
      }
      if (write(pipe_fd[1], &child, sizeof child) != sizeof child) _exit(9);
      for (;;) {
        port->txsync();
        port->rxsync();
      }
    });
    if (holder) {
      pid_t child = 0;
      CHECK(read(pipe_fd[0], &child, sizeof child) == sizeof child);
      end(victim);
      CHECK(listed(*f.device, "vale0:victim"));
      kill(child, SIGKILL);
      for (int i = 0; i < 2000 && kill(child, 0) == 0 && listed(*f.device, "vale0:victim"); i++)
        usleep(1000);
      close(pipe_fd[0]);
      close(pipe_fd[1]);
    } else {
      usleep(std::uniform_int_distribution<useconds_t>(0, 12000)(random));
      end(victim);
    }
    if (deaf != 0) end(deaf);
    CHECK(!listed(*f.device, "vale0:victim"));
    CHECK(!listed(*f.device, "vale0:deaf"));
    for (int i = 0; i < 5000 && b->got[0] == before; i++) usleep(1000);
    REQUIRE(b->got[0] != before);
  }
  CHECK_EQ(f.files(), files);
  // The control file keeps the records it once needed.
  CHECK(blocks(f.dir) <= used + 1024);
  // Everything that was counted adds up, the dead included.
  std::vector<SwitchRow> rows;
  end(sender);
  CHECK(f.device->switches(&rows).ok());
  REQUIRE(rows.size() == 1);
  CHECK_EQ(b->wrong_order.load(), uint64_t{0});
  CHECK_EQ(b->wrong_bytes.load(), uint64_t{0});
  CHECK(b->longest_wait_ms < 2500);
  CHECK(b->lost <= rows[0].totals.drops[static_cast<unsigned>(Drop::peer_stalled)]);

  const PortCounters& t = rows[0].totals;
  uint64_t drops = 0;
  for (uint64_t d : t.drops) drops += d;
  CHECK_EQ(t.tx_copies, t.rx_frames + drops);
  std::printf("  %u kills; %llu frames of the flow, %llu copies, %llu dropped (%llu sender_died)\n",
              kills, static_cast<unsigned long long>(b->got[0].load()),
              static_cast<unsigned long long>(t.tx_copies), static_cast<unsigned long long>(drops),
              static_cast<unsigned long long>(t.drops[static_cast<unsigned>(Drop::sender_died)]));
  for (unsigned d = 0; d < kDropReasons; d++) {
    if (t.drops[d] != 0)
      std::printf("    %s %llu\n", kDropNames[d], static_cast<unsigned long long>(t.drops[d]));
  }
  b->stop = true;
  end(receiver);
  std::vector<PortRow> ports;
  CHECK(f.device->list(&ports).ok());
  CHECK_EQ(ports.size(), size_t{0});
}

TEST(a_stopped_process_stalls_nobody) {
  Fixture f;
  Board* b = make_board();
  const pid_t receiver = spawn([&] { run_receiver(f.dir, b); });
  for (int i = 0; i < 3000 && !listed(*f.device, "vale0:r"); i++) usleep(1000);
  const pid_t sender = spawn([&] { run_sender(f.dir, b, 0, "vale0:s"); });
  const pid_t victim = spawn([&] { run_sender(f.dir, b, 1, "vale0:victim"); });
  for (int i = 0; i < 3000 && (b->got[0] < 100 || b->got[1] < 100); i++) usleep(1000);
  for (int round = 0; round < 20; round++) {
    kill(victim, SIGSTOP);
    const uint64_t from = now_ms();
    std::vector<PortRow> rows;
    CHECK(f.device->list(&rows).ok());
    CHECK(now_ms() - from < 5000);
    usleep(5000);
    kill(victim, SIGCONT);
    usleep(2000);
  }
  const uint64_t before = b->got[1];
  for (int i = 0; i < 5000 && b->got[1] == before; i++) usleep(1000);
  CHECK(b->got[1] != before);
  b->stop = true;
  end(victim);
  end(sender);
  end(receiver);
}
