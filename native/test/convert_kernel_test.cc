// SPDX-License-Identifier: BSD-2-Clause
// What the switch makes of a super-frame or a half-made checksum is, byte for byte, what the Linux kernel
// makes of the same: written to a TAP device with its virtio-net header, bridged to a device without
// offloads, read at the other end of that.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "switch/convert.h"
#include "test/support/check.h"
#include "test/support/super_frame.h"

using namespace vale;
using namespace super;

namespace {

// A TAP device t0 whose frames come out of v1.
class Kernel {
 public:
  // Without: what v0 sends is whole. With: it is as it was written, and the wire has to look after it.
  explicit Kernel(bool offloads) {
    tap_ = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (tap_ < 0) return;
    ifreq request = {};
    std::strcpy(request.ifr_name, "t0");
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if (ioctl(tap_, TUNSETIFF, &request) != 0) return;
    made = netns::run(
        "ip link add v0 type veth peer name v1 && ip link add b0 type bridge"
        " && ip link set t0 master b0 && ip link set v0 master b0"
        " && for i in t0 v0 v1 b0; do"
        "  echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; ip link set $i up; done");
    if (made && !offloads)
      made = netns::run("ethtool -K v0 tx off sg off tso off gso off txvlan off");
    if (made) out_ = wire::open("v1");
    made = made && out_ != nullptr;
  }
  ~Kernel() {
    if (tap_ >= 0) close(tap_);
    netns::run("ip link del b0; ip link del v0");
  }

  std::vector<Bytes> send(const VnetHeader& header, const Bytes& frame, size_t expected) {
    Bytes s(sizeof header);
    std::memcpy(s.data(), &header, sizeof header);
    s.insert(s.end(), frame.begin(), frame.end());
    wire::read_all(*out_);
    std::vector<Bytes> out;
    if (write(tap_, s.data(), s.size()) != static_cast<ssize_t>(s.size())) return out;
    const uint16_t type = wire::type_of(frame);
    while (out.size() < expected) {
      const Bytes one = wire::next(*out_, type);
      if (one.empty()) break;
      if (std::equal(one.begin() + 6, one.begin() + 12, frame.begin() + 6)) out.push_back(one);
    }
    return out;
  }

  bool made = false;

 private:
  int tap_ = -1;
  std::unique_ptr<Port> out_;
};

std::vector<Bytes> ours(const VnetHeader& header, const Bytes& frame) {
  std::string s(12, '\0');
  std::memcpy(s.data(), &header, sizeof header);
  s.append(frame.begin(), frame.end());
  const Fragment whole = {s.data(), static_cast<uint32_t>(s.size())};
  static Converter converter;
  std::vector<Bytes> out;
  if (converter.start(&whole, 1, whole.length, 12, 0) != Converter::Verdict::good) return out;
  for (uint32_t left = converter.frames(); left != 0; left--) {
    const Converter::Pieces one = converter.next();
    Bytes b;
    for (uint32_t i = 0; i < one.count; i++)
      b.insert(b.end(), one.piece[i].data, one.piece[i].data + one.piece[i].length);
    out.push_back(b);
  }
  return out;
}

struct Case {
  Shape shape;
  uint8_t gso;
  uint16_t size;
};

std::string name_of(const Case& c) {
  const Shape& s = c.shape;
  return std::string(s.v6 ? "IPv6 " : "IPv4 ") + (s.tcp ? "TCP" : "UDP") + ", GSO type " +
         std::to_string(c.gso) + ", size " + std::to_string(c.size) + ", " +
         std::to_string(s.vlan_tags) + " tags, payload " + std::to_string(s.payload);
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const bool v6 : {false, true}) {
    for (const size_t tags : {size_t{0}, size_t{1}, size_t{2}}) {
      for (const size_t payload : {size_t{1}, size_t{1000}, size_t{1001}, size_t{30001}}) {
        const uint8_t tcp = v6 ? kGsoTcp6 : kGsoTcp4;
        const Shape stream = {.v6 = v6, .vlan_tags = tags, .payload = payload};
        Shape datagrams = stream;
        datagrams.tcp = false;
        // One segment exactly is where the kernel drops and we do not.
        if (payload != 1000) cases.push_back({stream, tcp, 1000});
        Shape closing = stream;
        closing.tcp_flags = 0x80 | 0x18 | 0x01;  // CWR PSH ACK FIN
        cases.push_back({closing, static_cast<uint8_t>(tcp | kGsoEcn), 536});
        // The kernel refuses what would be one datagram only.
        if (payload > 1000) cases.push_back({datagrams, kGsoUdpSegments, 1000});
        if (payload > 1000) cases.push_back({datagrams, kGsoUdpFragments, 1000});
        if (payload < 1300) {
          cases.push_back({stream, kGsoNone, 0});
          cases.push_back({datagrams, kGsoNone, 0});
        }
      }
    }
  }
  return cases;
}

// Sends every case to the kernel; what comes out at v1 must be what the switch makes of it.
void compare(Kernel& kernel) {
  const std::vector<Case> cases = all_cases();
  // The bridge forwards only once it has heard that its links are up.
  const Case plain = {Shape{}, kGsoNone, 0};
  for (int tries = 0; tries < 20; tries++) {
    Bytes frame = build(plain.shape);
    const VnetHeader header = half_made(plain.shape, &frame, plain.gso, plain.size);
    if (!kernel.send(header, frame, 1).empty()) break;
  }
  size_t frames = 0;
  for (const Case& c : cases) {
    Bytes frame = build(c.shape);
    const VnetHeader header = half_made(c.shape, &frame, c.gso, c.size);
    std::vector<Bytes> mine = ours(header, frame);
    std::vector<Bytes> its = kernel.send(header, frame, mine.size());
    if (c.shape.v6 && c.gso == kGsoUdpFragments) {  // each names the datagram as it likes
      const long id = 14 + 4 * static_cast<long>(c.shape.vlan_tags) + 44;
      for (auto* all : {&mine, &its})
        for (Bytes& f : *all) std::fill(f.begin() + id, f.begin() + id + 4, uint8_t{0});
    }
    frames += mine.size();
    if (mine.empty() || its != mine) {
      check::fail(__FILE__, __LINE__,
                  name_of(c) + ": " + std::to_string(its.size()) + " frames of the kernel, " +
                      std::to_string(mine.size()) + " of ours");
      for (size_t i = 0; i < std::min(its.size(), mine.size()); i++) {
        const auto at = std::mismatch(its[i].begin(), its[i].end(), mine[i].begin(), mine[i].end());
        if (at.first != its[i].end() || at.second != mine[i].end())
          std::printf("  frame %zu: %zu and %zu bytes, differ from byte %td on\n", i, its[i].size(),
                      mine[i].size(), at.first - its[i].begin());
      }
    }
  }
  std::printf("  %zu frames of %zu compared\n", frames, cases.size());
}

}  // namespace

TEST(the_kernel_makes_the_same_of_it) {
  NEED_NAMESPACES();
  if (!netns::run("command -v ethtool")) SKIP("needs the tool \"ethtool\"");
  Kernel kernel(false);
  if (!kernel.made) SKIP("no TAP device or bridge here");
  compare(kernel);
}

TEST(a_wire_makes_the_same_of_what_arrives_with_offloads) {
  NEED_NAMESPACES();
  Kernel kernel(true);
  if (!kernel.made) SKIP("no TAP device or bridge here");
  compare(kernel);
}
