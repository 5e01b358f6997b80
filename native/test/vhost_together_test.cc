// SPDX-License-Identifier: BSD-2-Clause
// Several virtual machines that one agent serves.
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "test/support/child.h"
#include "test/support/super_frame.h"
#include "test/support/together.h"
#include "vhost/rules.h"

using namespace vale;
using namespace vale::vhost;
using master::Master;

TEST(one_process_serves_all_that_name_it_and_ends_with_the_last) {
  Together t;
  for (unsigned i = 1; i <= 3; i++) CHECK_OK(t.attach(i));
  const pid_t pid = static_cast<pid_t>(t.row(1).pid);
  for (unsigned i = 1; i <= 3; i++) {
    CHECK_EQ(t.row(i).pid, static_cast<uint32_t>(pid));
    CHECK_EQ(t.row(i).name, std::string("vms"));
  }
  CHECK_EQ(t.attach(2).err, EBUSY);
  Master a, b;
  REQUIRE(meet(t, a, b));
  // The first one goes, and comes again, while the others are served.
  a.part();
  CHECK_OK(t.detach(1));
  CHECK(access(t.path(1).c_str(), F_OK) != 0);
  Master c;
  REQUIRE(c.meet(t.path(3)));
  introduce(c, b);
  CHECK_OK(t.attach(1));
  CHECK_EQ(t.row(1).pid, static_cast<uint32_t>(pid));
  Master again;
  REQUIRE(again.meet(t.path(1)));
  introduce(again, b);
  for (unsigned i = 1; i <= 3; i++) CHECK_OK(t.detach(i));
  for (const std::string& file : t.f.files()) CHECK(file[0] != 'a' && file[0] != 'w');
}

TEST(a_name_is_free_again_when_its_process_is_killed) {
  Together t;
  for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
  const pid_t pid = static_cast<pid_t>(t.row(2).pid);
  stop_other(pid);
  const Status stopped = t.attach(3);
  CHECK_EQ(stopped.err, EBUSY);
  CHECK(stopped.text.find("kill -CONT") != std::string::npos);
  kill(pid, SIGKILL);
  for (unsigned i = 1; i <= 3; i++) CHECK(t.attach_again(i));
  CHECK(t.row(1).pid != static_cast<uint32_t>(pid));
  CHECK_EQ(t.row(1).pid, t.row(3).pid);
  for (const std::string& file : t.f.files()) CHECK(file[0] != 'w');
}

TEST(a_guest_that_breaks_the_rules_leaves_the_others_alone) {
  Together t;
  for (unsigned i = 1; i <= 3; i++) CHECK_OK(t.attach(i));
  Master a, b;
  REQUIRE(meet(t, a, b));
  {
    Master c;
    REQUIRE(c.meet(t.path(3)));
    c.tx().descriptors[0] = {c.guest(0x800000), 100, kNext, 0};
    c.offer(c.tx(), 0);
    CHECK(c.hung_up());
    CHECK(!t.row(3).state.up);
  }
  {
    Master c;
    REQUIRE(c.meet(t.path(3)));
    c.refill();
    if (ftruncate(c.memory_fd, 0) != 0) CHECK(false);
    CHECK(a.send(frame(kBroadcast, mac(1), 60, 2)));
    CHECK(body(b, b.receive()) == frame(kBroadcast, mac(1), 60, 2));
    CHECK(c.hung_up());
  }
  CHECK(a.send(frame(mac(2), mac(1), 60, 3)));
  CHECK(body(b, b.receive()) == frame(mac(2), mac(1), 60, 3));
  CHECK(t.row(1).state.up && t.row(2).state.up && !t.row(3).state.up);
}

