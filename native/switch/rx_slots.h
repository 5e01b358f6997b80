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
#include "switch/offsets.h"

namespace vale {

inline netmap_slot* slots_of(const RxRing& r, char* base) {
  return reinterpret_cast<netmap_ring*>(base + r.ring_ofs)->slot;
}

// One 16-byte store, so that a slot's line is touched once.
inline void store_slot(netmap_slot* slot, uint32_t index, uint32_t length, uint32_t flags,
                       uint64_t ptr = 0) {
#if defined(__x86_64__)
  const uint64_t low =
      index | static_cast<uint64_t>(length) << 32 | static_cast<uint64_t>(flags) << 48;
  _mm_store_si128(reinterpret_cast<__m128i*>(slot),
                  _mm_set_epi64x(static_cast<long long>(ptr), static_cast<long long>(low)));
#else
  slot->buf_idx = index;
  slot->len = static_cast<uint16_t>(length);
  slot->flags = static_cast<uint16_t>(flags);
  slot->ptr = ptr;
#endif
}

// The room a free slot has: a buffer from an offset on, which its receiver chose and which stays.
struct Room {
  uint32_t index, offset, size;
  uint64_t ptr;
};
inline Room room_in(const RxRing& r, const OffsetRule& rule, const netmap_slot* slot) {
  const uint32_t b = __atomic_load_n(&slot->buf_idx, __ATOMIC_RELAXED);
  // A wrong index hurts only the ring's owner.
  const uint32_t index = b < r.buf_bound.load(std::memory_order_relaxed) ? b : 0;
  if (!rule.any()) return {index, 0, r.buf_size, 0};
  const uint64_t ptr = __atomic_load_n(&slot->ptr, __ATOMIC_RELAXED);
  const uint32_t offset = rule.offset(ptr);
  return {index, offset, r.buf_size - offset, (ptr & ~rule.mask) | offset};
}

inline void set_more(MoreBits& m, uint32_t slot, bool more) {
  Shared<uint64_t>& word = m.word[slot / 64];
  const uint64_t bit = uint64_t{1} << (slot % 64);
  const uint64_t w = word.load(std::memory_order_relaxed);
  word.store(more ? w | bit : w & ~bit, std::memory_order_relaxed);
}

}  // namespace vale
