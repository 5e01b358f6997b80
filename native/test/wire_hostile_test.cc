// SPDX-License-Identifier: BSD-2-Clause
// What nobody should send: runts, wrong lengths, tags without an end, super-frames that lie. Every
// frame arrives as it is or is counted as dropped.
#include <random>

#include "nic/packet_socket.h"
#include "test/support/check.h"
#include "test/support/wire.h"

using namespace vale;

namespace {

using Random = std::minstd_rand;

// Sends one frame with that header beside it; whether the kernel took it.
bool send_raw(PacketSocket& socket, VnetHeader header, wire::Frame& frame) {
  iovec parts[2] = {{&header, sizeof header}, {frame.data(), frame.size()}};
  mmsghdr message = {};
  message.msg_hdr.msg_iov = parts;
  message.msg_hdr.msg_iovlen = 2;
  int error = 0;
  return socket.send(&message, 1, &error) == 1;
}

wire::Frame hostile(Random& random) {
  const auto kind = static_cast<uint32_t>(random() % 6);
  wire::Frame frame(kind == 0 ? 14 + random() % 6 : 14 + random() % 1500);
  for (uint8_t& byte : frame) byte = static_cast<uint8_t>(random());
  frame[0] = static_cast<uint8_t>(frame[0] & ~1u);
  const uint8_t types[6][2] = {{0x81, 0x00}, {0x88, 0xa8}, {0x08, 0x00},
                               {0x86, 0xdd}, {0x08, 0x06}, {0x88, 0xb5}};
  for (size_t at = 12; at + 2 <= frame.size() && at < 12 + 4 * (random() % 9); at += 4) {
    std::memcpy(&frame[at], types[random() % 2], 2);
  }
  if (kind > 1) std::memcpy(&frame[12], types[random() % 6], 2);
  if (kind == 2 && frame.size() > 40) frame[14] = 0x45;  // half an IPv4 header
  return frame;
}

void survive(WireBackend backend) {
  wire::Veth veth;
  OpenRequest request;
  request.name = "v0";
  WireOptions options;
  options.backend = backend;
  std::unique_ptr<Port> port;
  CHECK_OK(open_wire(request, options, &port));
  REQUIRE(port != nullptr);
  Interface far;
  REQUIRE(find_interface(std::string("v1"), &far) == 0);
  PacketSocket socket;
  CHECK_OK(socket.open(far, false));
  netns::run("sysctl -qw net.ipv6.conf.v1.disable_ipv6=1");  // the stack would talk, too
  Random random(7);
  uint64_t sent = 0;
  for (int i = 0; i < 4000; i++) {
    wire::Frame frame = hostile(random);
    VnetHeader header = {};
    if (i % 4 == 0) {  // unfinished checksums and super-frames at places that make no sense
      header.flags = random() % 2;
      header.csum_start = static_cast<uint16_t>(random() % (frame.size() + 9));
      header.csum_offset = static_cast<uint16_t>(random() % 64);
    }
    if (i % 8 == 0) {
      const uint8_t kinds[] = {kGsoTcp4, kGsoTcp6, kGsoUdpSegments, 3, 0x7f};
      header.gso_type = kinds[random() % 5];
      header.gso_size = static_cast<uint16_t>(random() % 1500);
      header.hdr_len = static_cast<uint16_t>(random() % 200);
    }
    // The kernel itself throws away, uncounted, what ends within or right behind a VLAN tag.
    const uint16_t type = wire::u16(frame, 12);
    const bool cut = frame.size() < 20 && (type == 0x8100 || type == 0x88a8);
    const bool shown = !cut || backend != WireBackend::packet;
    sent += send_raw(socket, header, frame) && shown ? 1 : 0;
    if (i % 16 == 0) {
      do {
        port->rxsync();
      } while (!wire::take(*port).empty());
    }
  }
  for (int i = 0; i < 100; i++) {
    port->rxsync();
    while (!wire::take(*port).empty()) continue;
    usleep(1000);
  }
  const PortCounters c = port->counters();
  uint64_t dropped = 0;
  for (const uint64_t one : c.drops) dropped += one;
  CHECK(sent > 2000);
  // A super-frame is cut into several.
  if (c.rx_frames + dropped < sent) {
    std::printf("  %llu of %llu\n", static_cast<unsigned long long>(c.rx_frames + dropped),
                static_cast<unsigned long long>(sent));
  }
  CHECK(c.rx_frames + dropped >= sent);
  CHECK(c.rx_frames > 2000);
}

// What netmap_ring holds for applications, in one ring, until the object goes.
class Damage {
 public:
  explicit Damage(netmap_ring* ring)
      : ring_(ring), slots_(ring->num_slots), size_(ring->nr_buf_size), offset_(ring->buf_ofs) {
    put(0x7fffffff, 0xffff, int64_t{1} << 46);
  }
  ~Damage() { put(slots_, size_, offset_); }
  Damage(const Damage&) = delete;
  Damage& operator=(const Damage&) = delete;

 private:
  void put(uint32_t slots, uint32_t size, int64_t offset) {
    const_cast<uint32_t&>(ring_->num_slots) = slots;
    const_cast<uint32_t&>(ring_->nr_buf_size) = size;
    const_cast<int64_t&>(ring_->buf_ofs) = offset;
  }
  netmap_ring* ring_;
  uint32_t slots_, size_;
  int64_t offset_;
};

void go_by_own_view(WireBackend backend) {
  wire::Veth veth;
  std::unique_ptr<Port> ports[2];
  for (const char* name : {"v0", "v1"}) {
    OpenRequest request;
    request.name = name;
    WireOptions options;
    options.backend = name[1] == '0' ? backend : WireBackend::packet;
    CHECK_OK(open_wire(request, options, &ports[name[1] - '0']));
    REQUIRE(ports[name[1] - '0'] != nullptr);
  }
  for (uint32_t i = 0; i < 3000; i++) {
    Port &from = *ports[i % 2], &to = *ports[1 - i % 2];
    const wire::Frame frame = wire::make_frame(60 + i % 1400, i);
    REQUIRE(wire::put(from, frame));
    {
      const Damage tx(from.tx_ring(0));
      CHECK_EQ(from.txsync(), 0);
    }
    wire::Frame got;
    for (int turn = 0; turn < 2000 && got != frame; turn++) {
      {
        const Damage rx(to.rx_ring(0));
        CHECK_EQ(to.rxsync(), 0);
      }
      got = wire::take(to);
      if (got.empty()) usleep(100);
    }
    REQUIRE(got == frame);
  }
  // Longer than its buffer, whatever the ring says how long that is.
  Port& from = *ports[0];
  netmap_ring* const ring = from.tx_ring(0);
  netmap_slot& slot = ring->slot[ring->head];
  REQUIRE(wire::put(from, wire::make_frame(60, 1)));
  slot.len = 5000;
  const Damage tx(ring);
  CHECK_EQ(from.txsync(), 0);
  CHECK_EQ(wire::drops(from, Drop::bad_slot), 1u);
}

}  // namespace

TEST(wires_do_not_go_by_what_a_ring_says_of_itself) {
  NEED_ROOT_NAMESPACE();
  go_by_own_view(WireBackend::packet);
  go_by_own_view(WireBackend::xdp);
}

TEST(a_packet_socket_survives_what_nobody_should_send) {
  NEED_ROOT_NAMESPACE();
  survive(WireBackend::packet);
}

TEST(af_xdp_survives_what_nobody_should_send) {
  NEED_ROOT_NAMESPACE();
  survive(WireBackend::xdp_native);
}