TEST(frames_between_guests_of_one_agent_pass_no_ring_and_are_counted_all_the_same) {
  Together t;
  for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
  constexpr DriverKind kinds[] = {
      {"all", master::kUsual, false, 0, 1600},
      {"indirect, many pieces", master::kUsual, true, 157, 300},
      {"no mergeable buffers", kVersion1 | kProtocolFeatures, false, 0, 10000},
      {"legacy", kProtocolFeatures, false, 0, 10000},
      {"packed", master::kUsual | kPacked, false, 0, 1600},
      {"packed, many pieces, an odd size", master::kUsual | kPacked, false, 157, 300, 391},
  };
  uint64_t frames = 0, bytes = 0;
  for (const DriverKind& from : kinds) {
    for (const DriverKind& to : kinds) {
      Master a(from.options()), b(to.options());
      REQUIRE(meet(t, a, b));
      const uint32_t tail = t.tail(2);
      const PortCounters before = t.counters(2);
      for (uint32_t i = 0; i < 40; i++) {
        const size_t size = i % 20 == 19 ? 9000 : 60 + i * 37;
        const std::string sent = frame(mac(2), mac(1), size, i);
        CHECK(a.send(sent));
        CHECK(body(b, b.receive()) == sent);
        frames++;
        bytes += size + kPortHeader;
      }
      CHECK_EQ(t.tail(2), tail);
      const PortCounters after = t.counters(2);
      CHECK_EQ(after.rx_frames, before.rx_frames + 40);
      CHECK_EQ(after.rx_read, after.rx_frames);
      if (check::state().failed) {
        std::printf("  from %s to %s\n", from.what, to.what);
        return;
      }
    }
  }
  const PortCounters sent = t.counters(1), got = t.counters(2);
  const uint64_t rounds = std::size(kinds) * std::size(kinds);
  CHECK_EQ(sent.tx_frames, frames + rounds);
  CHECK_EQ(sent.tx_bytes, bytes + rounds * (60 + kPortHeader));
  CHECK_EQ(sent.tx_copies, sent.tx_delivered + drops(sent));
  CHECK_EQ(got.rx_frames, sent.tx_delivered);
  CHECK_EQ(got.rx_bytes, sent.tx_bytes);
  CHECK_EQ(t.row(1).wire.rx_frames, sent.tx_frames);
  CHECK_EQ(t.row(2).wire.tx_delivered, got.rx_frames);
  CHECK_EQ(t.row(2).wire.tx_bytes, got.rx_bytes - got.rx_frames * kPortHeader);
}

TEST(what_cannot_go_from_guest_to_guest_goes_through_the_ring_in_order) {
  Together t;
  for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
  Master a, b;
  REQUIRE(meet(t, a, b));
  uint32_t next = 100, expected = 100;
  const auto send = [&](const std::string& to) {
    CHECK(a.send(frame(to, mac(1), 60 + next % 500, next)));
    next++;
  };
  const auto arrives = [&](const std::string& to) {
    const std::string got = body(b, b.receive());
    CHECK(got == frame(to, mac(1), 60 + expected % 500, expected));
    expected++;
  };
  // Broadcast and unknown among known, as fast as the queue takes them: the agent sees several at once.
  const pid_t pid = static_cast<pid_t>(t.row(1).pid);
  for (int round = 0; round < 20; round++) {
    stop_other(pid);
    const std::string to[] = {mac(2), mac(2), kBroadcast, mac(2), mac(77), mac(2), mac(2)};
    for (const std::string& one : to) send(one);
    kill(pid, SIGCONT);
    for (const std::string& one : to) arrives(one);
  }
  // A monitor at either end sees all of it.
  for (const unsigned watched : {1u, 2u}) {
    OpenRequest q;
    q.flags = watched == 1 ? NR_MONITOR_TX : NR_MONITOR_RX;
    auto monitor = t.f.open(t.port(watched), q);
    const uint32_t first = next;
    for (int i = 0; i < 10; i++) send(mac(2));
    for (int i = 0; i < 10; i++) arrives(mac(2));
    std::vector<std::string> seen;
    for (int i = 0; i < 200 && seen.size() < 10; i++) {
      for (std::string& one : t.f.receive(*monitor)) seen.push_back(one);
      usleep(1000);
    }
    CHECK_EQ(seen.size(), 10u);
    for (uint32_t i = 0; i < seen.size(); i++)
      CHECK(seen[i].substr(kPortHeader) ==
            frame(mac(2), mac(1), 60 + (first + i) % 500, first + i));
  }
  const uint32_t tail = t.tail(2);
  for (int i = 0; i < 10; i++) send(mac(2));
  for (int i = 0; i < 10; i++) arrives(mac(2));
  CHECK_EQ(t.tail(2), tail);
  // No buffers: they wait in the ring, behind it the switch drops.
  Master other;
  b.part();
  REQUIRE(other.meet(t.path(2)));
  const PortCounters before = t.counters(2);
  uint32_t offered = 0;
  for (uint32_t i = 0; i < 1500;) {
    if (!a.send(frame(mac(2), mac(1), 60, i))) {
      usleep(100);
      continue;
    }
    i++;
    offered++;
  }
  for (int i = 0; i < 3000; i++) {
    const PortCounters now = t.counters(2);
    if (now.rx_frames - before.rx_frames + drops(now) - drops(before) == offered) break;
    usleep(1000);
  }
  other.refill();
  for (uint32_t i = 0; i < 1023; i++)
    CHECK(body(other, other.receive()) == frame(mac(2), mac(1), 60, i));
  CHECK(other.receive(50).empty());
  const PortCounters after = t.counters(2), sent = t.counters(1);
  CHECK_EQ(after.drops[static_cast<unsigned>(Drop::ring_full)], 1500u - 1023u);
  CHECK_EQ(sent.tx_copies, sent.tx_delivered + drops(sent) + drops(after));
  CHECK(a.send(frame(mac(2), mac(1), 60, 7)));
  CHECK(body(other, other.receive()) == frame(mac(2), mac(1), 60, 7));
}

