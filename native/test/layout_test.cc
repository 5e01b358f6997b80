// SPDX-License-Identifier: BSD-2-Clause
// An opened port as a program compiled against netmap's own headers sees it: every field is read from
// raw memory at the offset the ABI gives it, never through this project's structs.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "support/check.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

template <class T>
T at(const char* p, size_t offset) {
  T v;
  std::memcpy(&v, p + offset, sizeof v);
  return v;
}

// struct netmap_slot, 16 bytes
struct RawSlot {
  const char* p;
  uint32_t buf_idx() const { return at<uint32_t>(p, 0); }
  uint16_t len() const { return at<uint16_t>(p, 4); }
  uint16_t flags() const { return at<uint16_t>(p, 6); }
  uint64_t ptr() const { return at<uint64_t>(p, 8); }
};

// struct netmap_ring, 256 bytes and the slots
struct RawRing {
  const char* p;
  int64_t buf_ofs() const { return at<int64_t>(p, 0); }
  uint32_t num_slots() const { return at<uint32_t>(p, 8); }
  uint32_t nr_buf_size() const { return at<uint32_t>(p, 12); }
  uint16_t ringid() const { return at<uint16_t>(p, 16); }
  uint16_t dir() const { return at<uint16_t>(p, 18); }
  uint32_t head() const { return at<uint32_t>(p, 20); }
  uint32_t cur() const { return at<uint32_t>(p, 24); }
  uint32_t tail() const { return at<uint32_t>(p, 28); }
  uint32_t flags() const { return at<uint32_t>(p, 32); }
  int64_t ts_sec() const { return at<int64_t>(p, 40); }
  int64_t ts_usec() const { return at<int64_t>(p, 48); }
  uint64_t offset_mask() const { return at<uint64_t>(p, 56); }
  uint64_t buf_align() const { return at<uint64_t>(p, 64); }
  char* sem() const { return const_cast<char*>(p) + 128; }
  RawSlot slot(uint32_t i) const { return {p + 256 + 16 * size_t{i}}; }
  const char* buffer(uint32_t index) const { return p + buf_ofs() + size_t{index} * nr_buf_size(); }
};

// struct netmap_if, 56 bytes and the ring offsets
struct RawIf {
  const char* p;
  std::string name() const { return std::string(p, strnlen(p, 16)); }
  uint32_t version() const { return at<uint32_t>(p, 16); }
  uint32_t flags() const { return at<uint32_t>(p, 20); }
  uint32_t tx_rings() const { return at<uint32_t>(p, 24); }
  uint32_t rx_rings() const { return at<uint32_t>(p, 28); }
  uint32_t bufs_head() const { return at<uint32_t>(p, 32); }
  uint32_t host_tx_rings() const { return at<uint32_t>(p, 36); }
  uint32_t host_rx_rings() const { return at<uint32_t>(p, 40); }
  int64_t ring_ofs(uint32_t i) const { return at<int64_t>(p, 56 + 8 * size_t{i}); }
  int64_t tx_ofs(uint32_t i) const { return ring_ofs(i); }
  int64_t rx_ofs(uint32_t i) const { return ring_ofs(tx_rings() + host_tx_rings() + i); }
  RawRing tx(uint32_t i) const { return {p + tx_ofs(i)}; }
  RawRing rx(uint32_t i) const { return {p + rx_ofs(i)}; }
};

RawIf interface_of(const Port& port) { return {port.base() + port.info().offset}; }

OpenRequest geometry(uint16_t tx_rings, uint16_t rx_rings, uint32_t tx_slots, uint32_t rx_slots) {
  OpenRequest q;
  q.tx_rings = tx_rings;
  q.rx_rings = rx_rings;
  q.tx_slots = tx_slots;
  q.rx_slots = rx_slots;
  return q;
}

