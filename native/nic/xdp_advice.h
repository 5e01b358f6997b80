// SPDX-License-Identifier: BSD-2-Clause
// What to tell a user of AF_XDP, in one line with the command that mends it: why a driver refuses its own
// mode, what of a frame AF_XDP does not see, what memory it takes.
#pragma once

#include <cstdint>
#include <string>

#include "nic/interface.h"
#include "nic/peer.h"
#include "status.h"

namespace vale {

// Bytes that this process may lock.
uint64_t lockable_bytes();
// For ENOBUFS: `bytes` could not be locked.
Status no_lockable_memory(const std::string& interface, uint64_t bytes);

struct XdpPlace {
  const Interface& interface;
  const Peer& peer;
  const std::string& inside;  // the words before a command that runs where the interface is
};

// For ENOSPC of a veth's own mode: it wants a queue to receive on for each its other end sends on.
std::string too_few_queues(const XdpPlace& place);

// What would be lost on its way through AF_XDP; empty: nothing.
std::string unseen_by_xdp(const XdpPlace& place, bool generic);

}  // namespace vale
