// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The forwarding database of one switch, a file s<slot>.<gen> that senders map:
//   1. find(): two candidate sets of five entries with their ages, one cache line each; a stale or aged
//      entry is a miss, so the frame is flooded.
//   2. learn(): scan both sets, replace or insert by compare-and-swap, scan again, clear duplicates. When
//      both are full an entry of theirs moves to its other set first; only when none can is one forgotten.
//   3. flush, add, remove, list: control calls, by the same atomics, without stopping anyone.
//
// Owns. The entries. Any sender may write any dynamic entry at any time; nothing is locked.
//
// Invariants. An entry is one 64-bit word: bits 17–63 the address without its group bit, 16 static,
//   8–15 port index, 0–7 the port's generation (1–255). The generation makes every valid word
//   non-zero and every entry of a departed port a miss. The age lies beside it and may lag behind. An
//   entry that moves is in both its sets for a moment, never in none.
//
// Not here. Which ports exist (layout.h SwitchRec), what is done with a miss (forward.h).
#pragma once

#include <bit>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "shm/layout.h"

namespace vale {

constexpr uint32_t kFdbSets = 32768, kFdbWays = 5;
constexpr uint32_t kFdbSetBits = std::countr_zero(kFdbSets);

// An address as read by one little-endian load: octet 0 in bits 0–7, its group bit in bit 0. Lookups do not
// mind what else is in bits 48–63.
using Mac48 = uint64_t;
constexpr Mac48 kMacMask = 0xffffffffffff;
inline Mac48 load_mac(const void* p) {
  // Two loads, put together in a register: six bytes copied into a word go through memory, and its load
  // waits for both stores.
  uint32_t low;
  uint16_t high;
  std::memcpy(&low, p, 4);
  std::memcpy(&high, static_cast<const char*>(p) + 4, 2);
  return low | static_cast<uint64_t>(high) << 32;
}
constexpr bool is_group(Mac48 m) { return m & 1; }

constexpr uint64_t fdb_word(Mac48 mac, bool fixed, uint32_t port, uint32_t gen) {
  return (mac >> 1) << 17 | static_cast<uint64_t>(fixed) << 16 | port << 8 | gen;
}
constexpr uint64_t kFdbUnit = 1u << 17;  // words of one address differ by less
constexpr Mac48 fdb_mac(uint64_t w) { return w >> 17 << 1; }
constexpr bool fdb_static(uint64_t w) { return w >> 16 & 1; }
constexpr uint32_t fdb_port(uint64_t w) { return w >> 8 & 0xff; }
constexpr uint32_t fdb_gen(uint64_t w) { return w & 0xff; }

struct alignas(64) FdbSet {
  Shared<uint64_t> entry[kFdbWays];
  Shared<uint32_t> seen[kFdbWays];  // s, machine_clock.h
};
static_assert(sizeof(FdbSet) == 64, "one cache line");

// Bit i: entry i may be of the address of `word`. Without a branch: which one it is cannot be predicted.
#if defined(__x86_64__) && !defined(VALE_TSAN)
inline uint32_t fdb_candidates(const FdbSet& set, uint64_t word) {
  // The upper halves of the words, octets 2 to 5 of the addresses; whoever gets a candidate loads it
  // again, as one atomic word.
  const auto* at = reinterpret_cast<const __m128*>(set.entry);
  const __m128 upper = _mm_shuffle_ps(at[0], at[1], _MM_SHUFFLE(3, 1, 3, 1));
  const auto wanted = static_cast<uint32_t>(word >> 32);
  const __m128i same =
      _mm_cmpeq_epi32(_mm_castps_si128(upper), _mm_set1_epi32(static_cast<int>(wanted)));
  const uint64_t last = set.entry[4].load(std::memory_order_relaxed);
  return static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(same))) |
         static_cast<uint32_t>(last >> 32 == wanted) << 4;
}
#else
inline uint32_t fdb_candidates(const FdbSet& set, uint64_t word) {
  uint32_t candidates = 0;
  for (uint32_t i = kFdbWays; i-- > 0;) {
    const uint64_t w = set.entry[i].load(std::memory_order_relaxed);
    candidates = candidates * 2 + (w >> 32 == word >> 32);
  }
  return candidates;
}
#endif

