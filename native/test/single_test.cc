// SPDX-License-Identifier: BSD-2-Clause
// One frame in a sync: what changed since the frame before must show, however much alike they are.
#include <unistd.h>

#include "support/check.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

using Frames = std::vector<std::string>;

// a sends to b, which is known; c is there too, and gets nothing.
struct Three : Fixture {
  std::unique_ptr<Port> a = open("vale0:a"), b = open("vale0:b"), c = open("vale0:c");
  uint64_t seed = 0;

  Three() {
    send(*b, frame(kBroadcast, mac(2), 60, 0));
    clear();
    for (int i = 0; i < 3; i++) CHECK(reaches(*b));
  }
  void clear() {
    for (Port* p : {a.get(), b.get(), c.get()}) {
      if (p != nullptr) receive(*p);
    }
  }
  std::string next(size_t size = 60) { return frame(mac(2), mac(1), size, ++seed); }
  bool reaches(Port& p, size_t size = 60) {
    const std::string s = next(size);
    send(*a, s);
    return receive(p) == Frames{s};
  }
  uint64_t drops(const Port& p, Drop why) { return p.counters().drops[static_cast<unsigned>(why)]; }
};

}  // namespace

TEST(frames_one_by_one_arrive_as_they_are_and_are_counted) {
  Three f;
  const PortCounters before = f.a->counters();
  uint64_t bytes = 0;
  for (size_t size = 14; size <= 2112; size += size < 140 ? 1 : 97) {
    CHECK(f.reaches(*f.b, size));
    bytes += size;
  }
  const PortCounters after = f.a->counters();
  CHECK_EQ(after.tx_delivered - before.tx_delivered, after.tx_frames - before.tx_frames);
  CHECK_EQ(after.tx_copies - before.tx_copies, after.tx_frames - before.tx_frames);
  CHECK_EQ(after.tx_bytes - before.tx_bytes, bytes);
  CHECK_EQ(f.b->counters().rx_bytes, after.tx_bytes);
  CHECK_EQ(f.receive(*f.c).size(), size_t{0});
  // Around the ring and more.
  for (int i = 0; i < 2500; i++) REQUIRE(f.reaches(*f.b));
}

TEST(each_frame_goes_by_its_own_addresses) {
  Three f;
  f.send(*f.c, frame(kBroadcast, mac(3), 60, 0));
  f.clear();
  for (uint64_t i = 0; i < 4; i++) {
    CHECK(f.reaches(*f.b));
    const std::string other = frame(mac(3), mac(1), 60, i);
    f.send(*f.a, other);
    CHECK_EQ(f.receive(*f.c), Frames{other});
    CHECK_EQ(f.receive(*f.b).size(), size_t{0});
  }
  // Another source is learned.
  CHECK(f.reaches(*f.b));
  f.send(*f.a, frame(mac(2), mac(4), 60, 1));
  f.send(*f.b, frame(mac(4), mac(2), 60, 2));
  CHECK_EQ(f.receive(*f.a).size(), size_t{1});
  CHECK_EQ(f.receive(*f.c).size(), size_t{0});
}

TEST(an_address_of_the_senders_own_is_no_destination) {
  Three f;
  f.send(*f.a, frame(kBroadcast, mac(2), 60, 0));
  f.clear();
  for (int i = 0; i < 3; i++) f.send(*f.a, f.next());
  for (Port* p : {f.a.get(), f.b.get(), f.c.get()}) CHECK_EQ(f.receive(*p).size(), size_t{0});
  CHECK_EQ(f.drops(*f.a, Drop::same_port), uint64_t{3});
}

TEST(an_address_that_moves_is_followed_by_the_next_frame) {
  Three f;
  f.send(*f.c, frame(kBroadcast, mac(2), 60, 0));
  f.clear();
  CHECK(f.reaches(*f.c));
  CHECK_EQ(f.receive(*f.b).size(), size_t{0});
}

TEST(a_source_that_moves_is_learned_again) {
  Three f;
  f.send(*f.c, frame(kBroadcast, mac(1), 60, 0));
  f.clear();
  CHECK(f.reaches(*f.b));  // from a again
  f.send(*f.b, frame(mac(1), mac(2), 60, 9));
  CHECK_EQ(f.receive(*f.a).size(), size_t{1});
  CHECK_EQ(f.receive(*f.c).size(), size_t{0});
}

TEST(flags_of_a_slot_hold_for_it_alone) {
  Three f;
  f.put(*f.a, f.next(), 0, 3 << NS_PORT_SHIFT);  // no such port
  f.a->txsync();
  CHECK_EQ(f.drops(*f.a, Drop::no_destination), uint64_t{1});
  netmap_ring* r = f.a->tx_ring(0);
  const uint32_t slot = r->head;
  f.put(*f.a, f.next(), 0, NS_BUF_CHANGED);
  f.a->txsync();
  CHECK_EQ(r->slot[slot].flags & NS_BUF_CHANGED, 0);
  CHECK_EQ(f.receive(*f.b).size(), size_t{1});
  r->slot[r->head].buf_idx = 0xf0000000u;
  r->slot[r->head].len = 60;
  r->slot[r->head].flags = 0;
  r->head = r->cur = r->head + 1;
  f.a->txsync();
  CHECK_EQ(f.drops(*f.a, Drop::bad_slot), uint64_t{1});
  CHECK(f.reaches(*f.b));
}

TEST(a_full_receiver_is_counted_and_a_read_one_gets_more) {
  Three f;
  for (int i = 0; i < 1100; i++) f.send(*f.a, f.next());
  CHECK_EQ(f.drops(*f.b, Drop::ring_full), uint64_t{1100 - 1023});
  CHECK_EQ(f.receive(*f.b).size(), size_t{1023});
  CHECK(f.reaches(*f.b));
}

