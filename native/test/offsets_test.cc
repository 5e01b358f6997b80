// SPDX-License-Identifier: BSD-2-Clause
// Rings whose frames begin at an offset into their buffers: sending, receiving, pipes, monitors.
#include <random>

#include "shm/region.h"
#include "support/check.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

OpenRequest with(uint64_t most, uint64_t initial = 0, uint32_t bits = 16) {
  OpenRequest q;
  q.offsets = Offsets{most, initial, bits};
  return q;
}

using Frames = std::vector<std::string>;

// As Fixture::put, each fragment at an offset of its own.
template <class Next>
void put_at(Port& p, const std::string& s, size_t piece, Next&& next) {
  netmap_ring* r = p.tx_ring(0);
  uint32_t head = r->head;
  for (size_t at = 0; at < s.size(); at += piece) {
    const size_t n = std::min(piece, s.size() - at);
    netmap_slot& slot = r->slot[head];
    NETMAP_WOFFSET(r, &slot, next());
    std::memcpy(NETMAP_BUF_OFFSET(r, &slot), s.data() + at, n);
    slot.len = static_cast<uint16_t>(n);
    slot.flags = at + n < s.size() ? NS_MOREFRAG : 0;
    head = head + 1 == r->num_slots ? 0 : head + 1;
  }
  r->head = r->cur = head;
}

// As Fixture::receive; next() is the offset that each slot goes back with.
template <class Next>
Frames receive_at(Port& p, Next&& next) {
  Frames out;
  p.rxsync();
  netmap_ring* r = p.rx_ring(0);
  std::string s;
  while (r->head != r->tail) {
    netmap_slot& slot = r->slot[r->head];
    s.append(NETMAP_BUF_OFFSET(r, &slot), slot.len);
    CHECK(NETMAP_ROFFSET(r, &slot) + slot.len <= r->nr_buf_size);
    if (!(slot.flags & NS_MOREFRAG)) {
      out.push_back(s);
      s.clear();
    }
    NETMAP_WOFFSET(r, &slot, next());
    r->head = r->cur = r->head + 1 == r->num_slots ? 0 : r->head + 1;
  }
  p.rxsync();
  return out;
}

constexpr auto zero = [] { return uint64_t{0}; };

}  // namespace

TEST(a_sender_says_where_its_frames_begin) {
  Fixture f;
  auto a = f.open("vale0:a", with(512)), b = f.open("vale0:b");
  CHECK_EQ(a->info().offsets->most, 512u);
  CHECK_EQ(a->info().offsets->bits, 16u);
  CHECK_EQ(a->tx_ring(0)->offset_mask, 0xffffu);
  CHECK_EQ(a->tx_ring(0)->slot[3].ptr, 0u);
  CHECK_EQ(b->rx_ring(0)->offset_mask, 0u);
  Frames expected;
  uint64_t offset = 1;
  const auto next = [&] { return offset = offset * 7 % 509; };
  for (uint32_t i = 0; i < 200; i++) {
    expected.push_back(frame(i % 3 ? mac(2) : kBroadcast, mac(1), 60 + i * 7, i));
    put_at(*a, expected.back(), 1500, next);
    if (i % 20 == 0) {
      expected.push_back(frame(mac(2), mac(1), 5000, i));
      put_at(*a, expected.back(), 1500, next);
    }
  }
  a->txsync();
  CHECK_EQ(f.receive(*b), expected);
  CHECK_EQ(b->rx_ring(0)->slot[0].ptr, 0u);
  // What lies beyond the promise counts as the most; what leaves the buffer is no frame.
  netmap_ring* r = a->tx_ring(0);
  const std::string one = frame(mac(2), mac(1), 100, 1);
  std::memcpy(NETMAP_BUF(r, r->slot[r->head].buf_idx) + 512, one.data(), one.size());
  r->slot[r->head].ptr = 600;
  r->slot[r->head].len = 100;
  r->slot[r->head].flags = 0;
  r->head = r->cur = r->head + 1;
  a->txsync();
  CHECK_EQ(f.receive(*b), Frames{one});
  r->slot[r->head].ptr = 512;
  r->slot[r->head].len = static_cast<uint16_t>(r->nr_buf_size - 511);
  r->slot[r->head].flags = 0;
  r->head = r->cur = r->head + 1;
  a->txsync();
  CHECK(f.receive(*b).empty());
  CHECK_EQ(a->counters().drops[unsigned(Drop::bad_slot)], 1u);
  // ptr is an offset or an address.
  r->slot[r->head].flags = NS_INDIRECT;
  r->slot[r->head].len = 60;
  r->slot[r->head].ptr = reinterpret_cast<uint64_t>(one.data());
  r->head = r->cur = r->head + 1;
  a->txsync();
  CHECK_EQ(a->counters().drops[unsigned(Drop::bad_slot)], 2u);
}

