// SPDX-License-Identifier: BSD-2-Clause
// The switch between ports of one process: who gets which frame, unchanged, and how it is counted.
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/check.h"
#include "support/switch_fixture.h"

using namespace vale;

TEST(broadcast_reaches_every_other_port) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b"), c = f.open("vale0:c");
  f.send(*a, frame(kBroadcast, mac(1), 60, 7));
  CHECK_EQ(f.receive(*b), std::vector<std::string>{frame(kBroadcast, mac(1), 60, 7)});
  CHECK_EQ(f.receive(*c).size(), size_t{1});
  CHECK_EQ(f.receive(*a).size(), size_t{0});
  CHECK_EQ(a->counters().tx_copies, uint64_t{2});
  CHECK_EQ(a->counters().tx_delivered, uint64_t{2});
}

TEST(a_learned_address_is_unicast) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b"), c = f.open("vale0:c");
  f.send(*b, frame(kBroadcast, mac(2), 60, 0));
  f.receive(*a);
  f.receive(*c);
  for (int i = 0; i < 300; i++) f.put(*a, frame(mac(2), mac(1), 60 + i, i));
  a->txsync();
  const auto got = f.receive(*b);
  REQUIRE(got.size() == 300);
  for (int i = 0; i < 300; i++) CHECK(got[i] == frame(mac(2), mac(1), 60 + i, i));
  CHECK_EQ(f.receive(*c).size(), size_t{0});
}

TEST(an_address_moves_and_moves_back) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b"), c = f.open("vale0:c");
  f.send(*a, frame(kBroadcast, mac(9), 60, 0));
  f.send(*b, frame(kBroadcast, mac(9), 60, 0));
  f.send(*a, frame(kBroadcast, mac(9), 60, 0));
  f.receive(*a);
  f.receive(*b);
  f.receive(*c);
  f.send(*c, frame(mac(9), mac(3), 60, 1));
  CHECK_EQ(f.receive(*a).size(), size_t{1});
  CHECK_EQ(f.receive(*b).size(), size_t{0});
}

TEST(none_of_100000_addresses_is_forgotten) {
  constexpr uint32_t kAddresses = 100000, kBatch = 500;
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b"), c = f.open("vale0:c");
  // All over the range, as those of many makers are; the multiplier is odd, so no two are equal.
  const auto address = [](uint32_t i) { return mac(i * 0x9e3779b1u); };
  for (uint32_t i = 0; i < kAddresses;) {
    for (uint32_t end = i + kBatch; i < end; i++) f.put(*b, frame(address(i), address(i), 60, 0));
    b->txsync();  // to itself: known, and received by nobody
  }
  for (uint32_t i = 0; i < kAddresses;) {
    for (uint32_t end = i + kBatch; i < end; i++) f.put(*a, frame(address(i), mac(1), 60, 0));
    a->txsync();
    REQUIRE(f.receive(*b).size() == kBatch);
  }
  CHECK_EQ(f.receive(*c).size(), size_t{0});
  // What is truly unknown, and that alone, is flooded.
  for (uint32_t i = 0; i < kBatch; i++)
    f.put(*a, frame(address(i % 2 == 0 ? i : kAddresses + i), mac(1), 60, 0));
  a->txsync();
  CHECK_EQ(f.receive(*b).size(), size_t{kBatch});
  CHECK_EQ(f.receive(*c).size(), size_t{kBatch} / 2);
}