TEST(a_port_that_left_or_came_shows_at_once) {
  Three f;
  f.b.reset();
  CHECK(f.reaches(*f.c));  // flooded
  f.b = f.open("vale0:b");
  CHECK(f.reaches(*f.c));
  CHECK_EQ(f.receive(*f.b).size(), size_t{1});
  f.send(*f.b, frame(kBroadcast, mac(2), 60, 0));
  f.clear();
  CHECK(f.reaches(*f.b));
  CHECK(f.reaches(*f.b));
  CHECK_EQ(f.receive(*f.c).size(), size_t{0});
}

TEST(the_sender_may_be_moved_to_another_switch) {
  Fixture f;
  OpenRequest wish;
  wish.name = "mover";
  PortInfo info;
  CHECK_OK(f.device->create(wish, &info));
  auto a = f.open("mover"), b = f.open("vale0:b"), c = f.open("vale1:c");
  const std::string s = frame(mac(2), mac(1), 60, 1);
  for (int round = 0; round < 3; round++) {
    for (Port* to : {b.get(), c.get()}) {
      const std::string sw = to == b.get() ? "vale0" : "vale1";
      uint32_t index;
      wish.name = sw + ":mover";
      CHECK_OK(f.device->attach(wish, &index));
      f.send(*to, frame(kBroadcast, mac(2), 60, 0));
      f.receive(*a);
      for (int i = 0; i < 3; i++) {
        f.send(*a, s);
        CHECK_EQ(f.receive(*to), Frames{s});
      }
      CHECK_OK(f.device->detach(sw + ":mover", &index));
      f.send(*a, s);
      CHECK_EQ(f.receive(*to).size(), size_t{0});
    }
  }
}

TEST(headers_that_change_are_put_on_and_taken_off) {
  Three f;
  CHECK_OK(f.b->set_header_length(12));
  const std::string s = f.next();
  f.send(*f.a, s);
  CHECK_EQ(f.receive(*f.b), Frames{std::string(12, '\0') + s});
  CHECK_OK(f.a->set_header_length(12));
  f.send(*f.a, std::string(12, '\0') + s);
  CHECK_EQ(f.receive(*f.b), Frames{std::string(12, '\0') + s});
  CHECK_OK(f.a->set_header_length(0));
  CHECK_OK(f.b->set_header_length(0));
  CHECK(f.reaches(*f.b));
}

TEST(a_monitor_sees_the_next_frame) {
  Three f;
  OpenRequest watch;
  watch.flags = NR_MONITOR_TX | NR_MONITOR_RX;
  for (const char* watched : {"vale0:a", "vale0:b"}) {
    auto monitor = f.open(watched, watch);
    const std::string s = f.next();
    f.send(*f.a, s);
    for (Port* p : {f.b.get(), monitor.get()}) CHECK_EQ(f.receive(*p), Frames{s});
    monitor.reset();
    CHECK(f.reaches(*f.b));
  }
}

TEST(smaller_buffers_of_the_receiver_are_not_overrun) {
  Three f;
  f.b.reset();
  OpenRequest small;
  small.buf_size = 512;
  f.b = f.open("vale0:b", small);
  f.send(*f.b, frame(kBroadcast, mac(2), 60, 0));
  f.clear();
  const netmap_ring* r = f.b->rx_ring(0);
  for (int i = 0; i < 3; i++) {
    const std::string s = f.next(1500);
    f.send(*f.a, s);
    f.b->rxsync();
    CHECK_EQ((r->tail + r->num_slots - r->head) % r->num_slots, 3u);
    CHECK_EQ(f.receive(*f.b), Frames{s});
  }
}

TEST(after_a_frame_of_several_slots_one_of_one_is_whole) {
  Three f;
  for (int i = 0; i < 1500; i++) {
    const std::string large = f.next(5000);
    if (i % 3 == 0) {
      f.send(*f.a, large);
      REQUIRE(f.receive(*f.b) == Frames{large});
    }
    REQUIRE(f.reaches(*f.b));
  }
  // What is unread is counted in frames: of all these slots none goes on in another, as some did before.
  for (int i = 0; i < 1000; i++) f.send(*f.a, f.next());
  const PortCounters t = f.b->counters();
  CHECK_EQ(t.rx_frames - t.rx_read, uint64_t{1000});
}

TEST(frames_sent_one_by_one_keep_an_address_young_and_no_other) {
  Three heard, silent, fixed;  // b goes on sending; it does not; the same, a's address being static
  CHECK_OK(fixed.device->fdb_add("vale0:a", reinterpret_cast<const uint8_t*>(mac(1).data())));
  for (Three* f : {&heard, &silent, &fixed}) {
    CHECK_OK(f->device->set_ageing("vale0", 1));
    f->send(*f->b, frame(kBroadcast, mac(2), 60, 0));
    f->clear();
  }
  for (int i = 0; i < 30; i++) {
    usleep(100'000);
    heard.send(*heard.b, frame(kBroadcast, mac(2), 60, 0));
    for (Three* f : {&heard, &silent, &fixed}) f->send(*f->a, f->next());
  }
  CHECK_EQ(heard.receive(*heard.c).size(), size_t{30});  // nothing but what b says
  CHECK(silent.receive(*silent.c).size() != 0);          // b's address is forgotten
  CHECK(fixed.receive(*fixed.c).size() != 0);
  for (Three* f : {&heard, &silent}) {
    f->clear();
    f->send(*f->c, frame(mac(1), mac(3), 60, 0));
    CHECK_EQ(f->receive(*f->a).size(), size_t{1});
    CHECK_EQ(f->receive(*f->b).size(), size_t{0});
  }
}
