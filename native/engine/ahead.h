// SPDX-License-Identifier: BSD-2-Clause
// Asks for frames before they are looked at. Their first bytes are in the sender's cache, and a reader
// that meets them one by one waits for each.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ring_view.h"

namespace vale {

// For one rx ring.
class Ahead {
 public:
  // Before the frame at slot `at` is looked at; `tail` is where frames end.
  void look(const RingView& ring, uint32_t at, uint32_t tail) {
    const uint32_t most = std::min(ring.distance(at, tail), kFrames);
    uint32_t there = ring.distance(at, next_);
    // Left behind by the reader: begins anew.
    if (there > most) {
      there = 0;
      next_ = at;
    }
    for (; there < most; there++) {
      __builtin_prefetch(ring.buffer(ring.at(next_).buf_idx));
      next_ = ring.after(next_);
    }
  }

 private:
  static constexpr uint32_t kFrames = 24;
  uint32_t next_ = 0;
};

}  // namespace vale
