// SPDX-License-Identifier: BSD-2-Clause
// Sender and receiver on one processor: whoever cannot go on lets the other one run, so that more than a
// ring of frames gets through in each of the scheduler's turns.
#include <sched.h>

#include "device/wait.h"
#include "support/check.h"
#include "support/child.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

constexpr uint64_t kFrames = 100'000;  // to be received
constexpr uint32_t kBatch = 256;
// Of those sent. Where a sender gives way it is four of five, the rest of the batch that meets a full ring being
// lost; where it does not, one in forty, or one in four if there are eight rings to fill.
constexpr uint64_t kLeastPercent = 40;

struct Case {
  uint32_t ports = 1;    // that receive
  uint32_t spin_us = 0;  // for how long the receiver looks before it sleeps
  uint32_t header = 0;   // bytes of virtio-net header of those ports; the sender has none
};

// On the first processor that this process may use; what it starts stays there too.
bool stay_on_one() {
  cpu_set_t all, one;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return false;
  int cpu = 0;
  while (!CPU_ISSET(cpu, &all)) cpu++;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  return sched_setaffinity(0, sizeof one, &one) == 0;
}

[[noreturn]] void run_receiver(const std::string& dir, const Case& c, int ready) {
  Fixture f(dir);
  std::vector<std::unique_ptr<Port>> ports;
  std::vector<PortWait> waits;
  for (uint32_t i = 0; i < c.ports; i++) {
    ports.push_back(f.open("vale0:r" + std::to_string(i)));
    Port& port = *ports.back();
    if (c.header != 0 && !port.set_header_length(c.header).ok()) _exit(9);
    f.send(port, std::string(c.header, '\0') + frame(kBroadcast, mac(1 + i), 60, 0));
    waits.push_back({&port, POLLIN});
  }
  if (write(ready, "", 1) != 1) _exit(9);
  for (;;) {
    wait_ports(waits.data(), c.ports, 1000, c.spin_us, -1);
    for (auto& port : ports) port->rx_view(0).release(port->rx_view(0).tail());
  }
}

void share(const Case& c) {
  REQUIRE(stay_on_one());
  Fixture f;
  auto port = f.open("vale0:s");
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t receiver = spawn([&] { run_receiver(f.dir, c, ready[1]); });
  close(ready[1]);
  char byte;
  const bool there = read(ready[0], &byte, 1) == 1;
  close(ready[0]);
  CHECK(there);
  PortCounters now = port->counters();
  uint64_t number = 0;
  while (there && now.tx_delivered < kFrames && now.tx_copies < kFrames * 100 / kLeastPercent) {
    for (uint32_t i = 0; i < kBatch; i++, number++)
      f.put(*port, frame(mac(1 + static_cast<uint32_t>(number % c.ports)), mac(100), 60, 0));
    port->txsync();
    if (number % (64 * kBatch) == 0) now = port->counters();
  }
  std::printf("  %llu of %llu frames\n", static_cast<unsigned long long>(now.tx_delivered),
              static_cast<unsigned long long>(now.tx_copies));
  CHECK(now.tx_delivered >= kFrames);
  end(receiver);
}

}  // namespace

TEST(a_receiver_that_sleeps_gets_its_frames) { share({}); }
TEST(a_receiver_that_spins_gets_its_frames) { share({1, 50, 0}); }
TEST(receivers_that_frames_are_sorted_for_get_theirs) { share({8, 0, 0}); }
TEST(receivers_with_headers_of_their_own_get_theirs) { share({1, 0, 12}); }
