// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Who has an interface open, for all processes of a network namespace whatever runtime directory
//   they use:
//   1. claim() binds a socket to an abstract name with the interface's index and the process in it.
//   2. It then looks at the names of others, as the kernel lists them, and refuses what excludes itself.
//   An interface and its host's side are claimed apart.
// Owns. The sockets, as Handles: their end is the claim's, however the process ends.
// Invariants. One who attaches an interface to a switch is alone, and so is who has a host's side or a TAP device's
//   other end; who opens an interface by its name may be one of several. Who claims first stays; of two at the same
//   instant both may be refused.
//   Anybody in the namespace may bind such names: at worst an interface is refused with the process named.
// Not here. Keeping the host's stack away (take_over.h).
#pragma once

#include <string>

#include "nic/bpf.h"
#include "nic/interface.h"
#include "nic/tap_device.h"
#include "status.h"

namespace vale {

// An interface, and those of its sides that are claimed.
struct Claim {
  Interface interface;  // its index is 0 when there is none yet
  TapFacts tap = 0;     // how it was before, where it is a TAP device whose other end is claimed
  Handle nic, host;
};

struct ClaimWish {
  std::string port;   // of a switch, that the interface is attached as; "" it is opened by its name
  bool host = false;  // its host's side
  bool single = false;  // only one can have it, as it is of the kernel's making
  // Others do not matter, and by its name nothing is claimed: who listens beside the host keeps nobody away.
  bool shared = false;
};
// EBUSY: somebody excludes it; the text says who. Without /proc nobody is seen.
Status claim(const Interface& interface, const ClaimWish& wish, Handle* out);

}  // namespace vale
