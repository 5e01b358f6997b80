// SPDX-License-Identifier: BSD-2-Clause
// Pipes as an application sees them: nothing lost, nothing copied, both ends open and closed at will.
#include <pthread.h>

#include <deque>
#include <random>
#include <thread>

#include "device/wait.h"
#include "support/check.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

uint32_t room(const netmap_ring* r) {
  return r->tail >= r->head ? r->tail - r->head : r->tail + r->num_slots - r->head;
}

// One frame of 4 bytes into the next slot, without a sync; its number comes out of `numbers`.
void put_number(Port& p, uint32_t number, uint16_t flags = 0) {
  netmap_ring* r = p.tx_ring(0);
  netmap_slot& slot = r->slot[r->head];
  std::memcpy(NETMAP_BUF(r, slot.buf_idx), &number, sizeof number);
  slot.len = sizeof number;
  slot.flags = flags;
  r->head = r->cur = r->head + 1 == r->num_slots ? 0 : r->head + 1;
}

std::vector<uint32_t> numbers(Port& p, uint32_t most = ~0u) {
  std::vector<uint32_t> out;
  p.rxsync();
  netmap_ring* r = p.rx_ring(0);
  while (r->head != r->tail && out.size() < most) {
    uint32_t number;
    std::memcpy(&number, NETMAP_BUF(r, r->slot[r->head].buf_idx), sizeof number);
    out.push_back(number);
    r->head = r->cur = r->head + 1 == r->num_slots ? 0 : r->head + 1;
  }
  p.rxsync();
  return out;
}

OpenRequest slots(uint32_t n) {
  OpenRequest q;
  q.tx_slots = q.rx_slots = n;
  return q;
}

}  // namespace

TEST(frames_pass_both_ways_without_being_copied) {
  Fixture f;
  auto a = f.open("vale0:a{1"), b = f.open("vale0:a}1");
  CHECK_EQ(a->info().mem_id, b->info().mem_id);
  CHECK_EQ(a->info().name, "vale0:a{1");
  for (Port* from : {a.get(), b.get()}) {
    Port* to = from == a.get() ? b.get() : a.get();
    const uint32_t first = from->tx_ring(0)->slot[0].buf_idx;
    CHECK_EQ(to->rx_ring(0)->slot[0].buf_idx, first);
    const std::string s = frame(mac(1), mac(2), 1000, 7);
    f.send(*from, s);
    to->rxsync();
    CHECK_EQ(to->rx_ring(0)->slot[0].buf_idx, first);
    CHECK_EQ(to->rx_ring(0)->slot[0].flags, 0);
    CHECK_EQ(f.receive(*to), std::vector<std::string>{s});
  }
  // Nothing of it is on the switch.
  CHECK_EQ(names(*f.device), (std::vector<std::string>{"vale0:a", "vale0:a{1", "vale0:a}1"}));
  CHECK_EQ(a->counters().tx_frames, 1u);
  CHECK_EQ(a->counters().tx_bytes, 1000u);
  CHECK_EQ(a->counters().tx_delivered, 1u);
  CHECK_EQ(b->counters().rx_frames, 1u);
  CHECK_EQ(b->counters().rx_read, 1u);
}

TEST(a_full_pipe_takes_no_more_and_loses_nothing) {
  Fixture f;
  auto a = f.open("vale0:a{x", slots(64)), b = f.open("vale0:a}x");
  CHECK_EQ(b->info().rx_slots, 64u);
  uint32_t next = 0, expected = 0;
  for (int turn = 0; turn < 1000; turn++) {
    while (room(a->tx_ring(0)) > 0) put_number(*a, next++);
    a->txsync();
    if (turn == 0) CHECK_EQ(a->ready(POLLOUT), 0);
    for (uint32_t n : numbers(*b, 1 + static_cast<uint32_t>(turn) * 7 % 63))
      CHECK_EQ(n, expected++);
    a->txsync();
  }
  for (uint32_t n : numbers(*b)) CHECK_EQ(n, expected++);
  CHECK_EQ(expected, next);
  const PortCounters t = a->counters(), r = b->counters();
  CHECK_EQ(t.tx_frames, uint64_t{next});
  CHECK_EQ(r.rx_read, uint64_t{next});
  for (unsigned d = 0; d < kDropReasons; d++) CHECK_EQ(t.drops[d] + r.drops[d], 0u);
}

