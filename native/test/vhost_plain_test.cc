// SPDX-License-Identifier: BSD-2-Clause
// Frames of one buffer each, which an agent moves many at a time, among others that it does not: order, counters and
// refusals are those of frames moved one by one. The agent is stopped while queues are filled, so that it finds
// them as they were meant to be found.
#include <signal.h>

#include "test/support/child.h"
#include "test/support/super_frame.h"
#include "test/support/together.h"
#include "vhost/plain.h"

using namespace vale;
using namespace vale::vhost;
using master::Driver;
using master::Master;

namespace {

constexpr uint32_t kOneBuffer = 1 << 20;  // what no frame needs more pieces for

constexpr DriverKind kKinds[] = {
    {"split", master::kUsual, false, kOneBuffer, 1600, 128},
    {"split, in tables", master::kUsual, true, kOneBuffer, 1600, 128},
    {"split, no events, legacy", kProtocolFeatures, false, kOneBuffer, 10000, 128},
    {"packed", master::kUsual | kPacked, false, kOneBuffer, 1600, 128},
    {"packed, in tables", master::kUsual | kPacked, true, kOneBuffer, 1600, 128},
    {"packed, an odd size", master::kUsual | kPacked, false, kOneBuffer, 1600, 101},
};

// While one lives the sender's agent sees nothing; before, the sender has all its buffers back.
class Stopped {
 public:
  Stopped(Together& t, Master& sender) : pid_(static_cast<pid_t>(t.row(1).pid)) {
    Driver& q = sender.tx();
    for (int i = 0; i < 3000 && q.free.size() != q.size; i++) {
      sender.reclaim(q);
      usleep(i == 0 ? 0 : 1000);
    }
    stop_other(pid_);
  }
  ~Stopped() { kill(pid_, SIGCONT); }

 private:
  const pid_t pid_;
};

std::string numbered(const std::string& to, uint32_t i, size_t size = 0) {
  return frame(to, mac(1), size != 0 ? size : 60 + i * 37 % 1400, i);
}

bool arrive(Master& b, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) {
    if (body(b, b.receive()) == numbered(mac(2), i)) continue;
    std::printf("  not as it was sent, or not there: %u\n", i);
    return false;
  }
  return true;
}

// Of what went from the first to the second, when the agent has said so. cut: frames became several for the guest.
void check_account(Together& t, bool cut = false) {
  PortCounters got;
  uint64_t delivered = 0;
  for (int i = 0; i < 1000; i++) {
    got = t.counters(2);
    delivered = t.row(2).wire.tx_delivered;
    if (got.rx_frames == got.rx_read && (cut || delivered == got.rx_read)) break;
    usleep(1000);
  }
  const PortCounters sent = t.counters(1);
  CHECK_EQ(sent.tx_copies, sent.tx_delivered + drops(sent));
  CHECK_EQ(got.rx_frames, got.rx_read);
  if (!cut) CHECK_EQ(delivered, got.rx_read);
}

// A receive buffer that is not as the others.
void offer_buffer(Master& m, uint32_t bytes) {
  Driver& q = m.rx();
  const uint64_t data = q.buffers + uint64_t{q.next_id(1)} * q.buffer_bytes;
  q.offer({{m.guest(data), bytes, kWritable, 0}});
}

struct Met {
  Together t;
  Master a, b;

  Met(const DriverKind& from, const DriverKind& to, bool apart = false)
      : t(apart), a(from.options()), b(to.options()) {
    for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
    CHECK(meet(t, a, b));
  }
};

void go_round(Together& t, const DriverKind& from, const DriverKind& to) {
  Master a(from.options()), b(to.options());
  REQUIRE(meet(t, a, b));
  const uint32_t tail = t.tail(2);
  const uint64_t before = t.counters(1).tx_frames;
  uint32_t next = 0;
  for (uint32_t burst = 1; burst <= 97; burst += 6) {
    {
      Stopped now(t, a);
      for (uint32_t i = 0; i < burst; i++) CHECK(a.send(numbered(mac(2), next + i)));
    }
    CHECK(arrive(b, next, next + burst));
    next += burst;
  }
  // Past the rings of the ports, or through one.
  CHECK_EQ((t.tail(2) + 1024 - tail) % 1024, t.apart ? next % 1024 : 0);
  check_account(t);
  CHECK_EQ(t.counters(1).tx_frames, before + next);
  if (check::state().failed)
    std::printf("  from %s to %s%s\n", from.what, to.what, t.apart ? ", apart" : "");
}

}  // namespace

TEST(copies_are_exact_at_every_length) {
  char from[400], to[400], expected[400];
  for (uint32_t i = 0; i < sizeof from; i++) from[i] = static_cast<char>(i * 7 + 1);
  for (uint32_t n = 0; n < 300; n++) {
    std::memset(to, 0x55, sizeof to);
    std::memset(expected, 0x55, sizeof expected);
    std::memcpy(expected + 3, from + 5, n);
    copy_exactly(to + 3, from + 5, n);
    CHECK(std::memcmp(to, expected, sizeof to) == 0);
  }
}

