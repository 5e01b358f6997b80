// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Whether a thread that has nothing to move waits to be woken, or looks again by itself after a nap, as drivers
// of network cards moderate interrupts. Who wakes it pays for that, a guest with an exit to its hypervisor
// for every frame; a nap costs the frames some time instead.
//   1. next(), whenever there is nothing to move: with all that was moved so far.
//   2. Awake: what 32 waits have moved says whether naps would gather several frames each, and their length.
//   3. Napping, until some naps in a row gather nothing: then the next frame wakes, and if it comes soon, naps go on.
//      Or until naps gather too little, or less is moved than was while awake, as when senders wait for
//      answers: then naps are tried more and more seldom.
//   4. Now and then awake for 32 waits, as what could be moved without naps may have changed.
//
// Owns. What was measured lately. It neither sleeps nor looks at a clock.
// Invariants. A nap is kShortest to kLongest. Silence ends them after kQuiet of them. Where fewer than kPays
//   frames would come in a nap there is none: one question at a time and its answer are not made to wait.
// Not here. Sleeping, and what wakes (engine/guest.cc, device/wait.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace vale {

class Naps {
 public:
  static constexpr uint64_t kShortest = 20'000, kLongest = 250'000;  // ns
  static constexpr unsigned kQuiet = 4;
  static constexpr uint64_t kPays = 6;

  // Frames and bytes so far, each counted where it comes in and once more where it goes out; now, ns.
  // How long to sleep before the next look, ns; 0: until woken.
  uint64_t next(uint64_t frames, uint64_t bytes, uint64_t now) {
    waits_++;
    if (nap_ != 0) {
      empty_ = frames == seen_ ? empty_ + 1 : 0;
      seen_ = frames;
      if (empty_ == kQuiet) {
        before_silence_ = nap_;
        silent_since_ = now;
        return begin(0, frames, bytes, now);
      }
    } else if (before_silence_ != 0 && frames != seen_) {
      const uint64_t nap = std::exchange(before_silence_, 0);
      if (now - silent_since_ < kRemembered) return begin(nap, frames, bytes, now);
    }
    if (waits_ < kWaits && !(nap_ != 0 && waits_ == kSoon)) return nap_;
    const Moved moved(frames - frames_, bytes - bytes_, now - began_);
    if (nap_ == 0) {
      awake_ = moved.rate();
      since_ = now;
      return begin(now < held_until_ ? 0 : moved.best_nap(), frames, bytes, now);
    }
    const bool pays = frames - frames_ >= kPays * waits_;
    if (pays && waits_ == kSoon) return nap_;
    if (!pays || moved.rate() < kKept * awake_) {
      hold_ = std::min(2 * hold_, kLongestHold);
      held_until_ = now + hold_;
      return begin(0, frames, bytes, now);
    }
    hold_ = kShortestHold;
    return begin(now - since_ < kRenewed ? moved.best_nap() : 0, frames, bytes, now);
  }

 private:
  // That are judged together; and naps after which it shows whether they gather anything.
  static constexpr unsigned kWaits = 32, kSoon = 8;
  // What a nap is to gather, as it is counted: of frames a quarter of a queue of 256.
  static constexpr double kBatchFrames = 128, kBatchBytes = 256 << 10;
  static constexpr double kKept = 0.9;
  static constexpr uint64_t kShortestHold = 10'000'000, kLongestHold = 1'000'000'000;
  static constexpr uint64_t kRenewed = 500'000'000, kRemembered = 50'000'000;

  class Moved {
   public:
    Moved(uint64_t frames, uint64_t bytes, uint64_t ns)
        : frames_(static_cast<double>(frames) / static_cast<double>(ns)),
          bytes_(static_cast<double>(bytes) / static_cast<double>(ns)) {}

    // What it costs to move, of a frame as much as of a KiB.
    double rate() const { return frames_ + bytes_ / 1024; }
    // 0: none.
    uint64_t best_nap() const {
      double ns = kLongest;
      if (ns * frames_ > kBatchFrames) ns = kBatchFrames / frames_;
      if (ns * bytes_ > kBatchBytes) ns = kBatchBytes / bytes_;
      return ns < kShortest || ns * frames_ < kPays ? 0 : static_cast<uint64_t>(ns);
    }

   private:
    const double frames_, bytes_;  // a nanosecond
  };

  uint64_t begin(uint64_t nap, uint64_t frames, uint64_t bytes, uint64_t now) {
    nap_ = nap;
    waits_ = empty_ = 0;
    frames_ = seen_ = frames;
    bytes_ = bytes;
    began_ = now;
    return nap;
  }

  uint64_t nap_ = 0;  // 0: awake
  // Since the last judgement, and at it.
  unsigned waits_ = 0;
  uint64_t frames_ = 0, bytes_ = 0, began_ = 0;
  unsigned empty_ = 0;  // naps in a row
  uint64_t seen_ = 0;   // frames, at the last nap
  uint64_t before_silence_ = 0, silent_since_ = 0;
  double awake_ = 0;    // rate
  uint64_t since_ = 0;  // when that was
  uint64_t hold_ = kShortestHold, held_until_ = 0;
};

}  // namespace vale
