// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "switch/sender.h"
#include "switch/tx_slots.h"

#if defined(__x86_64__) && !defined(VALE_TSAN)
#include <immintrin.h>
#endif

namespace vale {
namespace {

// Frames of other addresses are looked up so many at a time: their addresses' entries are fetched while the
// rest of the chunk is read. Fewer at first: the run may be over.
constexpr uint32_t kFirstChunk = 8, kChunk = 64;

// What stays the same while a run is read.
struct RunSlots {
  PlainSlot plain;
  uint64_t like;  // the slot of its first frame
  const char* base;
  size_t stride;
  Fdb table;
  Mac48 source;  // of the frame before
};

struct Chunk {
  Addresses of[kChunk];
  FdbSet* home[kChunk];  // of the sources, if they differ
  uint32_t count;
  bool sources;        // some are not that of the frame before
  uint64_t flags;      // of slots that are not like the first,
  uint64_t in_excess;  // and how much longer than it they are in all, modulo 2^64

  void find_homes(Fdb table) {
    for (uint32_t i = 0; i < count; i++) {
      home[i] = table.home(of[i].source);
      __builtin_prefetch(home[i]);
    }
  }
};

// Up to `most` frames, as long as their slots are plain; slot words into `words`. A function of its own, as is
// compare_chunk(): each keeps what it needs in registers.
template <bool kSources>
[[gnu::noinline]] void read_chunk(const RunSlots& run, const netmap_slot* from, uint32_t most,
                                  uint64_t* words, Chunk* chunk) {
  const PlainSlot plain = run.plain;
  const uint64_t like = run.like, source = run.source;
  const char* const base = run.base;
  const size_t stride = run.stride;
  const Fdb table = run.table;
  uint64_t differ = 0, flags = 0, excess = 0;
  uint32_t n = 0;
  for (; n < most; n++) {
    const uint64_t w = load_slot(from[n]);
    if (w >> 32 != like >> 32) [[unlikely]] {
      if (!plain(w)) break;
      flags |= w;
      excess += uint64_t{slot_length(w)} - slot_length(like);
    } else if (!plain.is_buffer(w)) {
      break;
    }
    words[n] = w;
    Addresses& a = chunk->of[n];
    a.read(base + static_cast<uint32_t>(w) * stride);
    a.home = table.home(a.dest);
    __builtin_prefetch(a.home);
    if constexpr (kSources) {
      chunk->home[n] = table.home(a.source);
      __builtin_prefetch(chunk->home[n]);
    } else {
      differ |= a.source ^ source;
    }
  }
  chunk->count = n;
  chunk->flags = flags;
  chunk->in_excess = excess;
  chunk->sources = kSources || differ << 16 != 0;
}

// What entries have beside their addresses, as they are expected: sources on this port, destinations in the place
// that the run goes to, not older than `limit` s.
struct Expected {
  Fdb table;
  uint64_t own, place;
  uint32_t now;
  int32_t limit;
};

#if defined(__x86_64__) && !defined(VALE_TSAN)
// Bit i: entry i is this word. A wide load does not tear the words that it is made of.
[[gnu::target("avx2")]] inline uint32_t entries_with(const FdbSet& set, uint64_t word) {
  const __m256i four = _mm256_load_si256(reinterpret_cast<const __m256i*>(set.entry));
  const __m256i same = _mm256_cmpeq_epi64(four, _mm256_set1_epi64x(static_cast<long long>(word)));
  return static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(same))) |
         static_cast<uint32_t>(set.entry[4].load(std::memory_order_relaxed) == word) << 4;
}

inline size_t entry_of(uint64_t same) { return static_cast<size_t>(std::countr_zero(same)); }

// The age of the entry that is this word, as Fdb::find() would find it first; nullptr when there is none, or another
// of its address before it.
[[gnu::target("avx2")]] inline Shared<uint32_t>* age_of(const Fdb& table, FdbSet* home, Mac48 mac,
                                                        uint64_t word) {
  uint32_t same = entries_with(*home, word);
  if (same == 0) [[unlikely]] {
    if (fdb_candidates(*home, word) != 0) return nullptr;
    home = table.second(mac);
    same = entries_with(*home, word);
    if (same == 0) return nullptr;
  }
  return &home->seen[static_cast<size_t>(std::countr_zero(same))];
}

// The first frame from `i` on that is not as expected; the sources before it have been seen now.
template <bool kSources>
[[gnu::target("avx2"), gnu::noinline]] uint32_t compare_chunk(const Chunk& chunk,
                                                              const Expected& expected,
                                                              uint32_t i) {
  const Expected e = expected;
  for (const uint32_t n = chunk.count; i < n; i++) {
    const Addresses& a = chunk.of[i];
    if constexpr (kSources) {
      Shared<uint32_t>* const seen =
          age_of(e.table, chunk.home[i], a.source, fdb_word(a.source, false, 0, 0) | e.own);
      if (seen == nullptr || is_group(a.source)) break;
      if (seen->load(std::memory_order_relaxed) != e.now)
        seen->store(e.now, std::memory_order_relaxed);
    }
    const Shared<uint32_t>* const seen =
        age_of(e.table, a.home, a.dest, fdb_word(a.dest, false, 0, 0) | e.place);
    if (seen == nullptr || is_group(a.dest)) break;
    if (static_cast<int32_t>(e.now - seen->load(std::memory_order_relaxed)) > e.limit) break;
  }
  return i;
}

