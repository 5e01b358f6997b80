// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. How the slots of a tx ring are read: each one once, as one word, and judged from that word; then the
//   two addresses of its frame, once as well.
// Owns. Nothing.
// Invariants. What the application writes into a slot or an address after that decides nothing.
// Not here. What is done with a slot that is not plain (classify.cc).
#pragma once

#include <cstring>

#include "switch/fdb.h"
#include "types.h"

namespace vale {

constexpr uint32_t kEthernetHeader = 14;

constexpr uint64_t kSpecialSlot =
    static_cast<uint64_t>(NS_MOREFRAG | NS_INDIRECT | NS_NO_LEARN | NS_PORT_MASK) << 48;

inline uint64_t load_slot(const netmap_slot& s) {
  return __atomic_load_n(reinterpret_cast<const uint64_t*>(&s), __ATOMIC_RELAXED);
}

constexpr uint32_t slot_length(uint64_t word) { return word >> 32 & 0xffff; }

// Of one ring: which slots are frames of one slot without flags for the switch, in a buffer below `bound`, at
// least `shortest` bytes long and at most `range` more.
struct PlainSlot {
  uint32_t bound, shortest, range;
  bool operator()(uint64_t word) const {
    return (word & kSpecialSlot) == 0 && is_buffer(word) && slot_length(word) - shortest <= range;
  }
  bool is_buffer(uint64_t word) const { return static_cast<uint32_t>(word) - 2 < bound - 2; }
  // The same, when `like` is one: most slots of a ring have the same length and flags.
  bool operator()(uint64_t word, uint64_t like) const {
    return word >> 32 == like >> 32 ? is_buffer(word) : (*this)(word);
  }
};

// The addresses of a frame, and where the destination's entry is looked for.
struct Addresses {
  // Eight bytes each, of which a lookup does not mind the last two: the source's, and the type.
  Mac48 dest, source;
  FdbSet* home;

  void read(const char* frame) {
    std::memcpy(&dest, frame, 8);
    std::memcpy(&source, frame + 6, 8);
  }
};

}  // namespace vale