// One ring as it was created; adds its buffers to `seen`.
void check_fresh(const Port& port, RawRing r, bool rx, uint32_t id, uint32_t slots,
                 std::set<uint32_t>* seen) {
  CHECK_EQ(r.num_slots(), slots);
  CHECK_EQ(r.nr_buf_size(), port.info().buf_size);
  CHECK_EQ(r.ringid(), id);
  CHECK_EQ(r.dir(), rx ? 1 : 0);
  CHECK_EQ(r.head(), 0u);
  CHECK_EQ(r.cur(), 0u);
  CHECK_EQ(r.tail(), rx ? 0u : slots - 1);
  CHECK_EQ(r.flags(), 0u);
  CHECK_EQ(r.ts_sec(), 0);
  CHECK_EQ(r.ts_usec(), 0);
  CHECK_EQ(r.offset_mask(), 0u);
  CHECK_EQ(r.buf_align(), 0u);
  const uint64_t place = static_cast<uint64_t>(r.p - port.base());
  CHECK_EQ(place % 64, 0u);
  CHECK(place + 256 + 16 * uint64_t{slots} <= port.info().memsize);
  for (uint32_t i = 0; i < slots; i++) {
    const RawSlot s = r.slot(i);
    CHECK_EQ(s.len(), static_cast<uint16_t>(r.nr_buf_size()));
    CHECK_EQ(s.flags(), 0);
    CHECK_EQ(s.ptr(), uint64_t{0});
    if (!seen->insert(s.buf_idx()).second) CHECK_EQ(s.buf_idx(), 0u);  // a buffer in two slots
    const uint64_t end =
        static_cast<uint64_t>(r.buffer(s.buf_idx()) - port.base()) + r.nr_buf_size();
    if (end > port.info().memsize) CHECK_EQ(end, port.info().memsize);
  }
}

void check_fresh(const Port& port, uint32_t tx, uint32_t rx, uint32_t tx_slots, uint32_t rx_slots) {
  const PortInfo& info = port.info();
  CHECK_EQ(info.tx_rings, tx);
  CHECK_EQ(info.rx_rings, rx);
  CHECK_EQ(info.tx_slots, tx_slots);
  CHECK_EQ(info.rx_slots, rx_slots);
  CHECK_EQ(info.host_tx_rings, 0);
  CHECK_EQ(info.host_rx_rings, 0);
  CHECK_EQ(info.memsize % 4096, uint64_t{0});
  const RawIf nif = interface_of(port);
  CHECK_EQ(nif.name(), info.name.substr(0, 15));
  CHECK_EQ(nif.version(), 14u);
  CHECK_EQ(nif.flags(), 1u);  // NI_PRIV_MEM
  CHECK_EQ(nif.tx_rings(), tx);
  CHECK_EQ(nif.rx_rings(), rx);
  CHECK_EQ(nif.bufs_head(), 0u);
  CHECK_EQ(nif.host_tx_rings(), 1u);
  CHECK_EQ(nif.host_rx_rings(), 1u);
  CHECK_EQ(nif.ring_ofs(tx), 0);           // the host tx ring that is not there
  CHECK_EQ(nif.ring_ofs(tx + 1 + rx), 0);  // and the host rx ring
  std::set<uint32_t> buffers;
  for (uint32_t i = 0; i < tx; i++) check_fresh(port, nif.tx(i), false, i, tx_slots, &buffers);
  for (uint32_t i = 0; i < rx; i++) check_fresh(port, nif.rx(i), true, i, rx_slots, &buffers);
  // Lowest first from 2; 0 and 1 are nobody's.
  CHECK_EQ(*buffers.begin(), 2u);
  CHECK_EQ(*buffers.rbegin(), static_cast<uint32_t>(buffers.size()) + 1);
  CHECK_EQ(nif.tx(0).slot(0).buf_idx(), 2u);
}

std::vector<uint32_t> extra_list(const Port& port) {
  const RawIf nif = interface_of(port);
  const RawRing any = nif.tx_ofs(0) != 0 ? nif.tx(0) : nif.rx(0);
  std::vector<uint32_t> list;
  for (uint32_t i = nif.bufs_head(); i != 0 && list.size() < 1'000'000;
       i = at<uint32_t>(any.buffer(i), 0)) {
    list.push_back(i);
  }
  return list;
}

