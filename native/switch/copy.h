// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Before a batch is delivered the lines that will be written are asked for, for writing: descriptors,
//   then buffers; then a frame's bytes are copied in whole cache lines.
// Owns. Nothing. Used under the receiving ring's lock.
// Invariants. Buffers are multiples of 64 bytes long and aligned to that, so a copy rounded up stays inside.
// Not here. Which ring, which slot (sender.h, rx_slots.h).
#pragma once

#include <cstring>

#include "abi/netmap.h"
#include "shm/layout.h"
#include "switch/prefetch.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace vale {

#if defined(__x86_64__)
// A frame in registers twice as wide as the baseline's. memcpy() chooses as well as that, but at each call, and
// between calls it has to find its way to the end of an odd length.
[[gnu::target("avx2"), gnu::noinline]] inline void copy_wide(char* to, const char* from,
                                                             uint32_t length) {
  typedef long long Wide __attribute__((vector_size(32), aligned(1), may_alias));
  for (const char* const end = from + length; from < end; from += 64, to += 64) {
    const Wide a = *reinterpret_cast<const Wide*>(from);
    const Wide b = *reinterpret_cast<const Wide*>(from + 32);
    *reinterpret_cast<Wide*>(to) = a;
    *reinterpret_cast<Wide*>(to + 32) = b;
  }
}
constexpr uint32_t kWide = 4096;  // above, memcpy() has better ways
#endif

// Whole 64-byte units: buffers are multiples of 64 long, and a fixed size copies without a branch.
inline void copy_payload(char* to, const char* from, uint32_t length) {
#if defined(__x86_64__)
  if (length <= 64) {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 16));
    const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 32));
    const __m128i d = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 48));
    _mm_store_si128(reinterpret_cast<__m128i*>(to), a);
    _mm_store_si128(reinterpret_cast<__m128i*>(to + 16), b);
    _mm_store_si128(reinterpret_cast<__m128i*>(to + 32), c);
    _mm_store_si128(reinterpret_cast<__m128i*>(to + 48), d);
    return;
  }
  if (length <= kWide && __builtin_cpu_supports("avx2")) {
    copy_wide(to, from, length);
    return;
  }
#endif
  std::memcpy(to, from, (length + 63) & ~63u);
}

// The lines of `count` descriptors from `slot` on.
inline void prefetch_slots(netmap_slot* ring, uint32_t n, uint32_t slot, uint32_t count) {
  for (uint32_t i = 0; i < count; i += 4) {
    uint32_t at = slot + i;
    if (at >= n) at -= n;
    prefetch_for_write(&ring[at]);
  }
}

// Free slots of a ring whose tail is at `tail`, as far as known without asking its receiver again.
inline uint32_t known_space(const RxRing& r, uint32_t tail) {
  const uint32_t n = r.num_slots;
  const uint32_t used = tail >= r.hwcur_seen ? tail - r.hwcur_seen : tail + n - r.hwcur_seen;
  return n - 1 - used;
}

}  // namespace vale
