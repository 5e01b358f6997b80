// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A TAP device that was there before it was opened here, and stays:
//   1. tap_facts() says how its next user finds it.
//   2. Opening it changes that, for the device and not for the descriptor: whoever opens a TAP device says how it is to be.
//   3. put_back() opens it once more as it was, leaves nothing to its next user's hardware, and closes it.
// Owns. Nothing. Invariants. A device that somebody else has by now is left alone.
// Not here. Frames (tap_socket.h); remembering it for a process that is killed (switch/agents.h).
#pragma once

#include <cstdint>

namespace vale {

// 0: no TAP device, or a kernel (before 4.18) that does not say; else kTapThere and the others.
using TapFacts = uint32_t;
constexpr TapFacts kTapThere = 1, kTapHeader = 2, kTapInfo = 4, kTapQueues = 8, kTapOpen = 16;

// kTapHeader: frames have a virtio-net header; kTapInfo: four bytes of packet information; kTapQueues: several
// may open it; kTapOpen: somebody has.
TapFacts tap_facts(int interface_index);
// The flags that TUNSETIFF makes it so with.
short tap_flags(TapFacts facts);
// False when this process may not, or in another network namespace: somebody else may. True also when there is nothing to do.
bool put_back(int interface_index, TapFacts facts);

}  // namespace vale
