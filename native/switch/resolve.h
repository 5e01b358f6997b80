// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. From the name and mode of a request to the port record it opens, in the reference's order:
//   1. Mode NR_REG_NULL: a null port (null.h). A monitor's flags: a new monitor (monitor.h).
//   2. `{` or `}` in the name: an end of a pipe (pipe.h).
//   3. "vale…": a port of a switch, both made if they are not there.
//   4. Anything else: a persistent port, ENXIO if there is none.
//
// Owns. Nothing. Directory lock held.
// Invariants. A port that was made here has no registration yet: whoever called either opens it or
//   drops it again (port_drop_unused).
// Not here. What is bound (registration.h).
#pragma once

#include "shm/runtime.h"
#include "types.h"

namespace vale {

Status resolve(Runtime& rt, const OpenRequest& request, uint32_t* port);
// 3 and 4 alone.
Status resolve_port(Runtime& rt, const OpenRequest& request, uint32_t* port);

}  // namespace vale
