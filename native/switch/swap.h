// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A zero-copy monitor, "vale0:a/z", lives in its parent's memory and gets the buffers themselves,
//   when the parent is done with them:
//   1. watch_released(): slots of the parent's ring are about to go back to whoever fills them, in the
//      parent's own sync: received ones that it released, sent ones that have left.
//   2. each slot's buffer is swapped with that of a free slot of the monitor; the parent's slot gets
//      NS_BUF_CHANGED. One commit shows all of them to the monitor.
//   3. the next monitor of the same ring watches the first one's ring, as one that receives.
//   4. swap_redo(): a swap that a death cut off is finished by whoever takes over the monitor's lock.
//
// Owns. The monitor's rx ring under its lock; `swap_*` of its WatchRec.
// Invariants. A buffer is named by exactly one of the two slots, or by both while the journal says so. A
//   received slot that was swapped has length 0, so that a sync that is done again leaves it alone.
//   Positions of what was sent move before the swaps: they are not done again.
// Not here. Opening and linking (monitor.h).
#pragma once

#include "abi/netmap.h"
#include "shm/runtime.h"
#include "switch/monitor.h"

namespace vale {

// Slots [from, to) of a ring of the parent, whose region is mapped at `base`.
struct ReleasedSlots {
  char* base;
  uint64_t ring_ofs;
  uint32_t count, from, to;
  bool sent;
};

// `first` is the ring's `zcopy`, `port` the ring's port.
void watch_released(Runtime& rt, Watched& watched, uint32_t first, uint32_t port,
                    const ReleasedSlots& slots);
// False, and nothing done, when the memory cannot be mapped. The monitor ring's lock is held.
bool swap_redo(Runtime& rt, uint32_t rx_index);

}  // namespace vale