TEST(many_at_a_time_round_the_rings_again_and_again) {
  Together t;
  for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
  for (const DriverKind& from : kKinds) {
    for (const DriverKind& to : kKinds) {
      go_round(t, from, to);
      if (check::state().failed) return;
    }
  }
}

TEST(many_at_a_time_to_a_guest_of_another_agent) {
  Together t(true);
  for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
  for (const DriverKind& from : kKinds) {
    go_round(t, from, kKinds[3]);
    if (check::state().failed) return;
  }
}

// More than the other agent's ring holds: what finds it full is dropped, and counted, and the others stay in order.
TEST(a_ring_that_is_full_takes_its_first_ones) {
  Met met(kKinds[0], kKinds[0], true);
  const pid_t other = static_cast<pid_t>(met.t.row(2).pid);
  stop_other(other);
  const PortCounters before = met.t.counters(1);
  for (uint32_t i = 0; i < 1500;) {
    if (met.a.send(numbered(mac(2), i, 100))) {
      i++;
    } else {
      usleep(100);
    }
  }
  for (int i = 0; i < 3000 && met.t.counters(1).tx_frames != before.tx_frames + 1500; i++)
    usleep(1000);
  kill(other, SIGCONT);
  for (uint32_t i = 0; i < 1023; i++)
    CHECK(body(met.b, met.b.receive()) == numbered(mac(2), i, 100));
  CHECK(met.b.receive(50).empty());
  CHECK_EQ(met.t.counters(2).drops[static_cast<unsigned>(Drop::ring_full)], 1500u - 1023u);
  CHECK(met.a.send(numbered(mac(2), 7)));
  CHECK(arrive(met.b, 7, 8));
  const PortCounters sent = met.t.counters(1), got = met.t.counters(2);
  CHECK_EQ(sent.tx_copies, sent.tx_delivered + 1500 - 1023);
  CHECK_EQ(got.rx_frames, sent.tx_delivered);
}

TEST(among_frames_of_all_kinds_the_order_is_kept) {
  for (uint32_t variant = 0; variant < 2 * std::size(kKinds); variant++) {
    const DriverKind& kind = kKinds[variant / 2];
    const bool apart = variant % 2 != 0;
    Met met(kind, kind, apart);
    Master &a = met.a, &b = met.b;
    uint32_t next = 0, runts = 0;
    for (uint32_t round = 0; round < 15 && !check::state().failed; round++) {
      std::vector<std::string> expected;
      const auto send = [&](const std::string& to) {
        expected.push_back(numbered(to, next++));
        CHECK(a.send(expected.back()));
      };
      {
        Stopped now(met.t, met.a);
        for (uint32_t i = 0; i < 26; i++) {
          const uint32_t kind_of_frame = (i * 5 + round * 3) % 13;
          if (kind_of_frame == 2) {
            a.options.piece = 400;
            send(mac(2));
            a.options.piece = kOneBuffer;
          } else if (kind_of_frame == 4) {
            CHECK(a.send(std::string(13, 'x')));
            runts++;
          } else if (kind_of_frame == 7) {
            CHECK(a.send(numbered(mac(1), 0)));  // to itself
          } else {
            send(kind_of_frame == 9 && round % 3 == 0 ? mac(77) : mac(2));  // unknown: to all
          }
        }
      }
      for (const std::string& one : expected) CHECK(body(b, b.receive()) == one);
    }
    check_account(met.t);
    CHECK_EQ(met.t.row(1).wire.drops[static_cast<unsigned>(Drop::runt)], runts);
    if (check::state().failed) {
      std::printf("  %s%s\n", kind.what, apart ? ", apart" : "");
      return;
    }
  }
}

TEST(a_receiver_short_of_buffers_gets_the_rest_later_in_order) {
  Together t;
  for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
  for (const DriverKind& kind : kKinds) {
    for (const uint32_t buffers : {1u, 7u, 40u}) {
      Master a(kind.options()), b(kind.options());
      REQUIRE(meet_without_buffers(t, a, b));
      const uint64_t before = t.counters(1).tx_frames;
      {
        Stopped now(t, a);
        for (uint32_t i = 0; i < buffers; i++) offer_buffer(b, b.rx().buffer_bytes);
        for (uint32_t i = 0; i < 90; i++) CHECK(a.send(numbered(mac(2), i)));
      }
      CHECK(arrive(b, 0, 90));  // there are more buffers from the first on
      CHECK(a.send(numbered(mac(2), 90)));
      CHECK(arrive(b, 90, 91));
      check_account(t);
      CHECK_EQ(t.counters(1).tx_frames, before + 91);
      if (check::state().failed) {
        std::printf("  %s, %u buffers\n", kind.what, buffers);
        return;
      }
    }
  }
}

