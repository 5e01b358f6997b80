// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A lock is one word in shared memory, 0 or its owner's (Process::word):
//   1. try_lock(): one compare-and-swap.
//   2. lock_bounded(): spin, then yield, up to 30 ms; asks whether the owner lives.
//   3. A dead owner's word is replaced by ours: `taken`, and the caller repairs what it guarded.
//
// Owns. Nothing; the words lie in layout.h's records.
//
// Invariants. Only the dead are dispossessed: the stores of a stopped process cannot be fenced. A
//   wait for the living is bounded; afterwards the lock counts as stalled until its word changes.
//
// Not here. What a lock guards and how it is repaired (switch/).
#pragma once

#include <sched.h>
#include <time.h>

#include "shm/relax.h"
#include "shm/runtime.h"

namespace vale {

inline bool try_lock(Shared<uint64_t>& lock, uint64_t me) {
  uint64_t expected = 0;
  return lock.compare_exchange_strong(expected, me, std::memory_order_acquire,
                                      std::memory_order_relaxed);
}
inline void unlock(Shared<uint64_t>& lock) { lock.store(0, std::memory_order_release); }

enum class Locked {
  free,     // it was free; nothing to repair
  taken,    // from a dead owner: repair first
  stalled,  // its owner lives but does not move
  self,     // this very thread holds it (a signal handler)
};

inline bool is_locked(Locked l) { return l == Locked::free || l == Locked::taken; }

// `stalled` remembers a word that did not move before, so that the next frames do not wait again.
inline Locked lock_bounded(Runtime& rt, Shared<uint64_t>& lock, uint64_t me, uint64_t* stalled) {
  if (try_lock(lock, me)) return Locked::free;
  uint64_t seen = lock.load(std::memory_order_relaxed);
  if (seen == *stalled && seen != 0) return Locked::stalled;
  // Longer than a scheduler keeps a runnable owner waiting on a machine with a few runnable threads
  // a core, so that the merely preempted are not taken for stopped.
  constexpr uint64_t kBound = 30'000'000, kAsk = 200'000;  // ns
  auto now = [] {
    timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(ts.tv_nsec);
  };
  const uint64_t start = now();
  uint64_t ask = kAsk;
  for (unsigned spins = 0;; spins++) {
    if (try_lock(lock, me)) return Locked::free;
    const uint64_t word = lock.load(std::memory_order_relaxed);
    if (word == 0) continue;
    if (rt.process.is_self(word)) return Locked::self;
    if (spins < 256) {
      cpu_relax();
      continue;
    }
    const uint64_t waited = now() - start;
    if (waited > ask) {
      ask *= 4;
      if (!rt.process.alive(rt.directory, word)) {
        uint64_t dead = word;
        if (lock.compare_exchange_strong(dead, me, std::memory_order_acquire)) return Locked::taken;
        continue;
      }
    }
    if (waited > kBound) {
      *stalled = word;
      return Locked::stalled;
    }
    timespec pause{0, waited < 1'000'000 ? 0 : 50'000};
    if (pause.tv_nsec == 0) {
      sched_yield();
    } else {
      nanosleep(&pause, nullptr);
    }
  }
}

// Take a lock only if it is free or its owner is dead: for ring syncs, which skip a busy ring.
// `busy` counts refusals, so that the living are not asked after each time.
inline Locked lock_or_skip(Runtime& rt, Shared<uint64_t>& lock, uint64_t me, uint32_t* busy) {
  if (try_lock(lock, me)) [[likely]] {
    *busy = 0;
    return Locked::free;
  }
  uint64_t word = lock.load(std::memory_order_relaxed);
  if (word == 0) return Locked::stalled;
  if (rt.process.is_self(word)) return Locked::self;
  const uint32_t n = ++*busy;
  if ((n & (n - 1)) != 0 || rt.process.alive(rt.directory, word)) return Locked::stalled;
  return lock.compare_exchange_strong(word, me, std::memory_order_acquire) ? Locked::taken
                                                                           : Locked::stalled;
}

}  // namespace vale
