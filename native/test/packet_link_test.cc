// SPDX-License-Identifier: BSD-2-Clause
// A wire over time: nobody reads, the driver is full, the link goes down, the interface goes away.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <fstream>
#include <string>
#include <thread>

#include "test/support/check.h"
#include "test/support/wire.h"

using namespace vale;
using wire::drops;
using wire::Frame;
using wire::read_all;
using wire::Veth;

TEST(what_nobody_reads_is_counted) {
  NEED_NAMESPACES();
  Veth veth;
  auto a = wire::open("v0", NR_TX_RINGS_ONLY), b = wire::open("v1");
  REQUIRE(a != nullptr && b != nullptr);
  const Frame frame = wire::make_frame(60, 8);
  const unsigned total = 20000;
  for (unsigned sent = 0; sent < total;) {
    if (wire::put(*a, frame)) {
      sent++;
    } else {
      CHECK_EQ(a->txsync(), 0);
      std::this_thread::yield();
    }
  }
  CHECK_EQ(a->txsync(), 0);
  while (!wire::next(*b).empty()) continue;
  b->rxsync();
  const PortCounters c = b->counters();
  CHECK(c.drops[static_cast<unsigned>(Drop::ring_full)] > 0);
  CHECK(c.rx_frames + c.drops[static_cast<unsigned>(Drop::ring_full)] >= total);
  CHECK_EQ(c.rx_read, c.rx_frames);
}

TEST(a_full_driver_holds_frames_back_and_loses_none) {
  NEED_NAMESPACES();
  const int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (tap < 0) SKIP("needs /dev/net/tun");
  ifreq request = {};
  std::strcpy(request.ifr_name, "t0");
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  const bool made = ioctl(tap, TUNSETIFF, &request) == 0;
  if (!made) close(tap);
  REQUIRE(made && netns::run("ip link set t0 txqueuelen 100 up"));
  auto port = wire::open("t0", NR_TX_RINGS_ONLY);
  REQUIRE(port != nullptr);
  const unsigned total = 5000;
  unsigned sent = 0, received = 0, waits = 0;
  std::vector<uint8_t> buffer(2048);
  for (int turn = 0; turn < 10000 && received < total; turn++) {
    while (sent < total && wire::put(*port, wire::make_frame(60, sent))) sent++;
    port->tx_ring(0)->cur = port->tx_ring(0)->tail;
    PortWait wait = {port.get(), POLLOUT};
    if (wait_ports(&wait, 1, 2, 0, -1) == 0) waits++;
    if (turn % 2 == 0) continue;
    for (;;) {
      const ssize_t n = read(tap, buffer.data(), buffer.size());
      if (n <= 0) break;
      if (wire::u16(buffer, 12) != wire::kTestType) continue;  // the stack's own
      buffer.resize(static_cast<size_t>(n));
      if (buffer != wire::make_frame(60, received)) break;
      received++;
      buffer.resize(2048);
    }
  }
  close(tap);
  CHECK_EQ(received, total);
  CHECK(waits > 0);
  CHECK_EQ(port->counters().tx_delivered, total);
}

TEST(a_sleeper_wakes_for_a_frame_and_not_otherwise) {
  NEED_NAMESPACES();
  Veth veth;
  auto a = wire::open("v0"), b = wire::open("v1");
  REQUIRE(a != nullptr && b != nullptr);
  std::thread sender([&a] {
    usleep(50'000);
    wire::put(*a, wire::make_frame(60, 9));
    a->txsync();
  });
  const Frame got = wire::next(*b);
  sender.join();
  CHECK(got == wire::make_frame(60, 9));

  while (!wire::take(*b).empty()) continue;
  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  PortWait wait = {b.get(), POLLIN};
  while (wait_ports(&wait, 1, 200, 0, -1) != 0) {  // a late frame of the stack's own
    while (!wire::take(*b).empty()) continue;
  }
  getrusage(RUSAGE_SELF, &after);
  CHECK((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec -
            before.ru_utime.tv_usec <
        100'000);
}

namespace {

// Descriptors in the epoll set, of which one is a timer.
int in_set(int set) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(set));
  int count = 0;
  for (std::string line; std::getline(info, line);) count += line.rfind("tfd:", 0) == 0 ? 1 : 0;
  return count;
}

}  // namespace

// There it would be told of every frame that is sent.
TEST(a_socket_that_sends_is_waited_for_only_in_sleep) {
  NEED_NAMESPACES();
  Veth veth;
  auto a = wire::open("v0");
  REQUIRE(a != nullptr);
  CHECK(in_set(a->fd()) == 1);
  a->arm(POLLIN);
  CHECK(in_set(a->fd()) == 2);
  a->disarm();
  CHECK(in_set(a->fd()) == 1);
  PortWait wait = {a.get(), POLLIN};
  wait_ports(&wait, 1, 10, 0, -1);
  CHECK(in_set(a->fd()) == 1);
}

TEST(the_interface_may_go_down_and_come_back) {
  NEED_NAMESPACES();
  Veth veth;
  auto a = wire::open("v0"), b = wire::open("v1");
  REQUIRE(a != nullptr && b != nullptr);
  const Frame frame = wire::make_frame(60, 10);
  REQUIRE(netns::run("ip link set v0 down"));
  PortWait wait = {a.get(), POLLIN};
  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  read_all(*a);
  CHECK_EQ(wait_ports(&wait, 1, 50, 0, -1), 0);
  REQUIRE(wire::put(*a, frame));
  CHECK_EQ(a->txsync(), 0);
  CHECK_EQ(a->rxsync(), 0);
  CHECK_EQ(drops(*a, Drop::link_down), 1u);
  REQUIRE(wire::put(*b, frame));  // up, but without carrier
  CHECK_EQ(b->txsync(), 0);
  CHECK_EQ(drops(*b, Drop::link_down), 1u);
  CHECK_EQ(wait_ports(&wait, 1, 200, 0, -1), 0);  // one wake-up to look, then sleep
  getrusage(RUSAGE_SELF, &after);
  CHECK(after.ru_nvcsw - before.ru_nvcsw < 50);

  REQUIRE(netns::run("ip link set v0 up"));
  REQUIRE(wire::put(*a, frame) && wire::put(*b, frame));
  CHECK_EQ(a->txsync() + b->txsync(), 0);
  CHECK(wire::next(*b) == frame);
  CHECK(wire::next(*a) == frame);
}

TEST(a_removed_interface_is_reported) {
  NEED_NAMESPACES();
  Veth veth;
  auto a = wire::open("v0"), b = wire::open("v1");
  REQUIRE(a != nullptr && b != nullptr);
  std::thread remover([] {
    usleep(50'000);
    netns::run("ip link del v0");
  });
  int error = 0;
  for (int i = 0; i < 20 && error == 0; i++) {
    PortWait wait = {a.get(), POLLIN};
    wait_ports(&wait, 1, 500, 0, -1);
    while (!wire::take(*a).empty()) continue;
    error = a->rxsync();
  }
  remover.join();
  CHECK_EQ(error, ENODEV);
  CHECK_EQ(a->txsync(), ENODEV);
  REQUIRE(wire::put(*b, wire::make_frame(60, 11)));
  CHECK_EQ(b->txsync(), ENODEV);
  CHECK_EQ(drops(*b, Drop::link_down), 1u);
}
