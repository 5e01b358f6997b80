// SPDX-License-Identifier: BSD-2-Clause
// Monitors and null ports: what a watcher sees, what its parent must not feel.
#include "device/wait.h"
#include "support/check.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

OpenRequest watch(uint64_t flags, uint32_t slots = 0) {
  OpenRequest q;
  q.flags = flags;
  q.rx_slots = slots;
  return q;
}
constexpr uint64_t kSent = NR_MONITOR_TX, kArriving = NR_MONITOR_RX, kBoth = kSent | kArriving;

using Frames = std::vector<std::string>;
const std::string one = frame(mac(2), mac(1), 60, 1), two = frame(mac(1), mac(2), 1000, 2);

}  // namespace

TEST(a_monitor_sees_what_its_parent_sends_and_gets) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  auto both = f.open("vale0:a", watch(kBoth)), sent = f.open("vale0:a", watch(kSent)),
       arriving = f.open("vale0:a", watch(kArriving));
  CHECK_EQ(both->info().name, "vale0:a/rt#0");
  CHECK(both->info().mem_id != a->info().mem_id);
  f.send(*a, one);
  f.send(*b, two);
  both->rxsync();
  CHECK_EQ(both->rx_ring(0)->slot[0].flags & NS_TXMON, NS_TXMON);
  CHECK_EQ(both->rx_ring(0)->slot[1].flags & NS_TXMON, 0);
  // The parent has read nothing yet.
  CHECK_EQ(f.receive(*both), (Frames{one, two}));
  CHECK_EQ(f.receive(*sent), (Frames{one}));
  CHECK_EQ(f.receive(*arriving), (Frames{two}));
  CHECK_EQ(f.receive(*a), (Frames{two}));
  CHECK_EQ(f.receive(*b), (Frames{one}));
  CHECK_EQ(names(*f.device), (std::vector<std::string>{"vale0:a", "vale0:a/rt#0", "vale0:a/t#0",
                                                       "vale0:a/r#0", "vale0:b"}));
  CHECK_EQ(both->counters().rx_frames, 2u);
  CHECK_EQ(both->counters().rx_bytes, 1060u);
  // Watching changes no account.
  CHECK_EQ(a->counters().tx_copies, 1u);
  CHECK_EQ(b->counters().tx_copies, 1u);
  // One that left is not fed; the others are.
  sent.reset();
  f.send(*a, one);
  CHECK_EQ(f.receive(*both), (Frames{one}));
  CHECK_EQ(names(*f.device).size(), size_t{4});
}

TEST(runs_floods_and_fragments_are_watched_alike) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b"), c = f.open("vale0:c");
  auto at_b = f.open("vale0:b", watch(kBoth)), at_a = f.open("vale0:a", watch(kBoth));
  Frames expected;
  for (uint32_t i = 0; i < 300; i++) {
    expected.push_back(frame(i % 90 < 60 ? mac(2) : kBroadcast, mac(1), 60 + i, i));
    f.put(*a, expected.back());
    if (i % 100 == 99) {
      expected.push_back(frame(mac(2), mac(1), 5000, i));
      f.put(*a, expected.back());
    }
  }
  a->txsync();
  CHECK_EQ(f.receive(*at_b), expected);
  CHECK_EQ(f.receive(*at_a), expected);
  CHECK_EQ(at_b->counters().rx_frames, uint64_t{expected.size()});
  CHECK_EQ(at_b->counters().rx_read, uint64_t{expected.size()});
  CHECK_EQ(f.receive(*b), expected);
}

// Frames for many ports at once take a way of their own (scatter.cc); who is watched is left out of it.
TEST(one_of_many_destinations_is_watched) {
  Fixture f;
  auto a = f.open("vale0:a");
  std::vector<std::unique_ptr<Port>> others;
  for (uint32_t i = 0; i < 40; i++) {
    others.push_back(f.open("vale0:p" + std::to_string(i)));
    f.send(*others[i], frame(mac(1), mac(100 + i), 60, i));
  }
  auto m = f.open("vale0:p7", watch(kArriving));
  Frames expected;
  for (uint32_t i = 0; i < 240; i++) {
    const std::string s = frame(mac(100 + i % 40), mac(1), 60, i);
    f.put(*a, s);
    if (i % 40 == 7) expected.push_back(s);
  }
  a->txsync();
  CHECK_EQ(f.receive(*m), expected);
  CHECK_EQ(f.receive(*others[7]).back(), expected.back());
}

TEST(a_full_monitor_keeps_the_newest_and_holds_nobody_up) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  auto m = f.open("vale0:a", watch(kSent, 16));
  Frames all;
  for (uint32_t i = 0; i < 100; i++) {
    all.push_back(frame(mac(2), mac(1), 60, i));
    f.put(*a, all.back());
  }
  a->txsync();
  CHECK_EQ(f.receive(*b), all);
  CHECK_EQ(f.receive(*m), Frames(all.end() - 15, all.end()));
  CHECK_EQ(m->counters().drops[static_cast<unsigned>(Drop::ring_full)], 85u);
  CHECK_EQ(a->counters().tx_delivered, 100u);
  // A frame that fits in part only is left out as a whole.
  f.put(*a, frame(mac(2), mac(1), 40000, 1));
  f.put(*a, all[0]);
  a->txsync();
  CHECK_EQ(f.receive(*m), Frames{all[0]});
}

