// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Questions about a port or its memory that leave nothing behind:
//   1. probe_port():  rings, slots and memory; of a switch port that does not exist, what it would get.
//   2. probe_pools(): where the three pools of that memory lie.
//   3. probe_memory(): the size of a memory named by its id alone.
//
// Owns. Nothing. Each takes the directory lock, and reaps.
// Invariants. Creates nothing: the reference makes the port for a moment, which others could see.
// Not here. Opening (registration.h).
#pragma once

#include "shm/runtime.h"
#include "types.h"

namespace vale {

// ENXIO: no such port; EINVAL, ENOMEM: not a name, as the reference answers when it would create.
Status probe_port(Runtime& rt, const OpenRequest& request, PortInfo* out);
Status probe_pools(Runtime& rt, const OpenRequest& request, PoolsInfo* out);
// EINVAL: no memory has this id.
Status probe_memory(Runtime& rt, uint32_t mem_id, PortInfo* out);

// Under the directory lock.
void fill_info(const Control& c, const PortRec& p, PortInfo* out);

}  // namespace vale
