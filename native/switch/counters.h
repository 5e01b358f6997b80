// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. From the records that syncs write to figures for people:
//   1. port_totals(): the sum over a port's rings, each read consistently while traffic runs.
//   2. switch_totals(): live ports, less what they had when they were attached, plus those that left.
//   3. retire(): a port leaves; its share moves to the switch.
//
// Owns. SwitchRec::retired, PortRec::base and Header::retire, under the directory lock.
// Invariants. retire() may be cut off anywhere and redone; nothing is counted twice.
// Not here. Counting itself (account.h).
#pragma once

#include "shm/runtime.h"
#include "types.h"

namespace vale {

// Frames that lie in an rx ring unread.
uint64_t frames_in_ring(const Control& c, uint32_t rx_index);

Totals port_totals(const Control& c, const PortRec& p);
Totals switch_totals(const Control& c, uint32_t switch_slot);
PortCounters to_counters(const Totals& t);
Totals to_totals(const PortCounters& c);

// Directory lock held.
void retire(Runtime& rt, uint32_t port_slot);
void redo_retire(Runtime& rt);

}  // namespace vale
