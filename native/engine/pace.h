// SPDX-License-Identifier: BSD-2-Clause
// When frames may go, so that a rate is held on average whatever a single sleep costs.
#pragma once

#include <algorithm>
#include <cstdint>

namespace vale {

// Frame n is due at start + n / rate. Frames go in bursts: a burst is due when its first frame is.
// Who comes late may catch up, but by at most kCatchUp; a sender that was stopped for longer goes
// on at its rate instead of flooding. The clock is the caller's, in ns.
class Pacer {
 public:
  static constexpr uint64_t kCatchUp = 200000000;

  // rate in frames per second, 0 = no limit. burst: the most the caller wants to send at once; a
  // rate makes it smaller, so that there are about 300 bursts a second, but at least 1.
  Pacer(double rate, uint32_t burst) : ns_per_frame_(rate > 0 ? 1e9 / rate : 0), burst_(burst) {
    if (rate > 0) {
      burst_ = static_cast<uint32_t>(std::clamp(rate / 300, 1.0, static_cast<double>(burst)));
    }
  }

  bool limits() const { return ns_per_frame_ > 0; }
  uint32_t burst() const { return burst_; }

  // How many frames may go at `now`: 0, or up to burst().
  uint32_t allowed(uint64_t now) {
    if (!limits()) return burst_;
    if (base_ == 0) base_ = now;
    if (now > due() + kCatchUp) restart(now - kCatchUp);
    return now >= due() ? burst_ : 0;
  }

  void sent(uint32_t frames) { frames_ += frames; }

  // When allowed() next says more than 0.
  uint64_t due() const {
    return base_ + static_cast<uint64_t>(static_cast<double>(frames_) * ns_per_frame_);
  }

 private:
  void restart(uint64_t base) {
    base_ = base;
    frames_ = 0;
  }

  double ns_per_frame_;
  uint32_t burst_;
  uint64_t base_ = 0;    // when frame 0 was due; 0 = not started
  uint64_t frames_ = 0;  // sent since base_
};

}  // namespace vale
