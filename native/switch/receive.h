// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The receiver's half, for one rx ring:
//   1. lock the ring's sync (skip it if another thread syncs it); read tail; check head and cur.
//   2. release what the application is done with: hwcur := head. A zero-copy monitor, if there is one,
//      gets the buffers before that (swap.h).
//   3. show what arrived: ring->tail := tail, and the time.
//
// Owns. RxRing::hwcur, under RxRing::sync_lock.
// Invariants. Copies nothing, and waits for nobody but a monitor's lock. Released buffers belong to the senders at once.
// Not here. Sleeping (device/user.cc), arrival (deliver.cc).
#pragma once

#include "shm/clock.h"
#include "shm/owner_lock.h"
#include "switch/ring_check.h"
#include "switch/swap.h"

namespace vale {

// One registration's view of an rx ring, used under its sync lock but for `busy`.
struct Receiver {
  RxRing* rx = nullptr;
  netmap_ring* ring = nullptr;
  uint32_t busy = 0;      // refusals in a row
  bool put_back = false;  // a sync found head or cur where they cannot be
  WallClock clock;
  Watched watched;
};

inline void receive(Runtime& rt, Receiver& receiver, uint16_t* sequence) {
  RxRing& r = *receiver.rx;
  netmap_ring* const ring = receiver.ring;
  // Nothing arrived and nothing to release is the common case of a busy loop: no lock for that.
  const uint32_t seen = word_position(r.tail.load(std::memory_order_acquire));
  const uint32_t released = r.hwcur.load(std::memory_order_relaxed);
  if (seen == __atomic_load_n(&ring->tail, __ATOMIC_RELAXED) &&
      released == __atomic_load_n(&ring->head, __ATOMIC_RELAXED) &&
      in_range(__atomic_load_n(&ring->cur, __ATOMIC_RELAXED), released, seen)) {
    return;
  }
  if (!is_locked(lock_or_skip(rt, r.sync_lock, rt.process.word(++*sequence), &receiver.busy)))
    return;
  const uint32_t n = r.num_slots;
  const uint32_t tail = word_position(r.tail.load(std::memory_order_acquire));
  const uint32_t from = r.hwcur.load(std::memory_order_relaxed);
  uint32_t head;
  if (!rx_head(ring, n, from, tail, &head)) {
    reset_ring(ring, n, from, tail, r.buf_bound.load(std::memory_order_relaxed), r.buf_size);
    receiver.put_back = true;
  } else {
    if (const uint32_t z = r.zcopy.load(std::memory_order_acquire); z != 0 && head != from)
        [[unlikely]]
      watch_released(
          rt, receiver.watched, z, r.port,
          {reinterpret_cast<char*>(ring) - r.ring_ofs, r.ring_ofs, n, from, head, false});
    r.hwcur.store(head, std::memory_order_release);
    if (tail != ring->tail || (ring->flags & NR_TIMESTAMP)) {
      stamp(ring, receiver.clock);
    }
    __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
  }
  unlock(r.sync_lock);
}

}  // namespace vale