TEST(a_sender_without_room_sleeps_until_there_is_some) {
  Fixture f;
  auto a = f.open("vale0:a{1", slots(16)), b = f.open("vale0:a}1");
  while (room(a->tx_ring(0)) > 0) put_number(*a, 1);
  PortWait wait{a.get(), POLLOUT};
  CHECK_EQ(wait_ports(&wait, 1, 50, 0, -1), 0);
  std::thread reader([&] {
    usleep(100000);
    CHECK_EQ(numbers(*b, 3).size(), size_t{3});
  });
  CHECK_EQ(wait_ports(&wait, 1, 900, 0, -1), 1);
  CHECK_EQ(wait.revents, POLLOUT);
  reader.join();
  CHECK_EQ(room(a->tx_ring(0)), 3u);
}

TEST(a_receiver_sleeps_until_something_comes) {
  Fixture f;
  auto a = f.open("vale0:a{1"), b = f.open("vale0:a}1");
  PortWait wait{b.get(), POLLIN};
  std::thread sender([&] {
    usleep(50000);
    put_number(*a, 5);
    a->txsync();
  });
  CHECK_EQ(wait_ports(&wait, 1, 900, 0, -1), 1);
  sender.join();
  CHECK_EQ(numbers(*b), std::vector<uint32_t>{5});
}

TEST(an_end_may_be_alone_and_come_back) {
  Fixture f;
  uint16_t memory = 0;
  {
    auto a = f.open("vale0:a{1", slots(32));
    memory = a->info().mem_id;
    for (uint32_t i = 0; i < 31; i++) put_number(*a, i);
    a->txsync();
    CHECK_EQ(room(a->tx_ring(0)), 0u);
    {
      auto b = f.open("vale0:a}1");
      CHECK_EQ(numbers(*b, 10).size(), size_t{10});
    }
    a->txsync();
    CHECK_EQ(room(a->tx_ring(0)), 10u);
    auto b = f.open("vale0:a}1");
    a.reset();
    CHECK_EQ(numbers(*b, 1), std::vector<uint32_t>{10});
    a = f.open("vale0:a{1");
    CHECK_EQ(a->info().mem_id, memory);
    put_number(*a, 31);
    a->txsync();
    const auto rest = numbers(*b);
    REQUIRE(rest.size() == 21);
    CHECK_EQ(rest.front(), 11u);
    CHECK_EQ(rest.back(), 31u);
  }
  CHECK(names(*f.device).empty());
  auto b = f.open("vale0:a}1", slots(32));
  CHECK(numbers(*b).empty());  // destroyed with its last close: a new pipe is empty
}

TEST(nothing_is_left_of_a_pipe) {
  Fixture f;
  { auto port = f.open("vale0:z"); }
  const auto files = f.files();
  {
    auto parent = f.open("vale0:a");
    auto a = f.open("vale0:a{1"), b = f.open("vale0:a}1");
    parent.reset();
    put_number(*a, 1);
    a->txsync();
    CHECK_EQ(numbers(*b).size(), size_t{1});
    parent = f.open("vale0:a");
    CHECK_EQ(parent->info().mem_id, a->info().mem_id);
    a.reset();
    b.reset();
    CHECK_EQ(names(*f.device), std::vector<std::string>{"vale0:a"});
  }
  CHECK_EQ(f.files(), files);
}

TEST(a_pipe_of_nothing_has_a_hidden_parent) {
  Fixture f;
  auto a = f.open("lonely{1");
  CHECK_EQ(names(*f.device), (std::vector<std::string>{"lonely", "lonely{1", "lonely}1"}));
  PortInfo info;
  CHECK_EQ(f.device->remove("lonely").err, EINVAL);
  uint32_t index;
  OpenRequest q;
  q.name = "vale0:lonely";
  CHECK_EQ(f.device->attach(q, &index).err, EINVAL);
  a.reset();
  CHECK(names(*f.device).empty());

  q.name = "kept";
  CHECK_OK(f.device->create(q, &info));
  a = f.open("kept{1");
  CHECK_EQ(a->info().mem_id, info.mem_id);
  CHECK_EQ(f.device->remove("kept").err, EBUSY);
  a.reset();
  CHECK_OK(f.device->remove("kept"));
}

TEST(only_whole_frames_arrive) {
  Fixture f;
  auto a = f.open("vale0:a{1", slots(8)), b = f.open("vale0:a}1");
  put_number(*a, 1);
  put_number(*a, 2, NS_MOREFRAG);
  put_number(*a, 3, NS_MOREFRAG);
  a->txsync();
  CHECK_EQ(numbers(*b), std::vector<uint32_t>{1});
  put_number(*a, 4);
  a->txsync();
  b->rxsync();
  CHECK_EQ(b->rx_ring(0)->slot[1].flags, NS_MOREFRAG);
  CHECK_EQ(numbers(*b), (std::vector<uint32_t>{2, 3, 4}));
  CHECK_EQ(b->counters().rx_frames, 2u);
  CHECK_EQ(b->counters().rx_read, 2u);
  CHECK_EQ(b->counters().rx_bytes, 16u);
  // One that is as long as the ring goes in pieces rather than never.
  for (uint32_t i = 0; i < 7; i++) put_number(*a, i, NS_MOREFRAG);
  a->txsync();
  CHECK_EQ(numbers(*b).size(), size_t{7});
}

