// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. How a sender writes the slots of an rx ring: slots_of(), store_slot() for each, and set_more()
//   where a frame takes several. Many whole frames in a row: read_targets(), fill them, write_targets().
// Owns. Nothing; the caller holds the ring's lock.
// Invariants. Nobody looks at a slot before the tail has passed it.
// Not here. The bytes of the frames, the tail (deliver.cc, deliver_converted.cc).
#pragma once

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include <algorithm>

#include "abi/netmap.h"
#include "shm/layout.h"
#include "switch/offsets.h"
#include "switch/prefetch.h"
#include "switch/slot_target.h"

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

// f(slot, i) for `count` slots from `tail` on. In at most two stretches, so that no slot asks whether the ring wraps.
template <class Each>
inline void for_slots(const RxRing& r, char* base, uint32_t tail, uint32_t count, Each&& f) {
  netmap_slot* const ring = slots_of(r, base);
  const uint32_t before_wrap = std::min(count, r.num_slots - tail);
  const auto stretch = [&](netmap_slot* slot, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++, slot++) f(slot, i);
  };
  stretch(ring + tail, 0, before_wrap);
  stretch(ring, before_wrap, count);
}

// All buffers are asked for before the first is written: of a receiver that reads what comes, the other core has
// every one of them.
inline void read_targets(const RxRing& r, char* base, uint32_t tail, uint32_t count,
                         SlotTarget* to) {
  char* const buffers = base + r.buf_ofs;
  const size_t stride = r.buf_size;
  const uint32_t bound = r.buf_bound.load(std::memory_order_relaxed);
  for_slots(r, base, tail, count, [&](const netmap_slot* slot, uint32_t i) {
    const uint32_t b = __atomic_load_n(&slot->buf_idx, __ATOMIC_RELAXED);
    const uint32_t index = b < bound ? b : 0;  // a wrong index hurts only the ring's owner
    char* const data = buffers + index * stride;
    prefetch_for_write(data);
    to[i].index = index;
    to[i].data = data;
  });
}

// Those slots, when they are filled. Returns the slot after them.
inline uint32_t write_targets(const RxRing& r, char* base, MoreBits& more, uint32_t tail,
                              uint32_t count, const SlotTarget* filled) {
  for_slots(r, base, tail, count, [&](netmap_slot* slot, uint32_t i) {
    store_slot(slot, filled[i].index, filled[i].length, 1u << 8);
  });
  const uint32_t n = r.num_slots;
  if (r.multi.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    for (uint32_t i = 0, slot = tail; i < count; i++) {
      set_more(more, slot, false);
      if (++slot == n) slot = 0;
    }
  }
  return tail + count < n ? tail + count : tail + count - n;
}

}  // namespace vale
