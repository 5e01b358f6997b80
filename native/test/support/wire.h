// SPDX-License-Identifier: BSD-2-Clause
// Wires to test: a veth pair, sending and receiving whole frames through a Port, and an independent
// look at their checksums.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <time.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "device/wait.h"
#include "device/wire.h"
#include "test/support/netns.h"

#define NEED_NAMESPACES()                       \
  do {                                          \
    const char* const why_not = netns::enter(); \
    if (why_not != nullptr) SKIP(why_not);      \
  } while (0)

#define NEED_ROOT_NAMESPACE()                           \
  do {                                                  \
    const char* const why_not = netns::enter_as_root(); \
    if (why_not != nullptr) SKIP(why_not);              \
  } while (0)

namespace wire {

using Frame = std::vector<uint8_t>;

constexpr uint16_t kTestType = 0x88b5;  // IEEE 802: for local experiments

inline Frame make_frame(size_t bytes, uint32_t seed) {
  Frame frame(bytes);
  for (size_t i = 0; i < bytes; i++)
    frame[i] = static_cast<uint8_t>((i * 7 + seed * 13) ^ (i >> 8));
  const uint8_t header[14] = {
      0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, kTestType >> 8, kTestType & 0xff};
  std::memcpy(frame.data(), header, bytes < 14 ? bytes : 14);
  return frame;
}

inline uint16_t u16(const Frame& f, size_t at) {
  return static_cast<uint16_t>(f[at] << 8 | f[at + 1]);
}

// Ethernet type behind any VLAN tags.
inline uint16_t type_of(const Frame& f, size_t* at = nullptr) {
  size_t i = 12;
  while (i + 6 <= f.size() && (u16(f, i) == 0x8100 || u16(f, i) == 0x88a8)) i += 4;
  if (at != nullptr) *at = i + 2;
  return i + 2 <= f.size() ? u16(f, i) : 0;
}

inline std::unique_ptr<vale::Port> open(const std::string& name, uint64_t flags = 0,
                                        uint32_t buf_size = 0, uint32_t slots = 0) {
  vale::OpenRequest request;
  request.name = name;
  request.flags = flags;
  request.buf_size = buf_size;
  request.tx_slots = request.rx_slots = slots;
  std::unique_ptr<vale::Port> port;
  const vale::Status status = vale::open_wire(request, {}, &port);
  if (!status.ok()) std::printf("  %s\n", status.text.c_str());
  return port;
}

// Puts a frame into as many slots of `fragment` bytes as it takes; false when there are too few.
inline bool put(vale::Port& port, const Frame& frame, uint32_t fragment = 0) {
  netmap_ring* ring = port.tx_ring(0);
  if (fragment == 0) fragment = ring->nr_buf_size;
  uint32_t at = ring->head;
  size_t done = 0;
  do {
    if (at == ring->tail) return false;
    netmap_slot& slot = ring->slot[at];
    const size_t n = frame.size() - done < fragment ? frame.size() - done : fragment;
    std::memcpy(NETMAP_BUF(ring, slot.buf_idx), frame.data() + done, n);
    slot.len = static_cast<uint16_t>(n);
    done += n;
    slot.flags = done < frame.size() ? NS_MOREFRAG : 0;
    at = at + 1 == ring->num_slots ? 0 : at + 1;
  } while (done < frame.size());
  ring->head = ring->cur = at;
  return true;
}

// The oldest frame of the rx ring, all its slots released; empty when there is none.
inline Frame take(vale::Port& port) {
  netmap_ring* ring = port.rx_ring(0);
  Frame frame;
  uint32_t at = ring->head;
  bool more = true;
  while (more && at != ring->tail) {
    const netmap_slot& slot = ring->slot[at];
    const char* data = NETMAP_BUF(ring, slot.buf_idx);
    frame.insert(frame.end(), data, data + slot.len);
    more = (slot.flags & NS_MOREFRAG) != 0;
    at = at + 1 == ring->num_slots ? 0 : at + 1;
  }
  ring->head = ring->cur = at;
  return frame;
}

// The next frame of that type, waiting up to a second; empty when none comes.
inline Frame next(vale::Port& port, uint16_t type = kTestType) {
  for (int turn = 0; turn < 200; turn++) {
    Frame frame = take(port);
    if (!frame.empty()) {
      if (type_of(frame) == type) return frame;
      continue;
    }
    vale::PortWait wait = {&port, POLLIN};
    vale::wait_ports(&wait, 1, turn < 100 ? 10 : 0, 0, -1);
  }
  return {};
}

// v0 and v1, joined, or what takes the place of the v; gone with the object.
struct Veth {
  explicit Veth(unsigned mtu = 1500, const std::string& v = "v") : near(v + "0") {
    const std::string m = std::to_string(mtu), far = v + "1";
    ok = netns::run("ip link add " + near + " mtu " + m + " type veth peer name " + far + " mtu " +
                    m + " && ip link set " + near + " address 02:00:00:00:00:01 up" +
                    " && ip link set " + far + " address 02:00:00:00:00:02 up");
  }
  ~Veth() { netns::run("ip link del " + near); }
  const std::string near;
  bool ok;
};

// Addresses for v1, and neighbours behind v0 that never answer.
inline bool give_addresses() {
  return netns::run(
      "ip addr add 10.9.0.2/24 dev v1 && ip addr add fd09::2/64 dev v1 nodad"
      " && ip neigh add 10.9.0.1 lladdr 02:00:00:00:00:01 dev v1"
      " && ip neigh add fd09::1 lladdr 02:00:00:00:00:01 dev v1");
}

// A datagram from the stack behind v1; segment: one super-frame of datagrams of that size.
inline bool send_udp(const char* to, size_t bytes, int segment = 0) {
  sockaddr_in six_or_four = {};
  sockaddr_in6 six = {};
  const bool v6 = inet_pton(AF_INET6, to, &six.sin6_addr) == 1;
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(4000);
  six_or_four.sin_family = AF_INET;
  six_or_four.sin_port = htons(4000);
  inet_pton(AF_INET, to, &six_or_four.sin_addr);
  const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
  if (segment != 0) setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
  const Frame data = make_frame(bytes, 5);
  const ssize_t sent =
      v6 ? sendto(fd, data.data(), bytes, 0, reinterpret_cast<sockaddr*>(&six), sizeof six)
         : sendto(fd, data.data(), bytes, 0, reinterpret_cast<sockaddr*>(&six_or_four),
                  sizeof six_or_four);
  close(fd);
  return sent == static_cast<ssize_t>(bytes);
}

inline uint64_t drops(const vale::Port& port, vale::Drop why) {
  return port.counters().drops[static_cast<unsigned>(why)];
}

// What the kernel's own stack had to say so far does not end the next wait.
inline void read_all(vale::Port& port) {
  do {
    port.rxsync();
  } while (!take(port).empty());
  port.rxsync();
}

// Adds as RFC 1071 says, a byte pair at a time.
inline uint32_t add(const Frame& f, size_t from, size_t to, uint32_t sum) {
  for (size_t i = from; i < to; i++) sum += i % 2 == from % 2 ? f[i] << 8 : f[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

// "" when lengths and checksums of an IPv4 or IPv6 frame with TCP or UDP hold, else what is wrong.
inline std::string wrong(const Frame& f) {
  size_t ip = 0;
  const uint16_t type = type_of(f, &ip);
  size_t l4 = ip + 40;
  uint8_t protocol = 0;
  uint32_t sum = 0;
  if (type == 0x0800) {
    l4 = ip + (f[ip] & 15) * 4u;
    protocol = f[ip + 9];
    if (u16(f, ip + 2) != f.size() - ip) return "IPv4 length";
    if (add(f, ip, l4, 0) != 0xffff) return "IPv4 checksum";
    sum = add(f, ip + 12, ip + 20, 0);
  } else if (type == 0x86dd) {
    protocol = f[ip + 6];
    if (u16(f, ip + 4) != f.size() - l4) return "IPv6 length";
    sum = add(f, ip + 8, ip + 40, 0);
  } else {
    return "not IP";
  }
  if (protocol == 17 && u16(f, l4 + 4) != f.size() - l4) return "UDP length";
  if (protocol != 6 && protocol != 17) return "not TCP or UDP";
  sum += static_cast<uint32_t>(f.size() - l4) + protocol;
  return add(f, l4, f.size(), sum) == 0xffff ? "" : "transport checksum";
}

}  // namespace wire
