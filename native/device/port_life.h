// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What a port that is kept lives through:
//   1. create_port(): a persistent one, on no switch yet.
//   2. attach_port(): it goes to a switch. What else has that name is an interface or a virtual machine, and goes
//      by an agent (attach.h).
//   3. detach_port(), remove_port(): the same back.
//
// Owns. Nothing; each call begins with a Look (look.h).
// Invariants. What is refused has changed nothing.
// Not here. Ports that go when they are closed (switch/registration.h). Errors and limits: device.h.
#pragma once

#include <string>

#include "shm/runtime.h"
#include "types.h"

namespace vale {

Status create_port(Runtime& rt, const OpenRequest& wish, PortInfo* out);
Status attach_port(Runtime& rt, const AttachRequest& request, uint32_t* port_index,
                   std::string* warning);
Status detach_port(Runtime& rt, const std::string& port, uint32_t* port_index);
Status remove_port(Runtime& rt, const std::string& name);

}  // namespace vale
