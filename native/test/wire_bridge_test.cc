// SPDX-License-Identifier: BSD-2-Clause
// Two hosts (network namespaces) talk TCP through two wires and a bridge, as the kernel sends it by
// default: with checksums and segmentation left to a NIC that is not there.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

#include "engine/bridge.h"
#include "test/support/check.h"
#include "test/support/netns.h"
#include "test/support/wire.h"

using namespace vale;

namespace {

constexpr size_t kBytes = 8 << 20;

uint8_t byte_at(size_t i) { return static_cast<uint8_t>((i * 2654435761u) >> 13); }

// A host behind wire `near`: an interface eth0 with addresses .host in a namespace of its own.
bool join(const netns::Other& host, const std::string& near, const std::string& number) {
  const std::string in = "nsenter -t " + host.pid() + " -n ";
  return netns::run("ip link add " + near + " type veth peer name eth0 netns " + host.pid()) &&
         netns::run("ip link set " + near + " up && " + in + "ip link set eth0 up && " + in +
                    "ip addr add 10.7.0." + number + "/24 dev eth0 && " + in +
                    "ip addr add fd07::" + number + "/64 dev eth0 nodad");
}

// A TCP socket; to be made inside a namespace.
int tcp(const char* address, bool listens) {
  sockaddr_in6 six = {};
  sockaddr_in four = {};
  const bool v6 = inet_pton(AF_INET6, address, &six.sin6_addr) == 1;
  inet_pton(AF_INET, address, &four.sin_addr);
  four.sin_family = AF_INET;
  six.sin6_family = AF_INET6;
  four.sin_port = six.sin6_port = htons(5001);
  const sockaddr* to = v6 ? reinterpret_cast<sockaddr*>(&six) : reinterpret_cast<sockaddr*>(&four);
  const socklen_t bytes = v6 ? sizeof six : sizeof four;
  const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  const timeval limit = {10, 0};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const bool done =
      listens ? bind(fd, to, bytes) == 0 && listen(fd, 1) == 0 : connect(fd, to, bytes) == 0;
  if (done) return fd;
  std::printf("  %s %s: %s\n", listens ? "listen" : "connect", address, std::strerror(errno));
  close(fd);
  return -1;
}

// How many bytes arrive in order and unchanged.
size_t transfer(netns::Other& from, netns::Other& to, const char* address) {
  const int listener = to.inside([&] { return tcp(address, true); });
  if (listener < 0) return 0;
  size_t good = 0;
  std::thread receiver([&] {
    const int fd = accept(listener, nullptr, nullptr);
    std::vector<uint8_t> data(256 << 10);
    for (;;) {
      const ssize_t n = recv(fd, data.data(), data.size(), 0);
      if (n <= 0) break;
      for (ssize_t i = 0; i < n; i++) {
        if (data[static_cast<size_t>(i)] != byte_at(good)) {
          shutdown(fd, SHUT_RDWR);
          break;
        }
        good++;
      }
    }
    close(fd);
  });
  const int fd = from.inside([&] { return tcp(address, false); });
  if (fd >= 0) {
    std::vector<uint8_t> data(kBytes);
    for (size_t i = 0; i < kBytes; i++) data[i] = byte_at(i);
    for (size_t done = 0; done < kBytes;) {
      const ssize_t n = send(fd, data.data() + done, kBytes - done, MSG_NOSIGNAL);
      if (n <= 0) break;
      done += static_cast<size_t>(n);
    }
    close(fd);
  } else {
    shutdown(listener, SHUT_RDWR);
  }
  receiver.join();
  close(listener);
  return good;
}

}  // namespace

TEST(tcp_between_two_hosts) {
  const char* const why_not = netns::enter();
  if (why_not != nullptr) SKIP(why_not);
  netns::Other first, second;
  REQUIRE(join(first, "a0", "1") && join(second, "b0", "2"));
  auto a = wire::open("a0"), b = wire::open("b0");
  REQUIRE(a != nullptr && b != nullptr);
  std::unique_ptr<Engine> engine;
  CHECK_OK(start_bridge({}, a.get(), b.get(), nullptr, &engine));
  for (const char* address : {"10.7.0.2", "fd07::2"}) {
    CHECK_EQ(transfer(first, second, address), kBytes);
  }
  CHECK_EQ(transfer(second, first, "10.7.0.1"), kBytes);
  engine->stop();
  CHECK_OK(engine->join());
  for (const auto* port : {&a, &b}) {
    const PortCounters c = (*port)->counters();
    CHECK_EQ(c.tx_delivered, c.tx_frames);
    CHECK_EQ(c.drops[static_cast<unsigned>(Drop::too_big)], 0u);
    // All of it went in frames that a NIC could send.
    CHECK(c.rx_frames > kBytes / 1448);
  }
}
