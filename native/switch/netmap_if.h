// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What a registration has in its region beside rings:
//   1. write_if(): the netmap_if, with the offsets of the rings that are bound.
//   2. take_extra(): a list of buffers for the application's own use; give_extra() at the end.
//
// Owns. The netmap_if while it is written; afterwards it is the application's.
// Invariants. The list is the application's to change: what is given back is bounded and checked.
// Not here. Where the object lies (shm/region.h).
#pragma once

#include "abi/netmap.h"
#include "shm/runtime.h"

namespace vale {

void write_if(const Control& c, const PortRec& port, netmap_if* nifp, const RegRec& reg);
// How many there are in the list that begins at *head; the device's answer to `wanted`.
uint32_t take_extra(Runtime& rt, uint32_t region, char* base, uint32_t wanted, uint32_t* head);
void give_extra(Runtime& rt, uint32_t region, char* base, uint32_t head);

}  // namespace vale