// Where an entry was found, so that a cached answer can be checked without a search.
struct FdbRef {
  Shared<uint64_t>* entry = nullptr;
  Shared<uint32_t>* seen = nullptr;
  uint64_t word = 0;
};

class Fdb {
 public:
  static constexpr size_t kBytes = sizeof(FdbSet) * kFdbSets;
  static_assert(kBytes == kFdbBytes);

  explicit Fdb(char* base = nullptr) : sets_(reinterpret_cast<FdbSet*>(base)) {}
  bool mapped() const { return sets_ != nullptr; }

  // The entry of `mac` that is valid now (its port still there, not aged), or word 0.
  FdbRef find(const SwitchRec& sw, Mac48 mac, uint32_t now) const;
  // Where find() looks first. peek() looks only there, and for the first candidate only: word 0 says
  // nothing, and a word found has still to be checked with valid().
  FdbSet* home(Mac48 mac) const { return &sets_[hash(mac) >> (64 - kFdbSetBits)]; }
  // And where after that.
  FdbSet* second(Mac48 mac) const {
    const uint64_t h = hash(mac);
    const uint64_t one = h >> (64 - kFdbSetBits);
    const uint64_t two = h >> (64 - 2 * kFdbSetBits) & (kFdbSets - 1);
    return &sets_[two != one ? two : one ^ 1];  // always another: put() compares them
  }
  static FdbRef peek(FdbSet* home, Mac48 mac) {
    const uint64_t word = fdb_word(mac, false, 0, 0);
    const uint32_t i = likely(*home, word);
    const uint64_t w = home->entry[i].load(std::memory_order_relaxed);
    if ((w ^ word) >= kFdbUnit) return {};
    return {&home->entry[i], &home->seen[i], w};
  }
  // Where that candidate, or nothing in particular, is.
  static uint32_t likely(const FdbSet& home, uint64_t word) {
    return static_cast<uint32_t>(
        std::countr_zero(fdb_candidates(home, word) | 1u << (kFdbWays - 1)));
  }
  static bool valid(const SwitchRec& sw, uint64_t word, uint32_t seen, uint32_t now) {
    if (word == 0 ||
        fdb_gen(word) != member_gen(sw.member[fdb_port(word)].load(std::memory_order_relaxed))) {
      return false;
    }
    const uint32_t limit = sw.ageing_s.load(std::memory_order_relaxed);
    return static_cast<int32_t>(now - seen) <= static_cast<int32_t>(limit) || limit == 0 ||
           fdb_static(word);
  }

  // Says that `mac` was seen as a source on this port. A static entry is left alone (and returned).
  FdbRef learn(const SwitchRec& sw, Mac48 mac, uint32_t port, uint32_t gen, uint32_t now);

  void add_static(const SwitchRec& sw, Mac48 mac, uint32_t port, uint32_t gen, uint32_t now);
  bool remove(Mac48 mac);
  uint32_t flush_dynamic();
  void flush_port(uint32_t port);  // static ones too
  struct Row {
    uint64_t word;
    uint32_t seen;
  };
  std::vector<Row> rows(const SwitchRec& sw, uint32_t now) const;
  uint32_t count(const SwitchRec& sw, uint32_t now) const;

 private:
  struct Pair {
    FdbSet* set[2];
  };
  // Byte-swapped first: addresses often differ only in their last octets, which a multiplication
  // must meet in its low bits to spread. Multiplier: 2^64 / golden ratio.
  static uint64_t hash(Mac48 mac) { return __builtin_bswap64(mac << 16) * 0x9e3779b97f4a7c15u; }
  Pair sets_of(Mac48 mac) const;
  FdbRef make_room(const SwitchRec& sw, const Pair& pair, uint32_t now);
  FdbRef put(const SwitchRec& sw, uint64_t word, uint32_t now, bool replace_static);

  FdbSet* sets_;
};

}  // namespace vale
