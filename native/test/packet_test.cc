// SPDX-License-Identifier: BSD-2-Clause
// A wire: frames through AF_PACKET against the kernel's own network stack, in namespaces of our own.
#include "nic/packet.h"

#include <linux/if_ether.h>

#include "test/support/check.h"
#include "test/support/wire.h"

using namespace vale;
using wire::drops;
using wire::Frame;
using wire::Veth;

TEST(unknown_interface_names_the_nearest) {
  NEED_NAMESPACES();
  Veth veth;
  OpenRequest request;
  std::unique_ptr<Port> port;
  request.name = "v00";
  Status status = open_wire(request, {}, &port);
  CHECK_EQ(status.err, ENXIO);
  CHECK(status.text.find("\"v00\"") != std::string::npos);
  CHECK(status.text.find("did you mean \"v0\"") != std::string::npos);
  request.name = "something";
  status = open_wire(request, {}, &port);
  CHECK_EQ(status.err, ENXIO);
  CHECK(status.text.find("v0") != std::string::npos);
  bool listed = false;
  for (const WireInterface& one : interfaces()) {
    listed |= one.name == "v0" && one.mtu == 1500 && one.mac[0] == 2 && one.mac[5] == 1;
  }
  CHECK(listed);
}

TEST(what_a_wire_cannot_do_is_refused) {
  NEED_NAMESPACES();
  Veth veth;
  const struct {
    uint32_t mode;
    uint16_t ring;
    uint64_t flags;
    int err;
  } cases[] = {{NR_REG_SW, 0, 0, EPERM},
               {NR_REG_NIC_SW, 0, 0, EPERM},
               {NR_REG_ONE_SW, 1, 0, EINVAL},
               {NR_REG_ONE_NIC, 1, 0, EINVAL},
               {NR_REG_ONE_NIC, 0, 0, 0},
               {NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, EOPNOTSUPP},
               {NR_REG_ALL_NIC, 0, NR_MONITOR_RX, EOPNOTSUPP}};
  for (const auto& one : cases) {
    OpenRequest request;
    request.name = "v0";
    request.mode = one.mode;
    request.ring_id = one.ring;
    request.flags = one.flags;
    std::unique_ptr<Port> port;
    CHECK_EQ(open_wire(request, {}, &port).err, one.err);
  }
}

TEST(region_has_the_netmap_layout) {
  NEED_NAMESPACES();
  Veth veth;
  OpenRequest request;
  request.name = "v0";
  request.tx_slots = 100;
  request.rx_slots = 200;
  request.extra_bufs = 3;
  std::unique_ptr<Port> port;
  CHECK_OK(open_wire(request, {}, &port));
  REQUIRE(port != nullptr);
  const netmap_if* nifp = port->nifp();
  CHECK_EQ(std::string(nifp->ni_name), std::string("v0"));
  CHECK_EQ(nifp->ni_version, 14u);
  CHECK_EQ(nifp->ni_host_tx_rings, 1u);
  CHECK_EQ(nifp->ring_ofs[1], 0);
  CHECK_EQ(nifp->ring_ofs[3], 0);
  CHECK_EQ(port->info().device, "packet");
  CHECK_EQ(port->info().mtu, 1514u);
  CHECK_EQ(port->info().mac[5], 1);
  const netmap_ring* tx = port->tx_ring(0);
  CHECK_EQ(tx->num_slots, 100u);
  CHECK_EQ(tx->tail, 99u);
  CHECK_EQ(port->rx_ring(0)->num_slots, 200u);
  CHECK_EQ(port->rx_ring(0)->tail, 0u);
  CHECK_EQ(tx->slot[0].buf_idx, 2u);
  CHECK_EQ(port->rx_ring(0)->slot[199].buf_idx, 301u);
  std::vector<uint32_t> extra;
  for (uint32_t i = nifp->ni_bufs_head; i != 0;) {
    extra.push_back(i);
    std::memcpy(&i, NETMAP_BUF(port->tx_ring(0), i), sizeof i);
  }
  CHECK_EQ(extra.size(), 3u);
  CHECK_EQ(extra.back(), 304u);
  const char* end = NETMAP_BUF(port->tx_ring(0), 305);
  CHECK(end <= port->base() + port->info().memsize);

  const std::unique_ptr<Port> only = wire::open("v0", NR_TX_RINGS_ONLY);
  REQUIRE(only != nullptr);
  CHECK_EQ(only->nifp()->ring_ofs[2], 0);
  CHECK_EQ(only->first_rx(), only->last_rx());
}

