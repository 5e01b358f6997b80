// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. How the slots of a tx ring are read: each one once, as one word, and judged from that word.
// Owns. Nothing.
// Invariants. What the application writes into a slot after it was loaded is not seen.
// Not here. What is done with a slot that is not plain (classify.cc).
#pragma once

#include "types.h"

namespace vale {

constexpr uint32_t kEthernetHeader = 14;

constexpr uint64_t kSpecialSlot =
    static_cast<uint64_t>(NS_MOREFRAG | NS_INDIRECT | NS_NO_LEARN | NS_PORT_MASK) << 48;

inline uint64_t load_slot(const netmap_slot& s) {
  return __atomic_load_n(reinterpret_cast<const uint64_t*>(&s), __ATOMIC_RELAXED);
}

constexpr uint32_t slot_length(uint64_t word) { return word >> 32 & 0xffff; }

// A frame of one slot without flags for the switch, in a buffer below `bound`, at least `shortest` bytes
// long and at most `range` more.
inline bool plain_slot(uint64_t word, uint32_t bound, uint32_t shortest, uint32_t range) {
  return (word & kSpecialSlot) == 0 && static_cast<uint32_t>(word) - 2 < bound - 2 &&
         slot_length(word) - shortest <= range;
}

}  // namespace vale
