// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The memory of one port, between its first and its last registration:
//   0. memory_assign(): a region of its own, or the shared one it asked for. A persistent port gets it
//      at birth and keeps it, and so its mem_id.
//   1. memory_up(): rings and buffers in that region, indices at 0.
//   2. memory_down(): wait for whoever is inside a ring, count unread frames as `gone`, give the
//      objects back; the region goes with its last port.
//
// Owns. The ring objects and buffers in the region; what TxRing and RxRing say about them. Under the
//   directory lock; memory_down() also takes each ring's lock.
// Invariants. Nothing is handed out before its pages are reserved. A ring that a stopped process is
//   inside of keeps its memory: memory_down() then answers false and is called again later.
// Not here. The region itself (shm/region.h).
#pragma once

#include "shm/runtime.h"
#include "types.h"

namespace vale {

Status memory_assign(Runtime& rt, uint32_t port_slot, uint32_t extra_bufs);
Status memory_up(Runtime& rt, uint32_t port_slot, uint32_t extra_bufs);
bool memory_down(Runtime& rt, uint32_t port_slot, bool keep_region = false);
// Waits until whoever was inside one of the port's rings has left it; false if somebody stays.
bool memory_settled(Runtime& rt, uint32_t port_slot);
// A netmap_ring at ring_ofs of the region mapped at `base`, with these buffers in its slots.
void write_ring(char* base, const RegionRec& region, uint64_t ring_ofs, uint32_t slots, uint32_t id,
                bool rx, const uint32_t* buffers);
// The region of the request's own memory, whose mem_id becomes the request's; one that no port came to use
// goes again.
Status memory_bring(Runtime& rt, OpenRequest* request, uint32_t* region);
void memory_drop_unused(Runtime& rt, uint32_t region);
// After the region grew: more buffer indices are valid.
void memory_refresh_bounds(Runtime& rt, uint32_t region_slot);

}  // namespace vale
