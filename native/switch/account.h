// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Counting exactly, even when killed between two instructions:
//   1. take():   slots leave the application: position and TakeStat change in one store.
//   2. commit(): frames enter an rx ring: tail and RxStat change in one store.
//   3. settle(): the sender notes what became of them: SettleStat and the settled serial, likewise.
//   Between the first two, split(): one frame becomes several at its destination.
//
// Owns. The stores to TakeStat, SettleStat and RxStat; the caller holds the ring's lock.
// Invariants. The record that is current is never written: the other one is, then the word flips.
//   copies + split − drops at take − Σ settle = copies in flight, ≥ 0 at every instant.
// Not here. Repair after a death (recover.h), sums for people (counters.h).
#pragma once

#include <type_traits>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "shm/layout.h"

namespace vale {

#ifdef VALE_NO_COUNTERS
constexpr bool kCounting = false;  // only to measure what counting costs
#else
constexpr bool kCounting = true;
#endif

// Counters are read live by other processes.
inline void put(uint64_t& field, uint64_t v) { __atomic_store_n(&field, v, __ATOMIC_RELAXED); }
inline uint64_t get(const uint64_t& field) { return __atomic_load_n(&field, __ATOMIC_RELAXED); }

// Writes the record that is not current; the caller then flips the word.
template <class Stat, class Change>
inline void prepare(Stat (&stat)[2], uint32_t sequence, Change&& change) {
  if constexpr (kCounting) {
    const Stat& from = stat[sequence & 1];
    Stat& next = stat[(sequence + 1) & 1];
#if defined(__x86_64__) && !defined(VALE_TSAN)
    // In place. Who reads the record meanwhile finds the word flipped and reads again.
    static_assert(sizeof(Stat) == 64);
    const __m128i* a = reinterpret_cast<const __m128i*>(&from);
    __m128i* b = reinterpret_cast<__m128i*>(&next);
    const __m128i w0 = _mm_load_si128(a), w1 = _mm_load_si128(a + 1), w2 = _mm_load_si128(a + 2),
                  w3 = _mm_load_si128(a + 3);
    _mm_store_si128(b, w0);
    _mm_store_si128(b + 1, w1);
    _mm_store_si128(b + 2, w2);
    _mm_store_si128(b + 3, w3);
    change(next);
#else
    constexpr size_t kWords = sizeof(Stat) / sizeof(uint64_t);
    Stat sum;
    uint64_t* words = reinterpret_cast<uint64_t*>(&sum);
    for (size_t i = 0; i < kWords; i++) words[i] = get(reinterpret_cast<const uint64_t*>(&from)[i]);
    change(sum);
    for (size_t i = 0; i < kWords; i++) put(reinterpret_cast<uint64_t*>(&next)[i], words[i]);
#endif
  }
}

template <class Change>
inline void take(TxRing& t, uint32_t position, Change&& change) {
  const uint32_t sequence = word_sequence(t.take_word.load(std::memory_order_relaxed));
  prepare(t.take, sequence, change);
  t.take_word.store(make_word(sequence + 1, position), std::memory_order_release);
}
template <class Change>
inline void settle(TxRing& t, Change&& change) {
  const uint32_t sequence = word_sequence(t.settle_word.load(std::memory_order_relaxed));
  prepare(t.settle, sequence, change);
  t.settle_word.store(make_word(sequence + 1, t.serial.load(std::memory_order_relaxed)),
                      std::memory_order_release);
}
// A copy in flight becomes several: one frame is cut into many for its receiver. Before their commit;
// the delivery under way is not settled by it.
inline void split(TxRing& t, uint32_t more) {
  const uint64_t word = t.settle_word.load(std::memory_order_relaxed);
  prepare(t.settle, word_sequence(word), [&](SettleStat& s) { s.split += more; });
  t.settle_word.store(make_word(word_sequence(word) + 1, word_position(word)),
                      std::memory_order_release);
  t.copies.store(t.copies.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}
template <class Change>
inline void commit(RxRing& r, uint32_t tail, Change&& change) {
  const uint32_t sequence = word_sequence(r.tail_copy.load(std::memory_order_relaxed));
  prepare(r.stat, sequence, change);
  const uint64_t word = make_word(sequence + 1, tail);
  r.tail.store(word, std::memory_order_release);
  r.tail_copy.store(word, std::memory_order_relaxed);
}

// A consistent copy of the current record, and the position that goes with it.
template <class Stat>
inline Stat read_stat(const Stat (&stat)[2], const Shared<uint64_t>& word, uint32_t* position) {
  for (;;) {
    const uint64_t w = word.load(std::memory_order_acquire);
    Stat copy;
    const uint64_t* from = reinterpret_cast<const uint64_t*>(&stat[word_sequence(w) & 1]);
    uint64_t* to = reinterpret_cast<uint64_t*>(&copy);
    for (size_t i = 0; i < sizeof(Stat) / sizeof(uint64_t); i++) to[i] = get(from[i]);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (word.load(std::memory_order_relaxed) == w) {
      if (position != nullptr) *position = word_position(w);
      return copy;
    }
  }
}

// Copies of a tx ring not yet settled.
inline uint64_t in_flight(const TakeStat& t, const SettleStat& s) {
  return t.copies + s.split - t.no_destination - t.same_port - t.bad_slot - t.runt - t.too_long -
         s.delivered - s.dest_dropped - s.not_open - s.peer_stalled - s.unmappable - s.sender_died;
}

}  // namespace vale
