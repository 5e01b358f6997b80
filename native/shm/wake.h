// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Waking a receiver that said it sleeps:
//   1. Receiver: count RxRing::wake_epoch up, set its bit in RxRing::wake, full fence, look once more,
//      sleep at most 1 s; clear the bit when awake.
//   2. Sender: publish the tail, one full fence for the whole sync, look at the bits.
//   3. A bit is set and this epoch was not rung by this sender yet: write one byte to that
//      registration's FIFO. Senders clear nothing: a receiver that wakes, finds nothing and sleeps
//      again between a sender's write and its clear would not be woken (seen as 1 s gaps).
//
// Owns. Write ends of FIFOs, opened O_RDWR so that a receiver's death raises no SIGPIPE.
// Invariants. A byte means "look", nothing more; a full FIFO is success. Only a sync that found its
//   rings empty drains the FIFO (switch/receive.h).
// Not here. Who is alive: locks say that, never ENXIO.
#pragma once

#include <mutex>
#include <unordered_map>

#include "shm/directory.h"

namespace vale {

class Doorbells {
 public:
  explicit Doorbells(const Directory& directory) : directory_(directory) {}
  ~Doorbells();
  Doorbells(const Doorbells&) = delete;
  Doorbells& operator=(const Doorbells&) = delete;

  // Ring the registrations of `port` named in `bits`.
  void ring(uint32_t port, uint64_t bits);
  // Close what belongs to registrations that ended.
  void reclaim();

 private:
  struct Bell {
    uint32_t gen;
    int fd;
  };
  const Directory& directory_;
  std::mutex mutex_;
  std::unordered_map<uint32_t, Bell> bells_;  // by registration index
};

// Who sleeps on a ring: RxRing::wake, or a TxRing's. A full fence stands between what was published and
// this.
inline uint64_t sleepers(Shared<uint64_t>& wake) {
#ifdef VALE_TSAN
  return wake.fetch_or(0, std::memory_order_seq_cst);
#else
  return wake.load(std::memory_order_acquire);
#endif
}

// Whether somebody went to sleep since *rung, which is that epoch then.
inline bool slept_since(const Shared<uint32_t>& wake_epoch, uint32_t* rung) {
  const uint32_t epoch = wake_epoch.load(std::memory_order_acquire);
  if (*rung == epoch) return false;
  *rung = epoch;
  return true;
}

}  // namespace vale