// To and from many, of unequal lengths; also with one in the middle for somebody else.
TEST(frames_of_many_sources_are_learned_and_counted_to_the_byte) {
  constexpr uint32_t kFrames = 250, kSources = 50;
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b"), c = f.open("vale0:c");
  for (uint32_t i = 0; i < kSources; i++) f.put(*b, frame(mac(500 + i), mac(500 + i), 60, i));
  b->txsync();
  f.send(*c, frame(mac(999), mac(999), 60, 0));
  f.receive(*a);
  f.receive(*b);
  f.receive(*c);
  const uint64_t before = a->counters().tx_bytes;
  const auto batch = [&](uint32_t for_c) {
    uint64_t bytes = 0;
    std::vector<std::string> sent;
    for (uint32_t i = 0; i < kFrames; i++) {
      const bool other = i == for_c;
      // Most are as long as the first.
      const size_t length = i % 7 == 3 ? 60 + i : 100;
      const auto to = mac(other ? 999 : 500 + i * 13 % kSources);
      const std::string one = frame(to, mac(100 + i * 31 % kSources), length, i);
      f.put(*a, one);
      bytes += length;
      if (!other) sent.push_back(one);
    }
    a->txsync();
    CHECK(f.receive(*b) == sent);
    CHECK_EQ(f.receive(*c).size(), size_t{for_c < kFrames});
    return bytes;
  };
  const auto ages = [&] {
    std::vector<FdbRow> rows;
    CHECK_OK(f.device->fdb_show("vale0", &rows));
    std::vector<uint32_t> out;
    for (const FdbRow& row : rows) {
      if (row.port == "vale0:a") out.push_back(row.age_s);
    }
    return out;
  };
  uint64_t bytes = batch(180);
  CHECK_EQ(ages().size(), size_t{kSources});
  CHECK_EQ(a->counters().tx_bytes - before, bytes);
  // Who was seen again is as young as at first.
  sleep(3);
  bytes += batch(kFrames);
  for (const uint32_t age : ages()) CHECK(age <= 1);
  CHECK_EQ(a->counters().tx_bytes - before, bytes);
}

TEST(mixed_destinations_stay_in_order) {
  Fixture f;
  std::vector<std::unique_ptr<Port>> ports;
  for (int i = 0; i < 20; i++) ports.push_back(f.open("vale0:p" + std::to_string(i)));
  for (int i = 1; i < 20; i++) f.send(*ports[i], frame(kBroadcast, mac(i), 60, 0));
  for (auto& p : ports) f.receive(*p);
  std::vector<std::vector<std::string>> expected(20);
  uint32_t x = 12345;
  for (int i = 0; i < 900; i++) {
    x = x * 1664525 + 1013904223;
    const int to = static_cast<int>(x >> 16) % 21;
    if (to == 0 || to == 20) {
      const std::string s = frame(kBroadcast, mac(100), 60 + i % 1000, i);
      f.put(*ports[0], s);
      for (int k = 1; k < 20; k++) expected[k].push_back(s);
    } else {
      const std::string s = frame(mac(to), mac(100), 60 + i % 1000, i);
      f.put(*ports[0], s);
      expected[to].push_back(s);
    }
  }
  ports[0]->txsync();
  for (int k = 1; k < 20; k++) CHECK(f.receive(*ports[k]) == expected[k]);
  const PortCounters n = ports[0]->counters();
  CHECK_EQ(n.tx_copies, n.tx_delivered);
}

// Runs, chunks and lists are nobody's business: a batch ends as if each of its frames had been a sync.
TEST(a_batch_does_what_its_frames_do_one_by_one) {
  Fixture f;
  std::unique_ptr<Port> ports[2][3];
  for (size_t i = 0; i < 6; i++)
    ports[i / 3][i % 3] = f.open("vale" + std::to_string(i / 3) + ":p" + std::to_string(i % 3));
  uint32_t x = 12345;
  const auto below = [&](uint32_t n) {
    x = x * 1664525 + 1013904223;
    return (x >> 16) % n;
  };
  // Few addresses, so that they are learned, met and moved within a batch; some with the group bit. There
  // are rounds with many such frames and with few.
  uint32_t calm = 1;
  const auto address = [&](uint32_t first) {
    std::string m = mac(below(calm) == 0 ? below(32) : first + below(8));
    if (below(4 * calm) == 0) m[0] = static_cast<char>(m[0] | 1);
    return m;
  };
  size_t arrived[3] = {};
  for (int round = 0; round < 1000; round++) {
    calm = 8u << 2 * below(4);
    const uint32_t from = below(4) == 0 ? 1 + below(2) : 0;
    const uint32_t to = 8 * (from == 0 ? 1 : below(2)), spread = 1 + below(3);
    for (uint32_t left = 1 + below(120), i = 0; left > 0; left--, i++) {
      const std::string s = frame(address(i % spread == 0 ? to : 16), address(8 * from), 60, i);
      f.put(*ports[0][from], s);
      f.send(*ports[1][from], s);
    }
    ports[0][from]->txsync();
    for (uint32_t p = 0; p < 3; p++) {
      const auto batch = f.receive(*ports[0][p]);
      REQUIRE(batch == f.receive(*ports[1][p]));
      arrived[p] += batch.size();
    }
  }
  for (const size_t frames : arrived) CHECK(frames > 1000);
  CHECK_EQ(ports[0][0]->counters().tx_copies, ports[1][0]->counters().tx_copies);
}

