// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The time of day for every sync that finds frames, cheaper than asking for it each time:
//   1. clock_gettime() about once a millisecond, together with the time-stamp counter.
//   2. In between, the counter's progress since then at the rate measured last.
//
// Owns. The last two readings.
// Invariants. A reading that is used is at most a millisecond old, and rates that do not agree
//   within a thousandth (a counter that stops or jumps, a clock that was set) are not used: then
//   every call asks the system. Without a time-stamp counter it always does.
// Not here. Ageing, which needs seconds only (machine_clock.h).
#pragma once

#include <time.h>

#include <cstdint>

namespace vale {

class WallClock {
 public:
  // ns since 1970.
  uint64_t now() {
#if defined(__x86_64__)
    const uint64_t ticks = __builtin_ia32_rdtsc();
    const uint64_t since = ticks - ticks_;
    if (since < usable_) [[likely]]
      return ns_ + (since * rate_ >> kShift);
    return read(ticks);
#else
    return system();
#endif
  }

 private:
  static constexpr unsigned kShift = 24;
  static constexpr uint64_t kUse = 1'000'000, kMeasure = 10'000'000'000;  // ns

  static uint64_t system() {
    timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(ts.tv_nsec);
  }

  // A function of its own: the regression gate leaves it out, how often it is called depends on the time.
  [[gnu::noinline]] uint64_t read(uint64_t ticks) {
    const uint64_t ns = system();
    const uint64_t elapsed = ns - ns_, counted = ticks - ticks_;
    if (elapsed < kUse && usable_ == 0) return ns;  // too short to measure a rate
    usable_ = 0;
    if (elapsed >= kUse && elapsed < kMeasure && counted != 0 && counted < elapsed * 64) {
      const uint64_t rate = (elapsed << kShift) / counted;
      const uint64_t off = rate > rate_ ? rate - rate_ : rate_ - rate;
      if (rate != 0 && off <= rate / 1000) usable_ = (kUse << kShift) / rate;
      rate_ = rate;
    }
    ns_ = ns;
    ticks_ = ticks;
    return ns;
  }

  uint64_t ns_ = 0, ticks_ = 0;
  uint64_t rate_ = 0;    // ns per tick, << kShift
  uint64_t usable_ = 0;  // ticks
};

}  // namespace vale
