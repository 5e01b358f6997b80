// SPDX-License-Identifier: BSD-2-Clause
// The bridge between ports made of memory: what it takes arrives, whole, in order, unchanged.
#include "engine/bridge.h"

#include <functional>
#include <set>
#include <thread>

#include "engine/frame_mover.h"
#include "test/support/check.h"
#include "test/support/fake_port.h"

using namespace vale;
using fake::FakePort;

namespace {

using Frame = std::vector<uint8_t>;

Frame make_frame(size_t bytes, uint32_t number) {
  Frame frame(bytes);
  for (size_t i = 0; i < bytes; i++)
    frame[i] = static_cast<uint8_t>(i * 31 + number * 17 + (i >> 8));
  return frame;
}

bool put(FakePort& port, const Frame& frame, unsigned r = 0, uint32_t fragment = 0) {
  netmap_ring* ring = port.tx_ring(r);
  if (fragment == 0) fragment = ring->nr_buf_size;
  uint32_t at = ring->head;
  for (size_t done = 0; done < frame.size();) {
    if (at == ring->tail) return false;
    netmap_slot& slot = ring->slot[at];
    const size_t n = std::min<size_t>(frame.size() - done, fragment);
    std::memcpy(NETMAP_BUF(ring, slot.buf_idx), frame.data() + done, n);
    done += n;
    slot.len = static_cast<uint16_t>(n);
    slot.flags = done < frame.size() ? NS_MOREFRAG : 0;
    at = at + 1 == ring->num_slots ? 0 : at + 1;
  }
  ring->head = ring->cur = at;
  return true;
}

// All whole frames in an rx ring, released.
std::vector<Frame> take(FakePort& port, unsigned r = 0) {
  port.rxsync();
  netmap_ring* ring = port.rx_ring(r);
  std::vector<Frame> frames;
  Frame frame;
  for (; ring->head != ring->tail; ring->head = (ring->head + 1) % ring->num_slots) {
    const netmap_slot& slot = ring->slot[ring->head];
    const char* data = NETMAP_BUF(ring, slot.buf_idx);
    frame.insert(frame.end(), data, data + slot.len);
    if ((slot.flags & NS_MOREFRAG) == 0) frames.push_back(std::move(frame)), frame.clear();
  }
  ring->cur = ring->head;
  port.rxsync();
  return frames;
}

bool soon(const std::function<bool()>& holds) {
  for (int i = 0; i < 2000; i++) {
    if (holds()) return true;
    usleep(1000);
  }
  return false;
}

// left = a : bridge : b = right, where = is a pair of cables.
struct Line {
  explicit Line(fake::Options of_left = {}, fake::Options of_right = {})
      : left("left", of_left), a("a", of_left), b("b", of_right), right("right", of_right) {
    FakePort::cable(left, a, true);
    FakePort::cable(a, left, true);
    FakePort::cable(b, right, true);
    FakePort::cable(right, b, true);
  }
  void start(BridgeConfig config = {}) { CHECK_OK(start_bridge(config, &a, &b, nullptr, &engine)); }
  // Sends frames from one end, whenever there is room, and collects what the other gets.
  std::vector<Frame> carry(FakePort& from, FakePort& to, const std::vector<Frame>& frames,
                           uint32_t fragment = 0) {
    std::vector<Frame> got;
    size_t next = 0;
    soon([&] {
      while (next < frames.size() && put(from, frames[next], 0, fragment)) next++;
      from.txsync();
      for (FakePort* port : {&a, &b}) port->wake();
      for (Frame& frame : take(to)) got.push_back(std::move(frame));
      return got.size() >= frames.size();
    });
    return got;
  }
  FakePort left, a, b, right;
  std::unique_ptr<Engine> engine;
};

std::vector<Frame> numbered(unsigned count, size_t smallest, size_t step) {
  std::vector<Frame> frames;
  for (unsigned i = 0; i < count; i++) frames.push_back(make_frame(smallest + i * step, i));
  return frames;
}

}  // namespace

TEST(frames_pass_both_ways_in_order) {
  for (const bool busy : {false, true}) {
    for (const uint32_t burst : {1u, 1024u}) {
      Line line;
      BridgeConfig config;
      config.busy = busy;
      config.burst = burst;
      line.start(config);
      const auto there = numbered(300, 60, 3), back = numbered(200, 14, 9);
      CHECK(line.carry(line.left, line.right, there) == there);
      CHECK(line.carry(line.right, line.left, back) == back);
      line.engine->stop();
      CHECK_OK(line.engine->join());
      const auto lanes = line.engine->sample();
      REQUIRE(lanes.size() == 2);
      CHECK_EQ(lanes[0].frames, 300u);
      CHECK_EQ(lanes[0].bytes, 300u * 60 + 3 * (299 * 300 / 2));
      CHECK_EQ(lanes[1].frames, 200u);
      CHECK(lanes[0].events >= 1 && lanes[0].events <= 300);
      CHECK(lanes[0].first != 0 && lanes[0].first <= lanes[0].last);
    }
  }
}

