// SPDX-License-Identifier: BSD-2-Clause
// Either end of a pipe killed at random instants, again and again. VALE_KILLS sets how many (default 40).
// What the sender put on its ring arrives once, in order and whole, whoever continues it; what the
// receiver had not released yet is read again. Nothing stays behind.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <atomic>
#include <random>

#include "device/wait.h"
#include "support/check.h"
#include "support/child.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

struct Board {
  std::atomic<uint64_t> started, expected, wrong;
};

std::unique_ptr<Port> open_here(const std::string& dir, const char* name,
                                std::unique_ptr<Device>* device) {
  OpenRequest q;
  q.name = name;
  q.tx_slots = q.rx_slots = 256;
  return open_in_child(dir, q, device);
}

uint32_t before(const netmap_ring* r, uint32_t i) { return i == 0 ? r->num_slots - 1 : i - 1; }
uint32_t after(const netmap_ring* r, uint32_t i) { return i + 1 == r->num_slots ? 0 : i + 1; }

// Counts on from the frame in the last slot before head, which is that of whoever came before.
[[noreturn]] void run_sender(const std::string& dir, Board* b) {
  std::unique_ptr<Device> device;
  auto port = open_here(dir, "vale0:p{1", &device);
  netmap_ring* r = port->tx_ring(0);
  uint64_t number = 0;
  if (b->started.fetch_add(1) != 0)
    std::memcpy(&number, NETMAP_BUF(r, r->slot[before(r, r->head)].buf_idx), sizeof number);
  PortWait wait{port.get(), POLLOUT};
  for (;;) {
    if (r->head == r->tail) wait_ports(&wait, 1, 1000, 0, -1);
    for (uint64_t burst = 1 + number % 97; burst > 0 && r->head != r->tail; burst--) {
      number++;
      netmap_slot& slot = r->slot[r->head];
      char* p = NETMAP_BUF(r, slot.buf_idx);
      for (size_t i = 0; i < 8; i++) std::memcpy(p + 8 * i, &number, sizeof number);
      slot.len = 64;
      slot.flags = 0;
      r->cur = r->head = after(r, r->head);
    }
    port->txsync();
  }
}

[[noreturn]] void run_receiver(const std::string& dir, Board* b) {
  std::unique_ptr<Device> device;
  auto port = open_here(dir, "vale0:p}1", &device);
  netmap_ring* r = port->rx_ring(0);
  PortWait wait{port.get(), POLLIN};
  bool again = true;  // frames that were read but not released come again after a death
  for (;;) {
    wait_ports(&wait, 1, 1000, 0, -1);
    while (r->head != r->tail) {
      const netmap_slot& slot = r->slot[r->head];
      uint64_t number[8];
      std::memcpy(number, NETMAP_BUF(r, slot.buf_idx), sizeof number);
      const uint64_t expected = b->expected.load();
      const bool whole = slot.len == 64 && number[0] == number[7] && number[0] == number[3];
      if (number[0] == expected) again = false;
      if (!whole || (number[0] != expected && !(again && number[0] < expected))) b->wrong++;
      if (number[0] >= expected) b->expected = number[0] + 1;
      r->cur = r->head = after(r, r->head);
    }
    port->rxsync();
  }
}

}  // namespace

TEST(either_end_killed_costs_the_other_nothing) {
  Fixture f;
  { auto warm = f.open("vale0:warm{1"); }
  const auto files = f.files();
  void* m = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* b = static_cast<Board*>(m);
  b->expected = 1;
  // The pipe lives as long as one end is open.
  auto holder = spawn([&] {
    std::unique_ptr<Device> device;
    OpenRequest q;
    auto keep = open_here(f.dir, "vale0:p{1", &device);
    for (;;) pause();
  });
  std::vector<PortRow> rows;
  for (int i = 0; i < 3000 && rows.empty(); i++) {
    usleep(1000);
    CHECK_OK(f.device->list(&rows));
  }
  pid_t sender = spawn([&] { run_sender(f.dir, b); });
  pid_t receiver = spawn([&] { run_receiver(f.dir, b); });
  const char* v = getenv("VALE_KILLS");
  const int kills = v != nullptr ? atoi(v) : 40;
  std::mt19937 random(static_cast<unsigned>(getpid()));
  for (int k = 0; k < kills; k++) {
    const uint64_t was = b->expected;
    for (int i = 0; i < 5000 && b->expected == was; i++) usleep(1000);
    REQUIRE(b->expected != was);
    usleep(std::uniform_int_distribution<useconds_t>(0, 9000)(random));
    if (k % 2 == 0) {
      end(sender);
      sender = spawn([&] { run_sender(f.dir, b); });
    } else {
      end(receiver);
      receiver = spawn([&] { run_receiver(f.dir, b); });
    }
    CHECK_OK(f.device->list(&rows));
  }
  end(sender);
  for (int i = 0; i < 100; i++) usleep(1000);
  CHECK_EQ(b->wrong.load(), uint64_t{0});
  CHECK_OK(f.device->list(&rows));
  REQUIRE(rows.size() == 3);
  const PortCounters &t = rows[1].counters, &r = rows[2].counters;
  CHECK_EQ(t.tx_frames, r.rx_frames);
  CHECK_EQ(r.rx_read, r.rx_frames);
  CHECK_EQ(r.rx_bytes, r.rx_frames * 64);
  std::printf("  %d kills, %llu frames\n", kills, static_cast<unsigned long long>(r.rx_frames));
  end(receiver);
  end(holder);
  CHECK_OK(f.device->list(&rows));
  CHECK(rows.empty());
  CHECK_EQ(f.files(), files);
  munmap(m, sizeof(Board));
}

// Opens and closes both ends in a loop until it is killed.
TEST(killed_while_opening_and_closing) {
  Fixture f;
  { auto warm = f.open("vale0:warm{1"); }
  const auto files = f.files();
  std::mt19937 random(static_cast<unsigned>(getpid()));
  for (int k = 0; k < 60; k++) {
    const pid_t victim = spawn([&] {
      std::unique_ptr<Device> device;
      for (;;) {
        auto a = open_here(f.dir, "hidden{1", &device);
        std::unique_ptr<Device> other;
        auto b = open_here(f.dir, "hidden}1", &other);
      }
    });
    usleep(std::uniform_int_distribution<useconds_t>(1000, 9000)(random));
    end(victim);
    std::vector<PortRow> rows;
    CHECK_OK(f.device->list(&rows));
    CHECK(rows.empty());
    CHECK_EQ(f.files(), files);
  }
}