TEST(a_receiver_may_swap_buffers) {
  Fixture f;
  OpenRequest q = slots(8);
  q.extra_bufs = 1;
  auto a = f.open("vale0:a{1", slots(8)), b = f.open("vale0:a}1", q);
  const uint32_t extra = b->nifp()->ni_bufs_head;
  REQUIRE(extra >= 2);
  put_number(*a, 1);
  a->txsync();
  b->rxsync();
  netmap_ring* r = b->rx_ring(0);
  const uint32_t taken = r->slot[0].buf_idx;
  r->slot[0].buf_idx = extra;
  r->slot[0].flags |= NS_BUF_CHANGED;
  b->nifp()->ni_bufs_head = taken;
  uint32_t none = 0;
  std::memcpy(NETMAP_BUF(r, taken), &none, sizeof none);
  r->head = r->cur = 1;
  b->rxsync();
  CHECK_EQ(r->slot[0].flags & NS_BUF_CHANGED, 0);
  CHECK_EQ(a->tx_ring(0)->slot[0].buf_idx, extra);
  for (uint32_t i = 2; i < 10; i++) {
    put_number(*a, i);
    a->txsync();
    CHECK_EQ(numbers(*b), std::vector<uint32_t>{i});
  }
}

TEST(what_is_in_a_ring_hurts_only_its_owner) {
  Fixture f;
  auto a = f.open("vale0:a{1", slots(8)), b = f.open("vale0:a}1");
  netmap_ring* t = a->tx_ring(0);
  t->slot[0] = {0xfffffff0, 60, 0, 0};
  t->slot[1] = {1, 60, 0, 0};
  t->slot[2].len = 0xffff;
  t->head = t->cur = 3;
  a->txsync();
  b->rxsync();
  netmap_ring* r = b->rx_ring(0);
  CHECK_EQ(r->tail, 3u);
  for (uint32_t i = 0; i < 3; i++) CHECK_EQ(r->slot[i].len, 0);
  CHECK_EQ(r->slot[0].buf_idx, 0u);
  CHECK_EQ(r->slot[2].buf_idx, t->slot[2].buf_idx);
  r->slot[2].buf_idx = 0xffffffff;
  r->slot[2].flags |= NS_BUF_CHANGED;
  r->head = r->cur = 3;
  b->rxsync();
  CHECK(t->slot[2].buf_idx < 100000u);
  for (uint32_t bad : {8u, 0xffffffffu, 6u}) {
    t->head = bad;
    CHECK_EQ(a->txsync(), 0);
    r->head = bad;
    CHECK_EQ(b->rxsync(), 0);
  }
  CHECK_EQ(t->head, 3u);
  CHECK_EQ(r->head, 3u);
}

// Batches of any length, of slots that mostly need no look of their own.
TEST(slots_of_every_kind_pass_as_they_should) {
  Fixture f;
  auto a = f.open("vale0:a{1"), b = f.open("vale0:a}1");
  netmap_ring *t = a->tx_ring(0), *r = b->rx_ring(0);
  std::vector<uint32_t> own;
  for (uint32_t i = 0; i < t->num_slots; i++) own.push_back(t->slot[i].buf_idx);
  std::mt19937 random(7);
  std::deque<netmap_slot> expected;
  uint64_t frames = 0, bytes = 0;
  constexpr int kTurns = 600;
  for (int turn = 0; turn < kTurns; turn++) {
    const uint32_t first = t->head;
    for (uint64_t count = random() % room(t); count > 0; count--) {
      netmap_slot slot = {own[t->head], static_cast<uint16_t>(random() % 2048), 0x0100, random()};
      netmap_slot arrives = slot;
      const uint64_t kind = random() % 400;
      if (kind == 0) slot.buf_idx = static_cast<uint32_t>(random() | 1u << 31), arrives.buf_idx = 0;
      if (kind == 1) slot.buf_idx = 1, arrives.buf_idx = 0;
      if (kind == 2) slot.len = 0xffff;
      if (kind <= 2) arrives.len = 0;
      if (kind == 3) slot.flags |= NS_BUF_CHANGED;
      if (kind == 4) slot.flags = arrives.flags = NS_REPORT;
      // The last turn ends whatever has begun.
      if (kind == 5 && turn > kTurns / 2 && turn < kTurns - 1)
        slot.flags = arrives.flags = NS_MOREFRAG;
      expected.push_back(arrives);
      bytes += arrives.len;
      if ((arrives.flags & NS_MOREFRAG) == 0) frames++;
      t->slot[t->head] = slot;
      t->head = t->cur = t->head + 1 == t->num_slots ? 0 : t->head + 1;
    }
    if (turn == kTurns - 1) put_number(*a, 1);
    a->txsync();
    for (uint32_t i = first; i != t->head; i = i + 1 == t->num_slots ? 0 : i + 1)
      CHECK_EQ(t->slot[i].flags & NS_BUF_CHANGED, 0);
    b->rxsync();
    while (r->head != r->tail) {
      if (expected.empty()) break;  // put_number's
      const netmap_slot &got = r->slot[r->head], &want = expected.front();
      CHECK_EQ(got.buf_idx, want.buf_idx);
      CHECK_EQ(got.len, want.len);
      CHECK_EQ(got.flags, want.flags);
      CHECK_EQ(got.ptr, want.ptr);
      expected.pop_front();
      r->head = r->cur = r->head + 1 == r->num_slots ? 0 : r->head + 1;
    }
    b->rxsync();
    a->txsync();
  }
  CHECK(expected.empty());
  CHECK_EQ(b->counters().rx_frames, frames + 1);
  CHECK_EQ(b->counters().rx_bytes, bytes + 4);
}