TEST(a_full_ring_drops_and_counts) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 500; i++) f.put(*a, frame(kBroadcast, mac(1), 60, i));
    a->txsync();
  }
  const auto got = f.receive(*b);
  CHECK_EQ(got.size(), size_t{1023});
  const PortCounters n = b->counters();
  CHECK_EQ(n.drops[static_cast<unsigned>(Drop::ring_full)], uint64_t{1500 - 1023});
  CHECK_EQ(n.rx_frames, uint64_t{1023});
  CHECK_EQ(n.rx_read, uint64_t{1023});
  CHECK_EQ(a->counters().tx_copies, uint64_t{1500});
  CHECK_EQ(a->counters().tx_delivered, uint64_t{1023});
}

TEST(alone_on_a_switch_everything_is_no_destination) {
  Fixture f;
  auto a = f.open("vale0:a");
  for (int i = 0; i < 10; i++) f.put(*a, frame(mac(5), mac(1), 60, i));
  a->txsync();
  CHECK_EQ(a->counters().tx_frames, uint64_t{10});
  CHECK_EQ(a->counters().drops[static_cast<unsigned>(Drop::no_destination)], uint64_t{10});
  CHECK_EQ(a->tx_ring(0)->tail, (a->tx_ring(0)->head + 1023) % 1024);
}

TEST(frames_of_many_slots_up_to_64_kib) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  for (uint32_t size : {2112u, 2113u, 9000u, 65536u}) {
    const std::string s = frame(kBroadcast, mac(1), size, size);
    f.send(*a, s);
    const auto got = f.receive(*b);
    REQUIRE(got.size() == 1);
    CHECK(got[0] == s);
  }
  CHECK_EQ(b->counters().rx_frames, uint64_t{4});
  CHECK_EQ(b->counters().rx_read, uint64_t{4});
  for (int i = 0; i < 5; i++) f.put(*a, frame(kBroadcast, mac(1), 9000, i));
  a->txsync();
  CHECK_EQ(b->counters().rx_frames - b->counters().rx_read, uint64_t{5});
}

TEST(65_fragments_are_too_long) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  f.put(*a, frame(kBroadcast, mac(1), 65 * 100, 0), 100);
  f.put(*a, frame(kBroadcast, mac(1), 64 * 100, 1), 100);
  a->txsync();
  const auto got = f.receive(*b);
  REQUIRE(got.size() == 1);
  CHECK(got[0] == frame(kBroadcast, mac(1), 64 * 100, 1));
  CHECK_EQ(a->counters().drops[static_cast<unsigned>(Drop::too_long)], uint64_t{1});
}

TEST(buffers_of_different_sizes) {
  Fixture f;
  OpenRequest small;
  small.buf_size = 256;
  auto a = f.open("vale0:a"), b = f.open("vale0:b", small);
  const std::string s = frame(kBroadcast, mac(1), 1514, 3);
  f.send(*a, s);
  CHECK_EQ(f.receive(*b), std::vector<std::string>{s});
  f.send(*b, s);
  CHECK_EQ(f.receive(*a), std::vector<std::string>{s});
}

TEST(indirect_payloads) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  const std::string s = frame(kBroadcast, mac(1), 40000, 3);
  netmap_ring* r = a->tx_ring(0);
  netmap_slot& slot = r->slot[r->head];
  slot.len = 40000;
  slot.ptr = reinterpret_cast<uint64_t>(s.data());
  slot.flags = NS_INDIRECT;
  netmap_slot& bad = r->slot[r->head + 1];
  bad.len = 100;
  bad.ptr = 8;
  bad.flags = NS_INDIRECT;
  r->head = r->cur = r->head + 2;
  a->txsync();
  CHECK_EQ(f.receive(*b), std::vector<std::string>{s});
  CHECK_EQ(a->counters().drops[static_cast<unsigned>(Drop::bad_slot)], uint64_t{1});
}

TEST(slot_flags_steer_and_forbid_learning) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b"), c = f.open("vale0:c");
  uint32_t sw, index;
  CHECK(f.device->index("vale0:c", &sw, &index).ok());
  f.put(*a, frame(kBroadcast, mac(1), 60, 0), 0,
        static_cast<uint16_t>(NS_NO_LEARN | index << NS_PORT_SHIFT));
  a->txsync();
  CHECK_EQ(f.receive(*b).size(), size_t{0});
  CHECK_EQ(f.receive(*c).size(), size_t{1});
  std::vector<FdbRow> rows;
  CHECK(f.device->fdb_show("vale0", &rows).ok());
  CHECK_EQ(rows.size(), size_t{0});
}