Status refusal(Fixture& f, const std::string& name, OpenRequest q) {
  q.name = name;
  std::unique_ptr<Port> port;
  return f.device->open(q, &port);
}

}  // namespace

TEST(a_port_has_every_field_where_netmap_puts_it) {
  Fixture f;
  auto p = f.open("vale0:a");
  check_fresh(*p, 1, 1, 1024, 1024);
}

TEST(one_to_sixteen_rings_of_each_direction) {
  Fixture f;
  for (uint16_t n = 1; n <= 16; n++) {
    const uint16_t m = static_cast<uint16_t>(17 - n);
    auto p = f.open("vale0:a", geometry(n, m, 32, 64));
    check_fresh(*p, n, m, 32, 64);
  }
}

TEST(a_geometry_is_clamped_like_the_reference_s) {
  Fixture f;
  struct {
    uint16_t rings;
    uint32_t slots;
    uint32_t want_rings, want_slots;
  } const cases[] = {{0, 0, 1, 1024},         {1, 2, 1, 2},       {17, 7, 16, 7},
                     {65535, 100, 16, 100},   {1, 4096, 1, 4096}, {1, 4097, 1, 4096},
                     {1, 4000000000, 1, 4096}};
  for (const auto& c : cases) {
    auto p = f.open("vale0:a", geometry(c.rings, c.rings, c.slots, c.slots));
    check_fresh(*p, c.want_rings, c.want_rings, c.want_slots, c.want_slots);
  }
}

TEST(buffer_sizes_are_multiples_of_a_cache_line) {
  Fixture f;
  for (uint32_t size : {64u, 65u, 2048u, 2112u, 4096u, 65472u}) {
    OpenRequest q = geometry(1, 1, 8, 8);
    q.buf_size = size;
    auto p = f.open("vale0:a", q);
    CHECK_EQ(interface_of(*p).tx(0).nr_buf_size() % 64, 0u);
    CHECK(interface_of(*p).tx(0).nr_buf_size() >= size);
    check_fresh(*p, 1, 1, 8, 8);
  }
  for (uint32_t size : {1u, 63u, 65473u, 65535u}) {
    OpenRequest q;
    q.buf_size = size;
    CHECK_EQ(refusal(f, "vale0:a", q).err, EINVAL);
  }
}

TEST(a_long_name_is_cut_to_fifteen_characters) {
  Fixture f;
  auto p = f.open("vale_0123456789:abcdefghijklmno");
  CHECK_EQ(interface_of(*p).name(), "vale_0123456789");
  CHECK_EQ(p->info().name, "vale_0123456789:abcdefghijklmno");
}

TEST(registrations_of_one_port_share_rings_under_interfaces_of_their_own) {
  Fixture f;
  auto first = f.open("vale0:a", geometry(2, 3, 64, 32));
  auto second =
      f.open("vale0:a", geometry(7, 7, 1000, 1000));  // wishes of a later one do not count
  CHECK_EQ(second->info().tx_rings, 2);
  CHECK_EQ(second->info().rx_slots, 32u);
  CHECK_EQ(second->info().mem_id, first->info().mem_id);
  CHECK(second->info().offset != first->info().offset);
  const RawIf a = interface_of(*first), b = interface_of(*second);
  // One allocator has one mapping in a process.
  CHECK_EQ(first->memory_key(), second->memory_key());
  for (uint32_t i = 0; i < 2; i++) CHECK_EQ(a.tx(i).p - first->base(), b.tx(i).p - second->base());
  for (uint32_t i = 0; i < 3; i++) CHECK_EQ(a.rx(i).p - first->base(), b.rx(i).p - second->base());
  // The scratch space is the application's.
  std::memset(a.rx(1).sem(), 0x5a, 128);
  auto peer = f.open("vale0:b");
  f.send(*peer, frame(kBroadcast, mac(1), 60, 1));
  second->rxsync();
  first->txsync();
  for (int i = 0; i < 128; i++) CHECK_EQ(b.rx(1).sem()[i], 0x5a);
  // What one registration sees, the other sees; and the port outlives either.
  CHECK_EQ(a.rx(0).tail(), 1u);
  first.reset();
  CHECK_EQ(b.rx(0).tail(), 1u);
  CHECK_EQ(f.receive(*second).size(), size_t{1});
}

