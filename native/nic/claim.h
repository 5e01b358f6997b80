// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Who has an interface open, for all processes of a network namespace whatever runtime directory
//   they use:
//   1. claim() binds a socket to an abstract name with the interface's index and the process in it.
//   2. It then looks at the names of others, as the kernel lists them, and refuses what excludes itself.
// Owns. The socket, as a Handle: its end is the claim's, however the process ends.
// Invariants. One who attaches an interface to a switch is alone; others may be several. Who claims first
//   stays; of two at the same instant both may be refused.
//   Anybody in the namespace may bind such names: at worst an interface is refused with the process named.
// Not here. Keeping the host's stack away (take_over.h).
#pragma once

#include <string>

#include "nic/bpf.h"
#include "nic/interface.h"
#include "status.h"

namespace vale {

// port: of the switch that the interface is attached to as, "" when it is opened by its name. shared: others do
// not matter, and by its name nothing is claimed: who listens beside the host keeps nobody away. EBUSY: somebody excludes it; the text says who. Without /proc nobody is seen.
Status claim(const Interface& interface, const std::string& port, bool shared, Handle* out);

}  // namespace vale
