// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A frame passes a pipe by its descriptors alone; its bytes stay where they are:
//   1. pipe_send():    lock the tx ring; copy slots from the last position up to head, checked, into
//                      the peer's rx ring; commit its tail, some slots at a time, up to the last whole
//                      frame.
//   2. pipe_receive(): lock the rx ring's sync; where the application swapped a buffer, hand it back
//                      into the peer's tx slot; move hwcur, which is the sender's limit.
//   3. Both show their own ring's new tail and wake the peer if it sleeps: for frames, or for room.
//
// Owns. The sender: RxRing line 0, `tail` and statistics, under TxRing::lock. The receiver: `hwcur`,
//   under RxRing::sync_lock. Slots: who owns a slot's buffer may write it.
// Invariants. Nothing is dropped: what has no room stays with the sender, whose tail says so. Slot k of
//   one ring corresponds to slot k of the other. The tail is the commit of what was copied, hwcur of a
//   release: whatever was copied beyond them when a process died is copied again.
// Not here. Making and ending a pipe (pipe.h).
#pragma once

#include "abi/netmap.h"
#include "shm/clock.h"
#include "shm/runtime.h"
#include "switch/monitor.h"

namespace vale {

// One direction, seen from one of its ends.
struct PipeRing {
  TxRing* tx = nullptr;
  RxRing* rx = nullptr;
  MoreBits* more = nullptr;
  uint32_t tx_index = 0;
  netmap_ring* from = nullptr;  // of the sending end
  netmap_ring* to = nullptr;    // of the receiving end
  uint32_t busy = 0;
  bool put_back = false;       // a sync found head or cur where they cannot be
  const char* bufs = nullptr;  // buffer 0
  Watched* watched = nullptr;
  uint32_t rung = 0;  // the wake epoch that was answered last
  WallClock clock;
};

void pipe_send(Runtime& rt, PipeRing& pipe, uint64_t me);
void pipe_receive(Runtime& rt, PipeRing& pipe, uint64_t me);

// The first slot that was not sent yet.
inline uint32_t pipe_sent(const PipeRing& pipe) {
  return word_position(pipe.rx->tail.load(std::memory_order_relaxed));
}

}  // namespace vale
