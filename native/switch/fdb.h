// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The forwarding database of one switch, a file s<slot>.<gen> that senders map:
//   1. find(): two candidate sets of eight entries, one cache line each; a stale or aged entry is a
//      miss, so the frame is flooded.
//   2. learn(): scan both sets, replace or insert by compare-and-swap, scan again, clear duplicates.
//   3. flush, add, remove, list: control calls, by the same atomics, without stopping anyone.
//
// Owns. The entries. Any sender may write any dynamic entry at any time; nothing is locked.
//
// Invariants. An entry is one 64-bit word: bits 17–63 the address without its group bit, 16 static,
//   8–15 port index, 0–7 the port's generation (1–255). The generation makes every valid word
//   non-zero and every entry of a departed port a miss. The age lies beside it and may lag behind.
//
// Not here. Which ports exist (layout.h SwitchRec), what is done with a miss (forward.h).
#pragma once

#include <cstring>
#include <vector>

#include "shm/layout.h"

namespace vale {

constexpr uint32_t kFdbSets = 16384, kFdbWays = 8;

// An address as read by one little-endian load: octet 0 in bits 0–7, its group bit in bit 0.
using Mac48 = uint64_t;
constexpr Mac48 kMacMask = 0xffffffffffff;
inline Mac48 load_mac(const void* p) {
  uint64_t v = 0;
  std::memcpy(&v, p, 6);
  return v;
}
constexpr bool is_group(Mac48 m) { return m & 1; }

constexpr uint64_t fdb_word(Mac48 mac, bool fixed, uint32_t port, uint32_t gen) {
  return (mac >> 1) << 17 | static_cast<uint64_t>(fixed) << 16 | port << 8 | gen;
}
constexpr Mac48 fdb_mac(uint64_t w) { return w >> 17 << 1; }
constexpr bool fdb_static(uint64_t w) { return w >> 16 & 1; }
constexpr uint32_t fdb_port(uint64_t w) { return w >> 8 & 0xff; }
constexpr uint32_t fdb_gen(uint64_t w) { return w & 0xff; }

struct alignas(128) FdbSet {
  Shared<uint64_t> entry[kFdbWays];
  Shared<uint32_t> seen[kFdbWays];  // s, CLOCK_MONOTONIC
};
static_assert(sizeof(FdbSet) == 128);

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
  // Asks for the lines where find() will look first.
  void prefetch(Mac48 mac) const;
  static bool valid(const SwitchRec& sw, uint64_t word, uint32_t seen, uint32_t now) {
    if (word == 0 ||
        fdb_gen(word) != member_gen(sw.member[fdb_port(word)].load(std::memory_order_relaxed))) {
      return false;
    }
    const uint32_t limit = sw.ageing_s.load(std::memory_order_relaxed);
    return fdb_static(word) || limit == 0 ||
           static_cast<int32_t>(now - seen) <= static_cast<int32_t>(limit);
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
  Pair sets_of(Mac48 mac) const;
  FdbRef put(const SwitchRec& sw, uint64_t word, uint32_t now, bool replace_static);

  FdbSet* sets_;
};

uint32_t now_seconds();

}  // namespace vale