TEST(ring_contents_hurt_only_their_owner) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b"), c = f.open("vale0:c");
  netmap_ring* r = a->tx_ring(0);
  for (uint32_t i = 0; i < 1024; i++) r->slot[i].buf_idx = 0xf0000000u + i;
  r->head = r->cur = 100;
  a->txsync();
  CHECK_EQ(a->counters().drops[static_cast<unsigned>(Drop::bad_slot)], uint64_t{100});
  r->head = 5000;
  a->txsync();
  CHECK(r->head < 1024);
  netmap_ring* rx = b->rx_ring(0);
  for (uint32_t i = 0; i < 1024; i++) rx->slot[i].buf_idx = 0x80000000u + i;
  f.send(*c, frame(kBroadcast, mac(3), 1500, 0));
  CHECK_EQ(f.receive(*a).size(), size_t{1});
}

TEST(detaching_forgets_addresses) {
  Fixture f;
  auto a = f.open("vale0:a"), c = f.open("vale0:c");
  {
    auto b = f.open("vale0:b");
    f.send(*b, frame(kBroadcast, mac(2), 60, 0));
  }
  f.receive(*a);
  f.receive(*c);
  auto d = f.open("vale0:d");  // takes b's index
  f.send(*a, frame(mac(2), mac(1), 60, 0));
  CHECK_EQ(f.receive(*c).size(), size_t{1});
  CHECK_EQ(f.receive(*d).size(), size_t{1});
}

TEST(static_entries_hold_and_dynamic_ones_age) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b"), c = f.open("vale0:c");
  const std::string m = mac(0x42);
  CHECK(f.device->fdb_add("vale0:b", reinterpret_cast<const uint8_t*>(m.data())).ok());
  f.send(*c, frame(kBroadcast, m, 60, 0));
  f.receive(*a);
  f.receive(*b);
  f.send(*a, frame(m, mac(1), 60, 0));
  CHECK_EQ(f.receive(*b).size(), size_t{1});
  CHECK_EQ(f.receive(*c).size(), size_t{0});
  CHECK(f.device->set_ageing("vale0", 1).ok());
  f.send(*c, frame(kBroadcast, mac(7), 60, 0));
  f.receive(*a);
  f.receive(*b);
  sleep(3);
  f.send(*a, frame(mac(7), mac(1), 60, 0));
  CHECK_EQ(f.receive(*b).size(), size_t{1});
  // Nor does it hold among frames to another address of that port.
  f.send(*c, frame(kBroadcast, mac(8), 60, 0));
  f.receive(*a);
  f.receive(*b);
  f.receive(*c);
  for (uint32_t i = 0; i < 20; i++) f.put(*a, frame(mac(7 + i % 2), mac(1), 60, i));
  a->txsync();
  CHECK_EQ(f.receive(*b).size(), size_t{10});
  CHECK_EQ(f.receive(*c).size(), size_t{20});
  for (uint32_t i = 0; i < 20; i++) f.put(*a, frame(mac(8 - i % 2), mac(1), 60, i));
  a->txsync();
  CHECK_EQ(f.receive(*b).size(), size_t{10});
  CHECK_EQ(f.receive(*c).size(), size_t{20});
}

TEST(rings_keep_their_number) {
  Fixture f;
  OpenRequest wish;
  wish.tx_rings = wish.rx_rings = 4;
  auto a = f.open("vale0:a", wish), b = f.open("vale0:b", wish);
  f.send(*b, frame(kBroadcast, mac(2), 60, 0));
  f.receive(*a);
  for (unsigned i = 0; i < 4; i++) f.put(*a, frame(mac(2), mac(1), 60, i), 0, 0, i);
  a->txsync();
  for (unsigned i = 0; i < 4; i++) {
    CHECK_EQ(f.receive(*b, i), std::vector<std::string>{frame(mac(2), mac(1), 60, i)});
  }
}