TEST(frames_are_cut_to_the_monitors_buffers) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  OpenRequest q = watch(kSent);
  q.buf_size = 128;
  auto m = f.open("vale0:a", q);
  const std::string s = frame(mac(2), mac(1), 1000, 3);
  f.send(*a, s);
  CHECK_EQ(f.receive(*m), Frames{s.substr(0, 128)});
  CHECK_EQ(f.receive(*b), Frames{s});
}

TEST(a_watcher_sleeps_until_something_passes_and_learns_of_the_end) {
  Fixture f;
  auto a = f.open("vale0:a");
  auto m = f.open("vale0:a", watch(kBoth));
  PortWait wait{m.get(), POLLIN};
  CHECK_EQ(wait_ports(&wait, 1, 20, 0, -1), 0);
  m->arm(POLLIN);
  f.send(*a, one);
  pollfd p{m->fd(), POLLIN, 0};
  CHECK_EQ(poll(&p, 1, 500), 1);
  m->disarm();
  CHECK_EQ(m->ready(POLLOUT), POLLERR);
  a.reset();
  CHECK_EQ(m->ready(POLLIN), POLLIN);  // what was seen is still there
  CHECK_EQ(f.receive(*m), Frames{one});
  CHECK_EQ(m->ready(POLLIN), POLLERR);
  CHECK_EQ(m->rxsync(), EPIPE);
  CHECK_EQ(names(*f.device), std::vector<std::string>{"vale0:a/rt#0"});
  m.reset();
  CHECK(names(*f.device).empty());
}

TEST(pipes_are_watched_too) {
  Fixture f;
  auto a = f.open("vale0:a{1"), b = f.open("vale0:a}1");
  auto m = f.open("vale0:a{1", watch(kBoth)), n = f.open("vale0:a}1", watch(kArriving));
  f.send(*a, one);
  f.send(*b, two);
  CHECK_EQ(f.receive(*m), (Frames{one, two}));
  CHECK_EQ(f.receive(*n), (Frames{one}));
  CHECK_EQ(f.receive(*b), Frames{one});
  a.reset();
  b.reset();
  CHECK_EQ(m->ready(POLLIN), POLLERR);
}

TEST(one_ring_of_several) {
  Fixture f;
  OpenRequest q;
  q.tx_rings = q.rx_rings = 3;
  auto a = f.open("vale0:a", q);
  OpenRequest w = watch(kSent);
  w.mode = NR_REG_ONE_NIC;
  w.ring_id = 1;
  auto m = f.open("vale0:a", w);
  CHECK_EQ(m->info().rx_rings, 3);
  for (unsigned i = 0; i < 3; i++) f.put(*a, frame(mac(2), mac(1), 60, i), 0, 0, i);
  a->txsync();
  CHECK(f.receive(*m, 0).empty());
  CHECK_EQ(f.receive(*m, 1), Frames{frame(mac(2), mac(1), 60, 1)});
  CHECK(f.receive(*m, 2).empty());
  w.ring_id = 3;
  CHECK_EQ(opening(*f.device, "vale0:a", w).err, EINVAL);
}

TEST(what_cannot_be_watched_is_refused) {
  Fixture f;
  CHECK_EQ(opening(*f.device, "vale0:a", watch(kBoth)).err, EINVAL);
  CHECK_EQ(opening(*f.device, "nobody", watch(kBoth)).err, ENXIO);
  CHECK(names(*f.device).empty());
  auto a = f.open("vale0:a");
  auto m = f.open("vale0:a", watch(kBoth));
  CHECK_EQ(opening(*f.device, m->info().name, watch(kBoth)).err, EINVAL);
  OpenRequest q = watch(kBoth);
  q.mode = NR_REG_SW;
  CHECK_EQ(opening(*f.device, "vale0:a", q).err, EINVAL);
}

TEST(a_null_port_has_buffers_and_leads_nowhere) {
  Fixture f;
  auto a = f.open("vale0:a");
  OpenRequest q;
  q.mode = NR_REG_NULL;
  q.extra_bufs = 5;
  CHECK_EQ(opening(*f.device, "vale0:n", q).err, EINVAL);
  q.mem_id = 999;
  CHECK_EQ(opening(*f.device, "vale0:n", q).err, EINVAL);
  q.mem_id = a->info().mem_id;
  auto n = f.open("vale0:n", q);
  CHECK_EQ(n->info().tx_rings, 0);
  CHECK_EQ(n->info().rx_rings, 0);
  CHECK_EQ(n->info().extra_bufs, 5u);
  CHECK_EQ(n->memory_key(), a->memory_key());
  CHECK_EQ(n->txsync(), 0);
  CHECK_EQ(n->rxsync(), 0);
  CHECK(n->nifp()->ni_bufs_head >= 2);
  q.tx_rings = 2;
  auto other = f.open("anything at all", q);
  CHECK_EQ(other->info().tx_rings, 2);
  CHECK_EQ(other->tx_ring(1)->num_slots, 1024u);
  n.reset();
  other.reset();
  CHECK_EQ(names(*f.device), std::vector<std::string>{"vale0:a"});
}