TEST(every_size_arrives_unchanged_both_ways) {
  NEED_NAMESPACES();
  Veth veth;
  auto a = wire::open("v0"), b = wire::open("v1");
  REQUIRE(a != nullptr && b != nullptr);
  uint64_t sent = 0, bytes = 0;
  for (size_t size = 14; size <= 1514; size++) {
    const Frame there = wire::make_frame(size, 1), back = wire::make_frame(size, 2);
    REQUIRE(wire::put(*a, there) && wire::put(*b, back));
    CHECK_EQ(a->txsync(), 0);
    CHECK_EQ(b->txsync(), 0);
    CHECK(wire::next(*b) == there);
    CHECK(wire::next(*a) == back);
    sent++;
    bytes += size;
  }
  CHECK_EQ(a->counters().tx_frames, sent);
  CHECK_EQ(a->counters().tx_bytes, bytes);
  CHECK_EQ(a->counters().tx_delivered, sent);
  CHECK(a->counters().rx_frames >= sent);
}

TEST(frames_larger_than_a_buffer_take_several_slots) {
  NEED_NAMESPACES();
  Veth veth(9000);
  auto a = wire::open("v0", 0, 256), b = wire::open("v1", 0, 2048);
  REQUIRE(a != nullptr && b != nullptr);
  for (size_t size : {255, 256, 257, 2047, 2048, 2049, 4096, 9014}) {
    const Frame frame = wire::make_frame(size, 3);
    REQUIRE(wire::put(*a, frame, 200) && wire::put(*b, frame));
    CHECK_EQ(a->txsync() + b->txsync(), 0);
    CHECK(wire::next(*b) == frame);
    // What an application sees beside the bytes: the number of slots in each of them.
    PortWait wait = {a.get(), POLLIN};
    REQUIRE(wait_ports(&wait, 1, 1000, 0, -1) == 1);
    const netmap_slot& first = a->rx_ring(0)->slot[a->rx_ring(0)->head];
    CHECK_EQ(NS_RFRAGS(&first), (size + 255) / 256);
    CHECK(wire::next(*a) == frame);
  }
  REQUIRE(wire::put(*a, wire::make_frame(9015, 3)));
  CHECK_EQ(a->txsync(), 0);
  CHECK_EQ(drops(*a, Drop::too_big), 1u);
}

TEST(vlan_tags_are_part_of_the_frame) {
  NEED_NAMESPACES();
  Veth veth;
  auto a = wire::open("v0"), b = wire::open("v1");
  REQUIRE(a != nullptr && b != nullptr);
  for (const int tpid : {0x8100, 0x88a8}) {
    for (const bool twice : {false, true}) {
      Frame frame = wire::make_frame(100, 4);
      const uint8_t inner[4] = {0x81, 0x00, 0x00, 0x07};
      const uint8_t outer[4] = {static_cast<uint8_t>(tpid >> 8), static_cast<uint8_t>(tpid), 0x65,
                                0x43};  // priority 3, VLAN 0x543
      if (twice) frame.insert(frame.begin() + 12, inner, inner + 4);
      frame.insert(frame.begin() + 12, outer, outer + 4);
      REQUIRE(wire::put(*a, frame));
      CHECK_EQ(a->txsync(), 0);
      CHECK(wire::next(*b) == frame);
    }
  }
  Frame largest = wire::make_frame(1514, 4);
  const uint8_t tag[4] = {0x81, 0x00, 0x00, 0x01};
  largest.insert(largest.begin() + 12, tag, tag + 4);
  REQUIRE(wire::put(*a, largest));
  CHECK_EQ(a->txsync(), 0);
  CHECK(wire::next(*b) == largest);
}

TEST(checksums_the_kernel_left_to_the_nic_are_completed) {
  NEED_NAMESPACES();
  Veth veth;
  REQUIRE(wire::give_addresses());
  auto a = wire::open("v0");
  REQUIRE(a != nullptr);
  for (size_t bytes : {1, 2, 333, 1400}) {
    REQUIRE(wire::send_udp("10.9.0.1", bytes));
    Frame frame = wire::next(*a, 0x0800);
    CHECK_EQ(frame.size(), bytes + 42);
    CHECK_EQ(wire::wrong(frame), "");
    REQUIRE(wire::send_udp("fd09::1", bytes));
    do {
      frame = wire::next(*a, 0x86dd);
    } while (!frame.empty() && frame[20] != 17);  // past neighbour discovery
    CHECK_EQ(frame.size(), bytes + 62);
    CHECK_EQ(wire::wrong(frame), "");
  }
}

