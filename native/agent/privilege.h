// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. From whoever attaches an interface (often root) to a process that may do nothing special:
//   1. enter_network(): into the interface's network namespace, if another was named.
//   2. become_owner(): the user and group the runtime directory belongs to, for good, with nothing left
//      of privilege but the capabilities that opening an interface takes. Only then is anything in the
//      directory touched.
//   3. The interface is opened, with buffers of the switch port.
//   4. drop_privilege(): those capabilities go too.
//
// Owns. This process's credentials.
// Invariants. Before any thread is started. Nobody but root traces or reads it meanwhile. Whoever can
//   write to the directory gains nothing from an agent but what they may do themselves and what the
//   open interface can.
// Not here. Which privileges opening takes (nic/).
#pragma once

#include <string>

#include "status.h"

namespace vale {

// A name as ip-netns(8) has it, a process id, or a path. EINVAL: there is none; EPERM.
Status enter_network(const std::string& name);

Status become_owner(const std::string& directory);
Status drop_privilege();

}  // namespace vale
