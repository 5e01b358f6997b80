// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A monitor, "vale0:a/rt", is a port with memory of its own that gets copies of another's frames:
//   1. monitor_open(): its record, once its parent is open. It is opened as a port is (registration.h).
//   2. monitors_link(): the parent's rings lead to the first monitor of each, that to the next;
//      likewise, apart from these, to zero-copy monitors.
//   3. watch_sent(), from the parent's txsync; watch_arriving(), from whoever delivers to the parent.
//   4. port_destroy() unlinks it.
//
// Owns. The PortRec of kind `monitor`, WatchRec, and `monitors` of the rings that are watched. 1, 2 and 4
//   under the directory lock; 3 writes the monitor's rx ring under that ring's lock.
// Invariants. The parent is never held up: a monitor whose ring is full loses the oldest of a batch and
//   counts it. Links are only a way there: a ring is written if its tag says that it watches the
//   parent. A chain is changed one store at a time, so that a walk along it always ends.
// Not here. What a zero-copy monitor gets (swap.h).
#pragma once

#include <unordered_map>

#include "abi/netmap.h"
#include "shm/runtime.h"
#include "switch/offsets.h"
#include "types.h"

namespace vale {

// ENXIO: no such port; EINVAL: nobody has it open, a ring it has not, other memory than its own for zero
// copy; EOPNOTSUPP: offsets with zero copy.
Status monitor_open(Runtime& rt, const OpenRequest& request, uint32_t* port);
// After a monitor of this port came or went.
void monitors_link(Runtime& rt, uint32_t parent);
// It gets nothing any more.
void monitor_leave(Runtime& rt, uint32_t monitor);

constexpr uint64_t monitor_tag(uint32_t parent_gen) { return uint64_t{1} << 63 | parent_gen; }

// Whether what the monitor watches is still open.
bool monitor_alive(const Control& c, const PortRec& monitor);

// Whether anybody looks at what is sent by this ring, or at its slots when they are released.
inline bool is_watched(const TxRing& tx) {
  return (tx.monitors.load(std::memory_order_relaxed) | tx.zcopy.load(std::memory_order_relaxed)) !=
         0;
}

// What a thread that feeds monitors remembers between syncs.
struct Watched {
  std::unordered_map<uint32_t, uint64_t> stalled;  // rx ring → lock word that did not move
  std::unordered_map<uint32_t, uint32_t> rung;     // rx ring → wake epoch that was answered
};

// After a commit into the monitor's ring: whoever sleeps there.
void monitor_wake(Runtime& rt, Watched& w, uint32_t rx_index);

// Slots of the ring that is watched; bufs is its buffer 0.
struct WatchedSlots {
  const netmap_slot* slots;
  uint32_t count, from, to;
  const char* bufs;
  uint32_t buf_size, buf_bound;
  OffsetRule offsets;
};
// The parent's own slots, as its application filled them; before they are forwarded.
void watch_sent(Runtime& rt, Watched& w, const TxRing& tx, const WatchedSlots& slots);
// Slots that are about to be shown to the parent.
void watch_arriving(Runtime& rt, Watched& w, const RxRing& rx, const WatchedSlots& slots);

}  // namespace vale
