// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. find_peer(): the far end of a veth pair, wherever it is: the kernel names its index and its
//   network namespace; a thread goes there and asks the driver.
// Owns. Nothing. Invariants. Answers are a moment old. The caller's thread stays in its namespace.
// Not here. What to make of it (xdp_advice.h).
#pragma once

#include <cstdint>
#include <string>

#include "nic/interface.h"

namespace vale {

struct Peer {
  std::string name;        // empty: the interface has none, or it cannot be seen from here
  bool elsewhere = false;  // in another network namespace than the interface
  std::string inside;      // of that namespace: the words before a command, "ip netns exec blue "
  bool asked = false;      // the rest is known; it takes CAP_SYS_ADMIN for one elsewhere
  uint32_t tx_queues = 0;
  Offloads offloads;
};

Peer find_peer(const Interface& interface);

// The words before a command that make it run in that network namespace: a name of ip-netns(8), a
// process id, or a path. Empty for an empty name.
std::string command_inside(const std::string& netns);

}  // namespace vale
