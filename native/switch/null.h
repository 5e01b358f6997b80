// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. null_open(): a port that leads nowhere, in a memory that exists: for its extra buffers.
// Owns. The PortRec of kind `null`. Directory lock held.
// Invariants. It may have no rings. Its name is whatever was asked for, and finds nothing.
// Not here. Opening it (registration.h).
#pragma once

#include "shm/runtime.h"
#include "types.h"

namespace vale {

// EINVAL: no memory, or none of that id, was named.
Status null_open(Runtime& rt, const OpenRequest& request, uint32_t* port);

}  // namespace vale
