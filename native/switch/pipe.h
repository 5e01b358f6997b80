// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The life of a pipe, "vale0:a{1" and "vale0:a}1":
//   1. pipe_open(): find the end, or make both. Their rings lie in the memory of the parent, which is
//      made too if it is not there: a switch port under its name, else a hidden persistent port.
//   2. Each end is opened and closed as a port is; the rings stay as they are while one end is open.
//   3. pipe_destroy(): after the last close, both ends at once, and then a parent nobody needs.
//
// Owns. The two PortRec of kind `pipe`, their ring records and rings. Directory lock held.
// Invariants. tx ring i of one end and rx ring i of the other have the same number of slots, and slot
//   k of both starts with the same buffer. From RxRing::hwcur to its tail the rx slot owns the buffer,
//   elsewhere the tx slot does.
// Not here. How frames pass (pipe_sync.h).
#pragma once

#include "shm/runtime.h"
#include "types.h"

namespace vale {

// EINVAL: no such name, or a mode or memory a pipe cannot have; ENOMEM: the parent's memory is full.
Status pipe_open(Runtime& rt, const OpenRequest& request, uint32_t* port);
// Either end; false while a stopped process is inside one of the rings.
bool pipe_destroy(Runtime& rt, uint32_t port);

}  // namespace vale