TEST(a_receiver_says_where_it_wants_them) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b", with(1000, 256));
  netmap_ring* r = b->rx_ring(0);
  CHECK_EQ(r->slot[5].ptr, 256u);
  CHECK_EQ(b->tx_ring(0)->slot[5].ptr, 256u);
  Frames expected;
  std::mt19937 random(1);
  // Runs, floods, fragments; long ones no longer fit one buffer.
  for (uint32_t round = 0; round < 10; round++) {
    expected.clear();
    for (uint32_t i = 0; i < 100; i++) {
      const std::string& to = i % 10 < 6 ? mac(2) : kBroadcast;
      expected.push_back(frame(to, mac(1), 60 + random() % 2000, i));
      f.put(*a, expected.back(), i % 7 == 0 ? 700 : 0);
    }
    a->txsync();
    b->rxsync();
    if (round == 0) {
      CHECK_EQ(r->slot[0].ptr, 256u);
      CHECK_EQ(std::string(NETMAP_BUF(r, r->slot[0].buf_idx) + 256, 12), mac(2) + mac(1));
    }
    CHECK_EQ(receive_at(*b, [&] { return random() % 1001; }), expected);
  }
  CHECK_EQ(b->counters().rx_frames, 1000u);
  // A buffer that begins at its end has no room.
  auto c = f.open("vale0:c", with(kDefaultBufSize, kDefaultBufSize));
  f.send(*a, frame(mac(3), mac(1), 60, 1));
  CHECK_EQ(f.receive(*c).size(), size_t{0});
  CHECK_EQ(c->counters().drops[unsigned(Drop::too_big)], 1u);
}

TEST(one_of_many_destinations_has_offsets) {
  Fixture f;
  auto a = f.open("vale0:a");
  std::vector<std::unique_ptr<Port>> others;
  for (uint32_t i = 0; i < 20; i++) {
    others.push_back(f.open("vale0:p" + std::to_string(i), i == 7 ? with(128, 64) : OpenRequest{}));
    put_at(*others[i], frame(mac(1), mac(100 + i), 60, i), 60, zero);
    others[i]->txsync();
  }
  f.receive(*a);
  for (auto& p : others) receive_at(*p, zero);
  std::vector<Frames> expected(20);
  for (uint32_t i = 0; i < 200; i++) {
    const std::string s = frame(mac(100 + i % 20), mac(1), 60 + i, i);
    f.put(*a, s);
    expected[i % 20].push_back(s);
  }
  a->txsync();
  for (uint32_t i = 0; i < 20; i++) CHECK_EQ(receive_at(*others[i], zero), expected[i]);
}

TEST(between_unequal_headers) {
  Fixture f;
  auto a = f.open("vale0:a", with(300)), b = f.open("vale0:b", with(300, 100));
  CHECK_OK(f.device->set_header_length("vale0:b", 12));
  const std::string one = frame(mac(2), mac(1), 2100, 3);
  put_at(*a, one, 1100, [] { return uint64_t{77}; });
  a->txsync();
  CHECK_EQ(receive_at(*b, zero), Frames{std::string(12, '\0') + one});
  put_at(*b, std::string(12, '\0') + one, 1100, [] { return uint64_t{33}; });
  b->txsync();
  CHECK_EQ(receive_at(*a, zero), Frames{one});
}

TEST(both_ends_of_a_pipe_see_them) {
  Fixture f;
  auto m = f.open("vale0:a{1", with(600, 32)), s = f.open("vale0:a}1");
  CHECK_EQ(s->rx_ring(0)->offset_mask, 0xffffu);
  CHECK_EQ(s->rx_ring(0)->slot[2].ptr, 32u);
  CHECK_EQ(s->tx_ring(0)->offset_mask, 0xffffu);
  const std::string one = frame(mac(2), mac(1), 1000, 3);
  uint64_t offset = 0;
  for (int i = 0; i < 50; i++) put_at(*m, one, 600, [&] { return offset++; });
  m->txsync();
  auto sent = f.open("vale0:a{1", [] {
    OpenRequest q;
    q.flags = NR_MONITOR_TX;
    return q;
  }());
  CHECK_EQ(receive_at(*s, zero), Frames(50, one));
  for (int i = 0; i < 50; i++) put_at(*m, one, 600, [&] { return offset++; });
  // Beyond the promise: cut to it. Beyond the buffer: empty.
  netmap_ring* r = m->tx_ring(0);
  r->slot[r->head].ptr = 0xabc0000000700;
  r->slot[r->head].len = 60;
  r->slot[r->head].flags = 0;
  r->head = r->cur = r->head + 1;
  r->slot[r->head].ptr = 600;
  r->slot[r->head].len = static_cast<uint16_t>(r->nr_buf_size);
  r->slot[r->head].flags = 0;
  r->head = r->cur = r->head + 1;
  m->txsync();
  s->rxsync();
  const netmap_ring* in = s->rx_ring(0);
  CHECK_EQ(in->slot[in->tail - 2].ptr, 0xabc0000000258u);
  CHECK_EQ(in->slot[in->tail - 1].len, 0u);
  Frames seen = f.receive(*sent);
  REQUIRE(seen.size() == 52);
  seen.resize(50);
  CHECK_EQ(seen, Frames(50, one));
}

