// SPDX-License-Identifier: BSD-2-Clause
// When a thread naps and when it is woken instead, in a world whose time is counted: a source that sends whatever
// happens, and clients that each send when the last frame of theirs was moved.
#include "engine/naps.h"

#include <queue>

#include "support/check.h"

using namespace vale;

namespace {

constexpr uint64_t kSecond = 1'000'000'000;

class World {
 public:
  // Frames of so many bytes, one every `every` ns.
  static World stream(uint64_t every, uint64_t bytes) { return {0, every, bytes}; }
  // As many at a time; each answer takes `every` ns.
  static World questions(unsigned clients, uint64_t every) { return {clients, every, 60}; }

  void run(uint64_t time) {
    for (const uint64_t end = now + time; now < end;) {
      const uint64_t nap = naps_.next(2 * frames, 2 * frames * bytes_, now);
      longest = std::max(longest, nap);
      napped += nap;
      if (nap == 0) {
        woken++;
        if (next_.empty()) return;  // for ever
        now = std::max(now, next_.top()) + kWake;
      } else {
        now += nap;
      }
      while (!next_.empty() && next_.top() <= now) {
        const uint64_t came = next_.top();
        next_.pop();
        frames++;
        next_.push((clients_ == 0 ? came : now) + every_);
      }
    }
  }
  void pause(uint64_t time) {
    std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> later;
    for (; !next_.empty(); next_.pop()) later.push(next_.top() + time);
    next_ = std::move(later);
  }
  void fall_silent() { next_ = {}; }

  uint64_t now = kSecond, frames = 0, woken = 0, napped = 0, longest = 0;

 private:
  static constexpr uint64_t kWake = 3000;

  World(unsigned clients, uint64_t every, uint64_t bytes)
      : clients_(clients), every_(every), bytes_(bytes) {
    for (unsigned i = 0; i < std::max(clients, 1u); i++) next_.push(now + i * every / 16);
  }

  const unsigned clients_;
  const uint64_t every_, bytes_;
  Naps naps_;
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> next_;
};

// Of what was moved by being woken each time.
double kept(unsigned clients, uint64_t every) {
  World world = World::questions(clients, every);
  world.run(5 * kSecond);
  return static_cast<double>(world.frames) /
         (clients * 5.0 * kSecond / static_cast<double>(every + 3000));
}

}  // namespace

TEST(a_stream_of_small_frames_wakes_nobody) {
  World world = World::stream(7000, 60);
  world.run(kSecond);
  CHECK(world.woken * 50 < world.frames);
  CHECK(world.longest <= Naps::kLongest);
}

TEST(the_faster_it_is_the_shorter_the_naps) {
  World world = World::stream(1000, 60);
  world.run(kSecond);
  CHECK(world.woken * 50 < world.frames);
  CHECK(world.longest <= 64'000);
  World fastest = World::stream(100, 60);
  fastest.run(kSecond);
  CHECK_EQ(fastest.napped, 0u);
}

TEST(large_frames_are_not_gathered_for_long) {
  World world = World::stream(30'000, 65'000);
  world.run(kSecond);
  CHECK(world.longest <= 70'000);
}

TEST(a_slow_stream_wakes) {
  World world = World::stream(100'000, 60);
  world.run(kSecond);
  CHECK_EQ(world.napped, 0u);
}

TEST(one_question_at_a_time_is_answered_at_once) {
  CHECK(kept(1, 200'000) > 0.999);
  CHECK(kept(1, 30'000) > 0.98);
}

TEST(senders_that_wait_for_answers_do_not_get_less) {
  for (const unsigned clients : {2, 4, 8, 16}) CHECK(kept(clients, 30'000) > 0.95);
}

// As a guest sends that shares its processor with another one.
TEST(a_stream_that_pauses_goes_on_without_waking) {
  World world = World::stream(7000, 60);
  for (int i = 0; i < 100; i++) {
    world.pause(3'000'000);
    world.run(6'000'000);
  }
  CHECK(world.woken * 50 < world.frames);
}

TEST(silence_ends_it) {
  World world = World::stream(7000, 60);
  world.run(kSecond / 4);
  const uint64_t napped = world.napped, now = world.now;
  CHECK(napped != 0);
  world.fall_silent();
  world.run(kSecond);
  CHECK(world.napped - napped <= (Naps::kQuiet + 1) * Naps::kLongest);
  CHECK(world.now - now < kSecond);
}