TEST(offloads_pass_between_guests_that_have_them_and_are_finished_for_others) {
  Together t;
  for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
  master::Options o;
  o.features |= kChecksum | kTso4 | kGuestChecksum | kGuestTso4;
  super::Shape shape;
  wire::Frame whole = super::build(shape);
  const VnetHeader vnet = super::half_made(shape, &whole, kGsoTcp4, 1000);
  const std::string to = super::text(whole).substr(0, 6), from = super::text(whole).substr(6, 6);
  for (const bool able : {true, false}) {
    Master a(o), b(able ? o : master::Options());
    REQUIRE(meet(t, a, b, from, to));
    const uint32_t tail = t.tail(2);
    CHECK(a.send(super::text(whole), vnet));
    if (able) {
      const std::string got = b.receive();
      CHECK(body(b, got) == super::text(whole));
      CHECK(std::memcmp(got.data(), &vnet, sizeof vnet) == 0);
      CHECK_EQ(t.tail(2), tail);
    } else {
      for (int i = 0; i < 3; i++) {
        const std::string one = body(b, b.receive());
        CHECK(wire::wrong(wire::Frame(one.begin(), one.end())) == "");
      }
      CHECK(t.tail(2) != tail);
    }
  }
}

TEST(a_guest_that_breaks_the_rules_while_others_give_to_it_or_it_gives) {
  Together t;
  for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
  Master a;
  REQUIRE(a.meet(t.path(1)));
  using Attack = std::function<void(Master&)>;
  const std::pair<const char*, Attack> attacks[] = {
      {"a receive buffer nowhere",
       [](Master& b) {
         b.rx().descriptors[0] = {0x10, 2000, kWritable, 0};
         b.offer(b.rx(), 0);
       }},
      {"a loop of receive buffers",
       [](Master& b) {
         b.rx().descriptors[0] = {b.guest(0x800000), 2000, kWritable | kNext, 0};
         b.offer(b.rx(), 0);
       }},
      {"a receive buffer that is to be read",
       [](Master& b) {
         b.rx().descriptors[0] = {b.guest(0x800000), 2000, 0, 0};
         b.offer(b.rx(), 0);
       }},
      {"memory that is taken away",
       [](Master& b) {
         b.refill();
         if (ftruncate(b.memory_fd, 0x20000) != 0) CHECK(false);
       }},
      {"a frame from nowhere",
       [](Master& b) {
         b.tx().descriptors[0] = {0x10, 200, 0, 0};
         b.offer(b.tx(), 0);
       }},
  };
  for (const auto& [what, attack] : attacks) {
    a.refill();
    Master b;
    REQUIRE(b.meet(t.path(2)));
    CHECK(b.send(frame(mac(1), mac(2), 60, 1)));
    CHECK(body(a, a.receive()) == frame(mac(1), mac(2), 60, 1));
    attack(b);
    for (uint32_t i = 0; i < 5; i++) CHECK(a.send(frame(mac(2), mac(1), 600, i)));
    CHECK(b.hung_up());
    CHECK(!t.row(2).state.up);
    CHECK(t.row(1).state.up);
    if (check::state().failed) {
      std::printf("  after: %s\n", what);
      return;
    }
  }
  Master b;
  REQUIRE(b.meet(t.path(2)));
  introduce(a, b);
  const PortCounters sent = t.counters(1), got = t.counters(2);
  CHECK_EQ(sent.tx_copies, sent.tx_delivered + drops(sent));
  CHECK_EQ(got.rx_frames, got.rx_read);
}