uint32_t compare(const Chunk& chunk, const Expected& expected, uint32_t i) {
  if (!__builtin_cpu_supports("avx2")) return i;
  return chunk.sources ? compare_chunk<true>(chunk, expected, i)
                       : compare_chunk<false>(chunk, expected, i);
}
#else
uint32_t compare(const Chunk&, const Expected&, uint32_t i) { return i; }
#endif

}  // namespace

// Length of the run that begins at `slot`: frames with the addresses of the first, then others that go to the
// same port; at most kRunFrames, and never beyond the end of the ring. Its slot words are in `run`. 0 when
// the first frame needs classify(). No buffer is asked for ahead: nothing in here waits for one, so the
// processor is some frames further on by itself.
uint32_t Sender::scan_run(uint32_t slot, uint32_t head, uint16_t* dest, uint64_t* bytes) {
  const netmap_slot* const from = slots + slot;
  const PlainSlot plain = plain_slots();
  const uint32_t most = std::min((head > slot ? head : num_slots) - slot, kRunFrames);
  const size_t stride = buf_size;
  const char* const base = bufs + header;
  uint64_t* const to = run;
  uint64_t w = load_slot(from[0]);
  if (!plain(w)) return 0;
  Addresses first;
  first.read(base + static_cast<uint32_t>(w) * stride);
  uint64_t start;  // the destination and the first two octets of the source
  uint32_t rest;   // of it
  const auto first_rest = static_cast<uint32_t>(first.source >> 16);
  to[0] = w;
  uint64_t sum = slot_length(w), flags = w;
  uint32_t count = 1;
  for (; count < most; count++) {
    w = load_slot(from[count]);
    if (!plain(w, to[0])) break;
    const char* const frame = base + static_cast<uint32_t>(w) * stride;
    std::memcpy(&start, frame, 8);
    std::memcpy(&rest, frame + 8, 4);
    if (start != first.dest || rest != first_rest) break;
    to[count] = w;
    flags |= w;
    sum += slot_length(w);
  }
  seen |= flags;
  *bytes = sum;
  *dest = resolve(first.dest & kMacMask, first.source & kMacMask, true);
  return count == most || *dest == kFlood ? count : extend_run(from, count, most, bytes);
}

// What follows a run whose destination was found, as long as it goes there too. The new length.
uint32_t Sender::extend_run(const netmap_slot* from, uint32_t count, uint32_t most,
                            uint64_t* bytes) {
  const Fdb table = fdb;
  const RunSlots slots_of_run{plain_slots(), run[0], bufs + header, buf_size, table, last_source};
  const uint64_t place = dest_ref.word % kFdbUnit;
  const uint32_t ageing = sw->ageing_s.load(std::memory_order_relaxed);
  const int32_t limit = ageing == 0 || fdb_static(place) ? INT32_MAX : static_cast<int32_t>(ageing);
  const uint32_t today = now;
  const Expected expected{table, fdb_word(0, false, self, self_gen), place, today, limit};
  const uint64_t length = slot_length(run[0]);
  Chunk chunk;
  chunk.sources = false;
  for (uint32_t size = kFirstChunk; count < most; size = kChunk) {
    const uint32_t end = std::min(most - count, size);
    if (chunk.sources) {
      read_chunk<true>(slots_of_run, from + count, end, run + count, &chunk);
    } else {
      read_chunk<false>(slots_of_run, from + count, end, run + count, &chunk);
      if (chunk.sources) chunk.find_homes(table);
    }
    seen |= chunk.flags;  // of frames that others will look at again, too
    const uint32_t n = chunk.count;
    uint32_t i = 0;
    while ((i = compare(chunk, expected, i)) != n) {
      const Addresses& a = chunk.of[i];
      if (chunk.sources && !is_group(a.source)) learn(chunk.home[i], a.source & kMacMask);
      if (is_group(a.dest)) break;
      // The word that its entry has if it goes there.
      const uint64_t word = fdb_word(a.dest, false, 0, 0) | place;
      const uint32_t way = Fdb::likely(*a.home, word);
      if (a.home->entry[way].load(std::memory_order_relaxed) != word ||
          static_cast<int32_t>(today - a.home->seen[way].load(std::memory_order_relaxed)) > limit) {
        const uint64_t other = table.find(*sw, a.dest, today).word;
        if (other == 0 || fdb_port(other) != fdb_port(place)) break;
      }
      if (++i == n) break;
    }
    if (i == n) {
      *bytes += n * length + chunk.in_excess;
    } else {
      for (uint32_t k = 0; k < i; k++) *bytes += slot_length(run[count + k]);
    }
    count += i;
    if (i != end) break;
  }
  return count;
}

}  // namespace vale