TEST(closing_one_of_two_registrations_does_not_touch_the_other_s_indices) {
  Fixture f;
  auto first = f.open("vale0:a"), second = f.open("vale0:a"), peer = f.open("vale0:b");
  for (int i = 0; i < 3; i++) f.send(*peer, frame(kBroadcast, mac(1), 60, i));
  first->rxsync();
  netmap_ring* r = first->rx_ring(0);
  r->head = 2;  // in the middle of releasing: cur comes next
  second.reset();
  CHECK_EQ(r->head, 2u);
  r->cur = 2;
  first->rxsync();
  CHECK_EQ(f.receive(*first).size(), size_t{1});
}

TEST(a_single_ring_binds_that_ring_alone) {
  Fixture f;
  OpenRequest one = geometry(4, 2, 16, 16);
  one.mode = NR_REG_ONE_NIC;
  one.ring_id = 3;
  auto p = f.open("vale0:a", one);
  const RawIf nif = interface_of(*p);
  CHECK_EQ(nif.tx_rings(), 4u);
  for (uint32_t i = 0; i < 4; i++) CHECK_EQ(nif.tx_ofs(i) != 0, i == 3);
  // The port has no rx ring 3, so that direction gets ring 0, as in the reference.
  CHECK_EQ(nif.rx_ofs(0) != 0, true);
  CHECK_EQ(nif.rx_ofs(1), 0);
  CHECK_EQ(nif.tx(3).ringid(), 3);
  CHECK_EQ(p->first_tx(), 3u);
  CHECK_EQ(p->last_tx(), 4u);
  CHECK_EQ(p->first_rx(), 0u);
  CHECK_EQ(p->last_rx(), 1u);
  one.ring_id = 4;
  const Status s = refusal(f, "vale0:a", one);
  CHECK_EQ(s.err, EINVAL);
  CHECK(s.text.find("ring 4") != std::string::npos);
}

TEST(one_direction_alone) {
  Fixture f;
  OpenRequest q = geometry(2, 2, 16, 16);
  q.flags = NR_RX_RINGS_ONLY;
  auto p = f.open("vale0:a", q);
  CHECK_EQ(interface_of(*p).tx_ofs(0), 0);
  CHECK_EQ(interface_of(*p).tx_ofs(1), 0);
  CHECK(interface_of(*p).rx_ofs(1) != 0);
  CHECK_EQ(p->first_tx(), p->last_tx());
  q.flags = NR_TX_RINGS_ONLY;
  auto r = f.open("vale0:a", q);
  CHECK(interface_of(*r).tx_ofs(1) != 0);
  CHECK_EQ(interface_of(*r).rx_ofs(0), 0);
}

TEST(exclusive_means_ring_by_ring) {
  Fixture f;
  OpenRequest one = geometry(2, 2, 16, 16);
  one.mode = NR_REG_ONE_NIC;
  one.flags = NR_EXCLUSIVE;
  auto p = f.open("vale0:a", one);
  CHECK_EQ(refusal(f, "vale0:a", {}).err, EBUSY);
  one.flags = 0;
  CHECK_EQ(refusal(f, "vale0:a", one).err, EBUSY);
  one.ring_id = 1;
  auto q = f.open("vale0:a", one);
  one.flags = NR_EXCLUSIVE;
  CHECK_EQ(refusal(f, "vale0:a", one).err, EBUSY);  // somebody holds ring 1 already
  q.reset();
  q = f.open("vale0:a", one);
  p.reset();
  q.reset();
  CHECK_OK(refusal(f, "vale0:a", {}));
}