TEST(tags_and_checksums_of_the_kernel_together) {
  NEED_NAMESPACES();
  Veth veth;
  auto a = wire::open("v0");
  REQUIRE(a != nullptr);
  if (!netns::run("ip link add link v1 name v1.5 type vlan id 5")) {
    SKIP("the kernel has no VLAN interfaces here");
  }
  REQUIRE(
      netns::run("ip link set v1.5 up && ip addr add 10.8.0.2/24 dev v1.5"
                 " && ip neigh add 10.8.0.1 lladdr 02:00:00:00:00:01 dev v1.5"));
  REQUIRE(wire::send_udp("10.8.0.1", 77));
  const Frame tagged = wire::next(*a, 0x0800);
  REQUIRE(tagged.size() == 77 + 46);
  CHECK_EQ(wire::u16(tagged, 12), 0x8100);
  CHECK_EQ(wire::u16(tagged, 14) & 0xfff, 5);
  CHECK_EQ(wire::wrong(tagged), "");
}

TEST(large_sends_are_cut_into_frames) {
  NEED_NAMESPACES();
  Veth veth;
  REQUIRE(wire::give_addresses());
  // Few slots: a super-frame must be able to wait half cut.
  auto a = wire::open("v0", 0, 0, 8);
  REQUIRE(a != nullptr);
  for (const char* to : {"10.9.0.1", "fd09::1"}) {
    const bool v6 = std::strchr(to, ':') != nullptr;
    const size_t headers = v6 ? 62 : 42;
    const size_t total = 30 * 1000 + 123;
    REQUIRE(wire::send_udp(to, total, 1000));
    Frame all;
    for (int i = 0; i <= 30; i++) {
      Frame frame;
      do {
        frame = wire::next(*a, v6 ? 0x86dd : 0x0800);
      } while (v6 && !frame.empty() && frame[20] != 17);
      REQUIRE(!frame.empty());
      CHECK_EQ(wire::wrong(frame), "");
      CHECK_EQ(frame.size(), headers + (i < 30 ? 1000 : 123));
      all.insert(all.end(), frame.begin() + static_cast<long>(headers), frame.end());
    }
    CHECK(all == wire::make_frame(total, 5));
  }
}

TEST(bad_slots_are_dropped_alone_and_counted) {
  NEED_NAMESPACES();
  Veth veth;
  auto a = wire::open("v0"), b = wire::open("v1");
  REQUIRE(a != nullptr && b != nullptr);
  netmap_ring* ring = a->tx_ring(0);
  const Frame good = wire::make_frame(64, 6), away = wire::make_frame(500, 7);
  const uint32_t first = ring->head;
  for (int i = 0; i < 7; i++) REQUIRE(wire::put(*a, good));
  ring->slot[first + 1].buf_idx = 1;
  ring->slot[first + 2].buf_idx = 1u << 30;
  ring->slot[first + 3].len = 65535;
  ring->slot[first + 4].len = 13;
  ring->slot[first + 5].flags = NS_INDIRECT;  // a pointer of the application's own
  ring->slot[first + 5].ptr = reinterpret_cast<uintptr_t>(away.data());
  ring->slot[first + 5].len = 500;
  REQUIRE(wire::put(*a, good));
  ring->slot[first + 7].flags = NS_INDIRECT;
  ring->slot[first + 7].ptr = 8;
  CHECK_EQ(a->txsync(), 0);
  CHECK(wire::next(*b) == good);
  CHECK(wire::next(*b) == away);
  CHECK(wire::next(*b) == good);
  CHECK_EQ(drops(*a, Drop::bad_slot), 4u);
  CHECK_EQ(drops(*a, Drop::runt), 1u);
  const PortCounters c = a->counters();
  CHECK_EQ(c.tx_copies, 8u);
  CHECK_EQ(c.tx_delivered, 3u);

  ring->head = ring->cur = 100000;  // nonsense is put right, not followed
  CHECK_EQ(a->txsync(), 0);
  CHECK_EQ(ring->head, first + 8);
}
