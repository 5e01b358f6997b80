// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Every sync reads head and cur once and checks them; where they make no sense the ring is put back as
//   the switch knows it ("ring reinit"). A sync that has news stamps the ring's time.
// Owns. Nothing: positions are the control file's, and the application's copy is only believed within them.
// Invariants. What tx_head() and rx_head() accept is a slot of the ring within what the application was given.
// Not here. Slots' contents: each reader checks the slots it uses.
#pragma once

#include <cstdint>

#include "abi/netmap.h"
#include "shm/clock.h"

namespace vale {

inline bool in_range(uint32_t x, uint32_t from, uint32_t to) {  // cyclic, both ends included
  return from <= to ? x >= from && x <= to : x >= from || x <= to;
}

// tx: head within [from, free_end], cur within [head, free_end]; reads each once.
inline bool tx_head(netmap_ring* ring, uint32_t n, uint32_t from, uint32_t free_end,
                    uint32_t* head) {
  *head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
  const uint32_t cur = __atomic_load_n(&ring->cur, __ATOMIC_RELAXED);
  return *head < n && cur < n && in_range(*head, from, free_end) && in_range(cur, *head, free_end);
}

// rx: head within [from, tail], cur within [head, tail].
inline bool rx_head(netmap_ring* ring, uint32_t n, uint32_t from, uint32_t tail, uint32_t* head) {
  return tx_head(ring, n, from, tail, head);
}

// When the ring got what its tail shows.
inline void stamp(netmap_ring* ring, WallClock& clock) {
  const uint64_t us = clock.now() / 1000;
  ring->ts.tv_sec = static_cast<time_t>(us / 1'000'000);
  ring->ts.tv_usec = static_cast<suseconds_t>(us % 1'000'000);
}

// "Ring reinit": mend slots that name no buffer, put the indices back.
inline void reset_ring(netmap_ring* ring, uint32_t n, uint32_t head, uint32_t tail, uint32_t bound,
                       uint32_t buf_size) {
  for (uint32_t i = 0; i < n; i++) {
    netmap_slot& s = ring->slot[i];
    if (s.buf_idx < 2 || s.buf_idx >= bound) {
      s.buf_idx = 0;
      s.len = 0;
    } else if (s.len > buf_size) {
      s.len = 0;
    }
  }
  __atomic_store_n(&ring->cur, head, __ATOMIC_RELAXED);
  __atomic_store_n(&ring->head, head, __ATOMIC_RELAXED);
  __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
}

}  // namespace vale