// Killed at any moment: what the receiver has not got, the sender sends again; and all accounts close.
TEST(an_agent_that_dies_between_two_of_its_guests_loses_nothing) {
  for (uint32_t variant = 0; variant < 6; variant++) {
    // With an agent each, only the sender's dies: what waits in a port's ring goes with it.
    const bool apart = variant >= 4;
    Together t(apart);
    master::Options o;
    if (variant % 2 != 0) o.features |= kPacked;
    if (variant >= 2) o.piece = 1 << 20;  // one buffer each
    Master a(o), b(o);
    uint32_t next = 0, expected = 0;
    // The receiver first, and it is known where it is: for an unknown address frames go through the rings.
    bool first = true;
    const auto attach = [&] {
      CHECK(t.attach_again(1));
      if (first || !apart) CHECK(t.attach_again(2));
    };
    const auto begin = [&] {
      if (first || !apart) {
        REQUIRE(b.meet(t.path(2)));
        b.refill();
        CHECK(b.send(frame(kBroadcast, mac(2), 60, 1)));
        for (int i = 0; i < 3000 && t.counters(2).tx_frames == 0; i++) usleep(1000);
      }
      first = false;
      REQUIRE(a.meet(t.path(1)));
      a.refill();
    };
    for (int round = 0; round < 6; round++) {
      attach();
      begin();
      const pid_t pid = static_cast<pid_t>(t.row(1).pid);
      const uint64_t end = master::now_us() + 3000 + static_cast<uint64_t>(round) * 1400;
      const auto take = [&](int ms) {
        const std::string got = body(b, b.receive(ms));
        if (got.empty()) return false;
        // Again is no harm: those that were not said to be done with.
        uint32_t number;
        std::memcpy(&number, got.data() + 14, sizeof number);
        CHECK(number <= expected);
        if (number == expected) expected++;
        return true;
      };
      while (master::now_us() < end) {
        std::string f = frame(mac(2), mac(1), 60, 0);
        std::memcpy(f.data() + 14, &next, sizeof next);
        if (next - expected < 200 && a.send(f)) next++;
        if (b.rx().has_used()) take(0);
      }
      kill(pid, SIGKILL);
      while (take(0)) {
      }
      a.part();
      if (!apart) b.part();
    }
    attach();
    begin();
    for (int i = 0; i < 2000 && expected != next; i++) {
      const std::string got = body(b, b.receive(100));
      if (got.size() != 60) continue;
      uint32_t number;
      std::memcpy(&number, got.data() + 14, sizeof number);
      CHECK(number <= expected);
      if (number == expected) expected++;
    }
    CHECK_EQ(expected, next);
    std::vector<SwitchRow> switches;
    CHECK_OK(t.f.device->switches(&switches));
    for (const SwitchRow& row : switches)
      CHECK_EQ(row.totals.tx_copies, row.totals.tx_delivered + drops(row.totals));
  }
}