TEST(monitors_read_and_write_at_offsets) {
  Fixture f;
  auto a = f.open("vale0:a", with(600)), b = f.open("vale0:b", with(900, 128));
  OpenRequest q = with(700, 40);
  q.flags = NR_MONITOR_RX | NR_MONITOR_TX;
  auto at_a = f.open("vale0:a", q), at_b = f.open("vale0:b", q);
  CHECK_EQ(at_a->rx_ring(0)->slot[1].ptr, 40u);
  const std::string one = frame(mac(2), mac(1), 1300, 3);
  uint64_t offset = 0;
  for (int i = 0; i < 50; i++) put_at(*a, one, 600, [&] { return offset++; });
  a->txsync();
  uint64_t back = 0;
  CHECK_EQ(receive_at(*at_a, [&] { return back++ % 700; }), Frames(50, one));
  CHECK_EQ(receive_at(*at_b, [&] { return back++ % 700; }), Frames(50, one));
  CHECK_EQ(receive_at(*b, [&] { return back++ % 700; }), Frames(50, one));
}

TEST(what_cannot_be_an_offset_is_refused) {
  Fixture f;
  const uint32_t buf = kDefaultBufSize;
  CHECK_EQ(opening(*f.device, "vale0:a", with(buf + 1)).err, EINVAL);
  CHECK_EQ(opening(*f.device, "vale0:a", with(buf + 1)).option, 5);
  CHECK_EQ(opening(*f.device, "vale0:a", with(16, 0, 4)).err, EINVAL);
  CHECK_EQ(opening(*f.device, "vale0:a", with(15, 0, 4)).err, 0);
  CHECK_EQ(opening(*f.device, "vale0:a", with(15, 16, 16)).err, EINVAL);
  CHECK_EQ(opening(*f.device, "vale0:a", with(15, 0, 65)).err, EINVAL);
  for (const uint32_t bits : {0u, 64u}) {
    auto a = f.open("vale0:a", with(buf, buf, bits));
    CHECK_EQ(a->rx_ring(0)->offset_mask, ~uint64_t{0});
    CHECK_EQ(a->info().offsets->bits, 64u);
  }
  // Who comes later gets what is there, if that is enough.
  auto a = f.open("vale0:a", with(100, 10, 8));
  CHECK_EQ(opening(*f.device, "vale0:a", with(101, 0, 8)).err, EBUSY);
  CHECK_EQ(opening(*f.device, "vale0:a", with(100, 0, 9)).err, EBUSY);
  auto again = f.open("vale0:a", with(50, 5, 7));
  CHECK_EQ(again->info().offsets->most, 100u);
  CHECK_EQ(again->info().offsets->bits, 8u);
  CHECK_EQ(again->rx_ring(0)->slot[0].ptr, 10u);
  // A port that is open already keeps its slots as they are.
  auto b = f.open("vale0:b");
  auto later = f.open("vale0:b", with(100, 10, 8));
  CHECK_EQ(b->rx_ring(0)->offset_mask, 0xffu);
  CHECK_EQ(b->rx_ring(0)->slot[0].ptr, 0u);
  f.send(*a, frame(kBroadcast, mac(1), 60, 1));
  CHECK_EQ(f.receive(*b).size(), size_t{1});
  // They go with the last of the port's registrations.
  b.reset();
  later.reset();
  CHECK_EQ(f.open("vale0:b")->rx_ring(0)->offset_mask, 0u);
  CHECK_OK(f.device->create(
      [] {
        OpenRequest q;
        q.name = "kept";
        return q;
      }(),
      std::make_unique<PortInfo>().get()));
  f.open("kept", with(100, 10, 8));
  CHECK_EQ(f.open("kept")->rx_ring(0)->offset_mask, 0u);
  CHECK_EQ(f.open("kept")->rx_ring(0)->slot[0].ptr, 0u);
}
