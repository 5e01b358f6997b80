// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Taking over a ring's lock from a process that died while it held it:
//   1. recover_rx(): the delivery under way was committed if and only if the tail word moved on; say
//      so in its sender's `outcome`.
//   2. recover_tx(): settle the delivery under way by that outcome; what is still in flight after
//      that will never arrive: drop `sender_died`.
//
// Owns. The caller holds the ring's lock. Both may be repeated from any point.
// Invariants. Nothing is counted twice: an outcome counts only for the serial that is not settled.
// Not here. Who is dead (shm/process.h), which rings to look at (reap.h).
#pragma once

#include "shm/runtime.h"

namespace vale {

void recover_rx(Runtime& rt, uint32_t rx_index);
void recover_tx(Runtime& rt, uint32_t tx_index);

}  // namespace vale