TEST(switch_ports_have_no_host_rings) {
  Fixture f;
  for (uint32_t mode : {NR_REG_SW, NR_REG_NIC_SW, NR_REG_ONE_SW}) {
    OpenRequest q;
    q.mode = mode;
    CHECK_EQ(refusal(f, "vale0:a", q).err, EINVAL);
  }
  for (uint32_t mode : {5u, 6u, 9u, 4000u}) {
    OpenRequest q;
    q.mode = mode;
    CHECK_EQ(refusal(f, "vale0:a", q).err, EINVAL);
  }
  std::vector<PortRow> rows;
  CHECK_OK(f.device->list(&rows));
  CHECK_EQ(rows.size(), size_t{0});
}

TEST(extra_buffers_are_a_list_that_comes_back_and_is_given_again) {
  Fixture f;
  auto owner = f.open("vale0:a", geometry(1, 1, 64, 64));
  OpenRequest q = geometry(1, 1, 64, 64);
  q.mem_id = owner->info().mem_id;
  q.extra_bufs = 5;
  auto p = f.open("vale0:b", q);
  CHECK_EQ(p->info().extra_bufs, 5u);
  std::vector<uint32_t> list = extra_list(*p);
  CHECK_EQ(list, std::vector<uint32_t>({258, 259, 260, 261, 262}));
  // Swap the first with a ring's: the ring keeps that one, the list gives the ring's back.
  netmap_slot& slot = p->tx_ring(0)->slot[7];
  const uint32_t was = slot.buf_idx;
  char* head = NETMAP_BUF(p->tx_ring(0), list[0]);
  std::memcpy(NETMAP_BUF(p->tx_ring(0), was), head, 4);
  p->nifp()->ni_bufs_head = was;
  slot.buf_idx = list[0];
  p.reset();
  p = f.open("vale0:b", q);
  list = extra_list(*p);
  CHECK_EQ(list.size(), size_t{5});
  std::set<uint32_t> all(list.begin(), list.end());
  for (uint32_t i = 0; i < 64; i++) {
    all.insert(p->tx_ring(0)->slot[i].buf_idx);
    all.insert(p->rx_ring(0)->slot[i].buf_idx);
  }
  CHECK_EQ(all.size(), size_t{64 + 64 + 5});
  CHECK_EQ(*all.begin(), 130u);  // after the owner's 128: none leaked
  CHECK_EQ(*all.rbegin(), 262u);
}

TEST(a_ruined_list_of_extra_buffers_hurts_nobody) {
  Fixture f;
  auto owner = f.open("vale0:a", geometry(1, 1, 64, 64));
  OpenRequest q = geometry(1, 1, 64, 64);
  q.mem_id = owner->info().mem_id;
  q.extra_bufs = 8;
  for (int round = 0; round < 3; round++) {
    auto p = f.open("vale0:b", q);
    const std::vector<uint32_t> list = extra_list(*p);
    REQUIRE(list.size() == 8);
    // A loop, an index beyond the region, a reserved one.
    const uint32_t next = round == 0 ? list[0] : round == 1 ? 0xfffffff0u : 1u;
    std::memcpy(NETMAP_BUF(p->tx_ring(0), list[3]), &next, 4);
  }
  f.send(*owner, frame(kBroadcast, mac(1), 60, 1));
  CHECK_EQ(owner->counters().tx_frames, uint64_t{1});
}