TEST(several_rings_and_single_ones) {
  Fixture f;
  OpenRequest q = slots(16);
  q.tx_rings = 3;
  q.rx_rings = 2;
  auto a = f.open("vale0:a{1", q), b = f.open("vale0:a}1");
  CHECK_EQ(b->info().tx_rings, 2);
  CHECK_EQ(b->info().rx_rings, 3);
  for (unsigned i = 0; i < 3; i++) f.put(*a, frame(mac(1), mac(2), 60, i), 0, 0, i);
  a->txsync();
  for (unsigned i = 0; i < 3; i++)
    CHECK_EQ(f.receive(*b, i), std::vector<std::string>{frame(mac(1), mac(2), 60, i)});
  OpenRequest one;
  one.mode = NR_REG_ONE_NIC;
  one.ring_id = 2;
  one.flags = NR_EXCLUSIVE;
  CHECK_EQ(opening(*f.device, "vale0:a{1", one).err, EBUSY);
  a.reset();
  CHECK_EQ(opening(*f.device, "vale0:a{1", one).err, 0);
}

TEST(as_many_pipes_as_the_memory_holds) {
  Fixture f;
  auto parent = f.open("vale0:a");
  std::vector<std::unique_ptr<Port>> ports;
  int err = 0;
  while (err == 0 && ports.size() < 64) {
    const std::string name = "vale0:a{" + std::to_string(ports.size());
    std::unique_ptr<Port> port;
    OpenRequest q;
    q.name = name;
    err = f.device->open(q, &port).err;
    if (err == 0) ports.push_back(std::move(port));
  }
  CHECK_EQ(err, ENOMEM);
  CHECK_EQ(ports.size(), size_t{16});
  ports.pop_back();
  ports.push_back(f.open("vale0:a{again"));
}

TEST(what_cannot_be_a_pipe_is_refused) {
  Fixture f;
  for (const char* name : {"{1", "vale0:a{", "vale0:a{1}2", "vale0:a{1{2", "vale0:a{x.y"})
    CHECK_EQ(opening(*f.device, name).err, EINVAL);
  CHECK_EQ(opening(*f.device, "lo{1").err, 0);
  CHECK_EQ(opening(*f.device, "lo").err, ENXIO);
  OpenRequest q;
  q.mode = NR_REG_SW;
  CHECK_EQ(opening(*f.device, "vale0:a{1", q).err, EINVAL);
  q.mode = NR_REG_ONE_NIC;
  q.ring_id = 4;
  CHECK_EQ(opening(*f.device, "vale0:a{1", q).err, EINVAL);
  q = {};
  q.mem_id = 999;
  CHECK_EQ(opening(*f.device, "vale0:a{1", q).err, EINVAL);
  auto a = f.open("vale0:a{1");
  CHECK_EQ(opening(*f.device, "vale0:a}1", q).err, EINVAL);
  CHECK_EQ(f.device->set_header_length("vale0:a{1", 10).err, ENXIO);
  CHECK_EQ(f.device->get_header_length("vale0:a{2", nullptr).err, ENODEV);
  PortInfo info;
  CHECK_OK(f.device->info("vale0:a}1", {}, &info));
  CHECK_EQ(info.mem_id, a->info().mem_id);
  a.reset();
  CHECK(names(*f.device).empty());
}
