// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Rings whose frames begin at an offset into their buffers, which each slot has in its ptr:
//   1. offsets_apply(): a registration asked for it; its rings are marked, slots get the initial offset.
//   2. offset_of(): whoever reads or fills a slot asks where its frame begins.
//
// Owns. offset_mask and offset_most of ring records, offset_mask of the rings; directory lock held.
// Invariants. The mark only ever widens while a ring is in use; it goes with the ring's memory. An
//   offset that is larger than was promised counts as the largest that was.
// Not here. The bytes (classify.cc, deliver.cc, pipe_sync.cc, monitor_sync.cc).
#pragma once

#include <algorithm>

#include "shm/runtime.h"
#include "types.h"

namespace vale {

// Half-open ranges of the rings that are bound.
struct BoundRings {
  uint32_t first_tx = 0, last_tx = 0, first_rx = 0, last_rx = 0;
};

// EINVAL: what cannot be; EBUSY: a ring in use has fewer bits or a smaller most. *out: what counts now.
Status offsets_apply(Runtime& rt, const OpenRequest& request, uint32_t port, BoundRings rings,
                     Offsets* out);
// Whether frames begin at an offset in any ring that receives for this port.
bool offsets_any(const Control& c, const PortRec& port);

struct OffsetRule {
  uint64_t mask = 0, most = 0;
  template <class Ring>
  static OffsetRule of(const Ring& ring) {
    return {ring.offset_mask.load(std::memory_order_relaxed),
            ring.offset_most.load(std::memory_order_relaxed)};
  }
  bool any() const { return mask != 0; }
  uint32_t offset(uint64_t ptr) const { return static_cast<uint32_t>(std::min(ptr & mask, most)); }
};

}  // namespace vale