TEST(fragments_stay_together_and_fit_the_other_sides_buffers) {
  const struct {
    uint32_t left, right, fragment;
  } cases[] = {{2048, 2048, 0}, {2048, 2048, 700}, {2048, 256, 0}, {256, 2048, 0}, {256, 192, 100}};
  for (const auto& one : cases) {
    Line line({.slots = 128, .buffer_bytes = one.left}, {.slots = 128, .buffer_bytes = one.right});
    bool clean = true;
    line.b.tap = [&](netmap_ring* ring, uint32_t slot) {
      clean &= (ring->slot[slot].flags & ~NS_MOREFRAG) == 0;
      clean &= ring->slot[slot].len <= one.right;
    };
    line.start();
    const auto frames = numbered(60, 1, 137);
    CHECK(line.carry(line.left, line.right, frames, one.fragment) == frames);
    line.engine->stop();
    CHECK_OK(line.engine->join());
    CHECK(clean);
  }
}

TEST(a_full_port_holds_the_other_back_and_nothing_is_lost) {
  Line line({.slots = 64}, {.slots = 16});
  line.start();
  line.b.stalled = true;
  const auto frames = numbered(400, 100, 1);
  size_t next = 0;
  soon([&] {
    while (next < frames.size() && put(line.left, frames[next])) next++;
    line.left.txsync();
    line.a.wake();
    return line.engine->sample()[0].frames == 15 && next >= 15 + 63 + 63;
  });
  usleep(20'000);
  CHECK_EQ(line.engine->sample()[0].frames, 15u);  // what fits b, and no more
  CHECK_EQ(next, 15u + 63 + 63);
  line.b.stalled = false;
  line.b.wake();
  const auto rest = std::vector<Frame>(frames.begin() + static_cast<long>(next), frames.end());
  std::vector<Frame> got;
  size_t sent = 0;
  soon([&] {
    while (sent < rest.size() && put(line.left, rest[sent])) sent++;
    line.left.txsync();
    line.a.wake();
    line.b.wake();
    for (Frame& frame : take(line.right)) got.push_back(std::move(frame));
    return got.size() >= frames.size();
  });
  CHECK(got == frames);
  CHECK_EQ(line.b.dropped.load(), 0u);
}

TEST(stop_sends_what_was_taken) {
  Line line;
  line.b.stalled = true;
  line.start();
  const auto frames = numbered(20, 60, 1);
  for (const Frame& frame : frames) REQUIRE(put(line.left, frame));
  line.left.txsync();
  CHECK(soon([&] { return line.engine->sample()[0].frames == 20; }));
  line.engine->stop();
  usleep(50'000);
  CHECK(!line.engine->done());
  line.b.stalled = false;
  CHECK_OK(line.engine->join());
  CHECK(take(line.right) == frames);
}

TEST(stop_ends_though_a_port_takes_nothing) {
  Line line;
  line.b.stalled = true;
  line.start();
  REQUIRE(put(line.left, make_frame(60, 1)));
  line.left.txsync();
  CHECK(soon([&] { return line.engine->sample()[0].frames == 1; }));
  const uint64_t before = monotonic_ns();
  line.engine->stop();
  CHECK_OK(line.engine->join());
  CHECK(monotonic_ns() - before < 3'000'000'000);
}

TEST(one_region_swaps_buffers) {
  for (const bool zero_copy : {true, false}) {
    FakePort peer("peer"), echo("echo");
    FakePort::cable(peer, echo, true);
    FakePort::cable(echo, peer, true);
    std::set<uint32_t> were_rx;
    for (uint32_t i = 0; i < 64; i++) were_rx.insert(echo.rx_ring(0)->slot[i].buf_idx);
    unsigned swapped = 0, marked = 0;
    echo.tap = [&](netmap_ring* ring, uint32_t slot) {
      swapped += were_rx.count(ring->slot[slot].buf_idx) != 0 ? 1u : 0u;
      marked += (ring->slot[slot].flags & NS_BUF_CHANGED) != 0 ? 1u : 0u;
    };
    BridgeConfig config;
    config.one_way = true;
    config.zero_copy = zero_copy;
    std::unique_ptr<Engine> engine;
    CHECK_OK(start_bridge(config, &echo, &echo, nullptr, &engine));
    const auto frames = numbered(40, 60, 120);  // the later ones take several slots
    std::vector<Frame> got;
    size_t next = 0;
    soon([&] {
      while (next < frames.size() && put(peer, frames[next])) next++;
      peer.txsync();
      echo.wake();
      for (Frame& frame : take(peer)) got.push_back(std::move(frame));
      return got.size() >= frames.size();
    });
    engine->stop();
    CHECK_OK(engine->join());
    CHECK(got == frames);
    CHECK((swapped > 0) == zero_copy);
    CHECK((marked >= 40) == zero_copy);
    CHECK_EQ(engine->sample()[1].frames, 0u);
    std::set<uint32_t> all;
    for (uint32_t i = 0; i < 64; i++) {
      all.insert(echo.rx_ring(0)->slot[i].buf_idx);
      all.insert(echo.tx_ring(0)->slot[i].buf_idx);
    }
    CHECK_EQ(all.size(), 128u);  // no buffer lost, none twice
  }
}

TEST(rings_keep_their_order_each) {
  Line line({.slots = 32, .rings = 4}, {.slots = 32, .rings = 2});
  line.start();
  for (unsigned r = 0; r < 4; r++) {
    for (unsigned i = 0; i < 8; i++) REQUIRE(put(line.left, make_frame(60 + r, i), r));
  }
  line.left.txsync();
  CHECK(soon([&] { return line.engine->sample()[0].frames == 32; }));
  for (unsigned r = 0; r < 2; r++) {
    std::vector<Frame> expected[4];
    for (const Frame& frame : take(line.right, r)) {
      const size_t source = frame.size() - 60;
      CHECK_EQ(source % 2, r);
      expected[source % 4].push_back(frame);
    }
    for (unsigned s = r; s < 4; s += 2) {
      REQUIRE(expected[s].size() == 8);
      for (unsigned i = 0; i < 8; i++) CHECK(expected[s][i] == make_frame(60 + s, i));
    }
  }
}

TEST(a_frame_that_can_never_fit_is_dropped_with_a_line) {
  Line line({.slots = 64, .buffer_bytes = 256}, {.slots = 4, .buffer_bytes = 256});
  line.start();
  REQUIRE(put(line.left, make_frame(1000, 1)));
  REQUIRE(put(line.left, make_frame(60, 2)));
  line.left.txsync();
  std::vector<Frame> got;
  CHECK(soon([&] {
    for (Frame& frame : take(line.right)) got.push_back(std::move(frame));
    return !got.empty();
  }));
  CHECK(got[0] == make_frame(60, 2));
  const auto messages = line.engine->sample()[0].messages;
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].error);
  CHECK_EQ(messages[0].text, "a -> b: 1 frame(s) dropped, too large for a ring of 4 slots");
}

TEST(padding_and_unfinished_frames) {
  FakePort port("port", {.slots = 8});
  netmap_ring* rx = port.rx_ring(0);
  netmap_ring* tx = port.tx_ring(0);
  const auto slot = [&](uint32_t i, uint16_t len, uint16_t flags) {
    rx->slot[i].len = len;
    rx->slot[i].flags = flags;
  };
  slot(0, 0, 0x100);
  slot(1, 60, 0x100);
  slot(2, 100, 0x200 | NS_MOREFRAG);
  slot(3, 100, 0x200);
  rx->tail = 3;  // the last one is not there yet
  Moved moved = move_frames(port.rx_view(0), port.tx_view(0), 1024, false);
  CHECK_EQ(moved.frames, 1u);
  CHECK_EQ(rx->head, 2u);
  CHECK_EQ(rx->cur, 3u);  // wake me when there is more
  rx->tail = 4;
  moved = move_frames(port.rx_view(0), port.tx_view(0), 1024, false);
  CHECK_EQ(moved.frames, 1u);
  CHECK_EQ(moved.bytes, 200u);
  CHECK_EQ(tx->head, 3u);
  CHECK_EQ(tx->slot[1].flags, NS_MOREFRAG);
  CHECK_EQ(tx->slot[2].flags, 0);
}

TEST(a_port_that_goes_away_ends_the_bridge_with_a_line) {
  Line line;
  line.start();
  line.b.unplug(ENXIO);
  const Status status = line.engine->join();
  CHECK_EQ(status.err, ENXIO);
  CHECK_EQ(status.text, "b was detached while it was in use");
}

TEST(headers_of_different_lengths_are_refused) {
  FakePort plain("plain"), with("with", {.header_length = 12});
  std::unique_ptr<Engine> engine;
  const Status status = start_bridge({}, &plain, &with, nullptr, &engine);
  CHECK_EQ(status.err, EINVAL);
  CHECK_EQ(status.text,
           "plain has virtio-net headers of 0 bytes and with of 12; a bridge needs them equal");
}

TEST(a_burst_of_nothing_is_refused) {
  Line line;
  BridgeConfig config;
  config.burst = 0;
  std::unique_ptr<Engine> engine;
  CHECK_EQ(start_bridge(config, &line.a, &line.b, nullptr, &engine).err, EINVAL);
}