TEST(among_short_buffers_frames_are_spread_and_stay_in_order) {
  Together t;
  for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
  for (const DriverKind& kind : kKinds) {
    if ((kind.features & kMergeable) == 0) continue;
    Master a(kind.options()), b(kind.options());
    REQUIRE(meet_without_buffers(t, a, b));
    {
      Stopped now(t, a);
      for (uint32_t i = 0; i < 90; i++) offer_buffer(b, i % 5 == 3 ? 100 + i : 1600);
      for (uint32_t i = 0; i < 60; i++) CHECK(a.send(numbered(mac(2), i)));
    }
    CHECK(arrive(b, 0, 60));
    check_account(t);
    if (check::state().failed) std::printf("  %s\n", kind.what);
  }
}

TEST(what_a_guest_asks_to_be_finished_is_among_the_others) {
  super::Shape shape;
  wire::Frame whole = super::build(shape);
  const VnetHeader vnet = super::half_made(shape, &whole, kGsoTcp4, 1000);
  const std::string to = super::text(whole).substr(0, 6), from = super::text(whole).substr(6, 6);
  for (const bool able : {true, false}) {
    Together t;
    for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
    master::Options o;
    o.piece = kOneBuffer;
    o.features |= kChecksum | kTso4 | kGuestChecksum | kGuestTso4;
    Master a(o), b(able ? o : master::Options());
    REQUIRE(meet(t, a, b, from, to));
    {
      Stopped now(t, a);
      for (uint32_t i = 0; i < 30; i++)
        CHECK(i % 7 == 3 ? a.send(super::text(whole), vnet) : a.send(frame(to, from, 90, i)));
    }
    for (uint32_t i = 0; i < 30; i++) {
      if (i % 7 != 3) {
        CHECK(body(b, b.receive()) == frame(to, from, 90, i));
        continue;
      }
      for (int part = 0; part < (able ? 1 : 3); part++) {
        const std::string got = b.receive();
        const std::string one = body(b, got);
        if (able) {
          CHECK(one == super::text(whole));
          CHECK(std::memcmp(got.data(), &vnet, sizeof vnet) == 0);
        } else {
          CHECK(wire::wrong(wire::Frame(one.begin(), one.end())) == "");
        }
      }
    }
    check_account(t, !able);
  }
}

TEST(a_descriptor_that_breaks_the_rules_amid_others_ends_who_sends_it) {
  for (const DriverKind& kind : kKinds) {
    Met met(kind, kind);
    {
      Stopped now(met.t, met.a);
      for (uint32_t i = 0; i < 20; i++) CHECK(met.a.send(numbered(mac(2), i)));
      met.a.tx().offer({{0x10, 200, 0, 0}});
      for (uint32_t i = 20; i < 25; i++) CHECK(met.a.send(numbered(mac(2), i)));
    }
    CHECK(arrive(met.b, 0, 20));
    CHECK(met.b.receive(50).empty());
    CHECK(met.a.hung_up());
    CHECK(met.t.comes_down(1));
    CHECK(met.t.row(2).state.up);
    check_account(met.t);
    if (check::state().failed) {
      std::printf("  %s\n", kind.what);
      return;
    }
  }
}

TEST(a_receive_buffer_that_breaks_the_rules_amid_others_ends_who_offers_it) {
  Together t;
  for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
  for (const DriverKind& kind : kKinds) {
    Master a(kind.options()), c(kind.options());
    REQUIRE(meet_without_buffers(t, a, c));
    const uint64_t before = t.counters(1).tx_frames;
    {
      Stopped now(t, a);
      for (uint32_t i = 0; i < 20; i++) offer_buffer(c, c.rx().buffer_bytes);
      c.rx().offer({{0x10, 2000, kWritable, 0}});
      for (uint32_t i = 0; i < 40; i++) CHECK(a.send(numbered(mac(2), i)));
    }
    CHECK(c.hung_up());
    CHECK(t.comes_down(2));
    CHECK(t.row(1).state.up);
    // Who comes next is served.
    Master b(kind.options());
    REQUIRE(b.meet(t.path(2)));
    b.refill();
    CHECK(b.send(frame(mac(1), mac(2), 60, 3)));
    CHECK(body(a, a.receive()) == frame(mac(1), mac(2), 60, 3));
    CHECK(a.send(numbered(mac(2), 100)));
    CHECK(arrive(b, 100, 101));
    const PortCounters sent = t.counters(1);
    CHECK_EQ(sent.tx_copies, sent.tx_delivered + drops(sent));
    CHECK_EQ(sent.tx_frames, before + 41);
    if (check::state().failed) {
      std::printf("  %s\n", kind.what);
      return;
    }
  }
}
