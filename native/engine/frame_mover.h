// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. move() takes frames from the head of an rx ring and puts them at the head of a tx ring.
// Owns. Nothing.
// Invariants. A frame moves whole or not at all, and only when the tx ring has room for all of it. On
//   return head and cur are such that a wait for the ring ends when there is more than now: cur stands
//   at head, or at tail where what there is was not enough.
// Not here. Syncs.
#pragma once

#include <cstdint>

#include "ring_view.h"

namespace vale {

struct Moved {
  uint32_t frames = 0;
  uint64_t bytes = 0;
  uint32_t unfit = 0;    // frames dropped that the tx ring could never hold
  bool blocked = false;  // a frame waits for room in the tx ring
};

// swap: exchange buffers instead of copying; the rings must be in one region.
Moved move_frames(const RingView& from, const RingView& to, uint32_t most, bool swap);

}  // namespace vale