TEST(more_extra_buffers_than_there_are_gives_what_there_is) {
  Fixture f;
  auto owner = f.open("vale0:a", geometry(1, 1, 64, 64));
  OpenRequest q = geometry(1, 1, 64, 64);
  q.mem_id = owner->info().mem_id;
  q.extra_bufs = 500'000;
  auto p = f.open("vale0:b", q);
  CHECK(p->info().extra_bufs < 500'000);
  CHECK(p->info().extra_bufs > 1000);
  CHECK_EQ(extra_list(*p).size(), p->info().extra_bufs);
}

TEST(memory_ids_increase_and_name_a_region_to_share) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  CHECK_EQ(a->info().mem_id, 2);  // 1 is the NICs' in the reference
  CHECK_EQ(b->info().mem_id, 3);
  OpenRequest q = geometry(1, 1, 32, 32);
  q.mem_id = 2;
  auto c = f.open("vale1:c", q);
  CHECK_EQ(c->info().mem_id, 2);
  CHECK_EQ(c->memory_key(), a->memory_key());
  CHECK(c->memory_key() != b->memory_key());
  CHECK_EQ(c->base(), a->base());
  CHECK_EQ(interface_of(*c).tx(0).slot(0).buf_idx(), 2u + 2 * 1024);
  q.mem_id = 3;
  CHECK_EQ(refusal(f, "vale0:a", q).err, EINVAL);  // a port has the memory it has
  q.mem_id = 4;
  const Status s = refusal(f, "vale0:d", q);
  CHECK_EQ(s.err, EINVAL);
  CHECK(s.text.find("no memory with id 4") != std::string::npos);
  // A region lives while a port uses it, whoever made it.
  a.reset();
  CHECK_EQ(f.receive(*c).size(), size_t{0});
  q.mem_id = 2;
  auto d = f.open("vale1:d", q);
  f.send(*c, frame(kBroadcast, mac(1), 60, 5));
  CHECK_EQ(f.receive(*d), std::vector<std::string>{frame(kBroadcast, mac(1), 60, 5)});
  c.reset();
  d.reset();
  CHECK_EQ(refusal(f, "vale1:e", q).err, EINVAL);
}

TEST(a_probe_answers_and_leaves_nothing) {
  Fixture f;
  const auto files = f.files();
  PortInfo info;
  CHECK_OK(f.device->info("vale7:x", {}, &info));
  CHECK_EQ(info.tx_slots, 1024u);
  CHECK_EQ(info.rx_rings, 1);
  CHECK(info.mem_id >= 2);
  auto p = f.open("vale7:x");
  CHECK_EQ(p->info().memsize, info.memsize);
  CHECK_EQ(p->info().mem_id, info.mem_id);
  p.reset();
  std::vector<PortRow> rows;
  CHECK_OK(f.device->list(&rows));
  CHECK_EQ(rows.size(), size_t{0});
  CHECK_EQ(f.device->info("em_none", {}, &info).err, ENXIO);
}

TEST(rings_in_a_shared_region_must_fit_it) {
  Fixture f;
  auto owner = f.open("vale0:a", geometry(1, 1, 64, 64));
  OpenRequest q = geometry(1, 1, 4096, 4096);
  q.mem_id = owner->info().mem_id;
  const Status s = refusal(f, "vale0:b", q);
  CHECK_EQ(s.err, ENOMEM);
  q = geometry(16, 16, 32, 32);
  q.mem_id = owner->info().mem_id;
  {
    auto c = f.open("vale0:c", q), d = f.open("vale0:d", q);
    CHECK_EQ(refusal(f, "vale0:b", q).err, ENOMEM);  // rings run out
  }
  q = geometry(1, 1, 64, 64);
  q.mem_id = owner->info().mem_id;
  CHECK_OK(refusal(f, "vale0:b", q));  // and what a refused one had taken is free again
  std::vector<PortRow> rows;
  CHECK_OK(f.device->list(&rows));
  CHECK_EQ(rows.size(), size_t{1});
}

TEST(a_port_is_open_at_most_64_times) {
  Fixture f;
  std::vector<std::unique_ptr<Port>> ports;
  std::set<uint64_t> offsets;
  for (int i = 0; i < 64; i++) {
    ports.push_back(f.open("vale0:a", geometry(1, 1, 8, 8)));
    offsets.insert(ports.back()->info().offset);
  }
  CHECK_EQ(offsets.size(), size_t{64});
  CHECK_EQ(refusal(f, "vale0:a", {}).err, ENOMEM);
  ports.erase(ports.begin() + 17);
  ports.push_back(f.open("vale0:a"));
  CHECK_EQ(ports.back()->info().tx_slots, 8u);
}
