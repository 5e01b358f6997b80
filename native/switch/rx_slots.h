// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. How a sender writes the slots of an rx ring: slots_of(), store_slot() for each, and set_more()
//   where a frame takes several.
// Owns. Nothing; the caller holds the ring's lock.
// Invariants. Nobody looks at a slot before the tail has passed it.
// Not here. The bytes of the frames, the tail (deliver.cc, deliver_converted.cc).
#pragma once

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "abi/netmap.h"
#include "shm/layout.h"

namespace vale {

inline netmap_slot* slots_of(const RxRing& r, char* base) {
  return reinterpret_cast<netmap_ring*>(base + r.ring_ofs)->slot;
}

// One 16-byte store, so that a slot's line is touched once.
inline void store_slot(netmap_slot* slot, uint32_t index, uint32_t length, uint32_t flags) {
#if defined(__x86_64__)
  const uint64_t low =
      index | static_cast<uint64_t>(length) << 32 | static_cast<uint64_t>(flags) << 48;
  _mm_store_si128(reinterpret_cast<__m128i*>(slot), _mm_set_epi64x(0, static_cast<long long>(low)));
#else
  slot->buf_idx = index;
  slot->len = static_cast<uint16_t>(length);
  slot->flags = static_cast<uint16_t>(flags);
  slot->ptr = 0;
#endif
}

inline void set_more(MoreBits& m, uint32_t slot, bool more) {
  Shared<uint64_t>& word = m.word[slot / 64];
  const uint64_t bit = uint64_t{1} << (slot % 64);
  const uint64_t w = word.load(std::memory_order_relaxed);
  word.store(more ? w | bit : w & ~bit, std::memory_order_relaxed);
}

}  // namespace vale