TEST(headers_of_one_length_pass_as_they_are) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b"), c = f.open("vale0:c");
  CHECK(a->set_header_length(12).ok());
  CHECK(c->set_header_length(12).ok());
  const std::string s = std::string(12, '\xee') + frame(kBroadcast, mac(1), 60, 0);
  f.send(*a, s);
  CHECK_EQ(f.receive(*b).size(), size_t{0});
  CHECK_EQ(f.receive(*c), std::vector<std::string>{s});
  CHECK_EQ(b->counters().drops[static_cast<unsigned>(Drop::bad_header)], uint64_t{1});
}

TEST(one_switch_holds_254_ports) {
  Fixture f;
  OpenRequest tiny;
  tiny.tx_slots = tiny.rx_slots = 16;
  std::vector<std::unique_ptr<Port>> ports;
  for (int i = 0; i < 254; i++) ports.push_back(f.open("vale0:p" + std::to_string(i), tiny));
  std::unique_ptr<Port> more;
  OpenRequest q = tiny;
  q.name = "vale0:more";
  const Status s = f.device->open(q, &more);
  CHECK_EQ(s.err, ENOMEM);
  f.send(*ports[0], frame(kBroadcast, mac(1), 60, 0));
  size_t got = 0;
  for (auto& p : ports) got += f.receive(*p).size();
  CHECK_EQ(got, size_t{253});
}

TEST(exclusive_and_single_rings) {
  Fixture f;
  OpenRequest q;
  q.tx_rings = q.rx_rings = 2;
  q.mode = NR_REG_ONE_NIC;
  q.ring_id = 1;
  q.flags = NR_EXCLUSIVE;
  auto one = f.open("vale0:a", q);
  CHECK_EQ(one->first_tx(), 1u);
  q.ring_id = 0;
  auto zero = f.open("vale0:a", q);
  std::unique_ptr<Port> again;
  q.name = "vale0:a";
  CHECK_EQ(f.device->open(q, &again).err, EBUSY);
}

TEST(shared_memory_and_extra_buffers) {
  Fixture f;
  OpenRequest q;
  q.extra_bufs = 100;
  auto a = f.open("vale0:a", q);
  CHECK_EQ(a->info().extra_bufs, 100u);
  uint32_t n = 0;
  for (uint32_t i = a->nifp()->ni_bufs_head; i != 0; n++)
    i = *reinterpret_cast<uint32_t*>(NETMAP_BUF(a->tx_ring(0), i));
  CHECK_EQ(n, 100u);
  q.extra_bufs = 0;
  q.mem_id = a->info().mem_id;
  auto b = f.open("vale1:b", q);
  CHECK_EQ(a->memory_key(), b->memory_key());
  a.reset();
  auto c = f.open("vale1:c", q);
  CHECK_EQ(c->memory_key(), b->memory_key());
}

TEST(nothing_is_left_behind) {
  Fixture f;
  f.open("vale0:a").reset();
  const auto before = f.files();
  for (int i = 0; i < 50; i++) {
    auto a = f.open("vale0:a"), b = f.open("vale1:b");
    f.send(*a, frame(kBroadcast, mac(1), 60, 0));
  }
  CHECK_EQ(f.files(), before);
}

TEST(a_persistent_port_keeps_its_memory_and_counters) {
  Fixture f;
  OpenRequest q;
  q.name = "p0";
  q.extra_bufs = 0;
  PortInfo made, again;
  CHECK(f.device->create(q, &made).ok());
  CHECK(made.mem_id != 0);
  CHECK_EQ(f.device->create(q, &again).err, EEXIST);
  uint32_t index;
  q.name = "vale0:p0";
  CHECK(f.device->attach(q, &index).ok());
  CHECK_EQ(f.device->attach(q, &index).err, EBUSY);
  auto a = f.open("vale0:a");
  for (int round = 1; round <= 3; round++) {
    f.send(*a, frame(kBroadcast, mac(1), 60, 0));  // nobody has it open
    auto p = f.open("p0");
    CHECK_EQ(p->info().mem_id, made.mem_id);
    CHECK_EQ(p->info().name, std::string("vale0:p0"));
    f.send(*a, frame(kBroadcast, mac(1), 60, 0));
    CHECK_EQ(f.receive(*p).size(), size_t{1});
    CHECK_EQ(p->counters().rx_frames, static_cast<uint64_t>(round));
  }
  CHECK_EQ(f.device->remove("p0").err, EBUSY);
  CHECK(f.device->detach("vale0:p0", &index).ok());
  CHECK(f.device->remove("p0").ok());
  CHECK_EQ(f.device->remove("p0").err, ENXIO);
}
