// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. PacketPort fills in frames until it is full or the ring is empty, calls sendmmsg(2), and goes on
//   behind what the kernel took.
// Owns. The message vectors. What they point at stays in the ring's buffers until the call has returned.
// Invariants. parts has room for the fragments of kFrames usual frames and of one that has the most.
// Not here. What becomes of a frame that the kernel refuses (packet_tx.cc).
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include "nic/packet.h"

namespace vale {

struct PacketPort::Batch {
  static constexpr unsigned kFrames = 64;
  static constexpr unsigned kParts = 2 * kFrames + 1 + NETMAP_MAX_FRAGS;

  VnetHeader header = {};  // asks nothing of the kernel: frames are complete
  mmsghdr messages[kFrames];
  iovec parts[kParts];     // of each frame: a virtio-net header, then its fragments
  uint32_t ends[kFrames];  // slot after the frame
  uint32_t bytes[kFrames];
  unsigned first, frames;  // those in [first, frames) are not with the kernel yet
  Drop why;                // of a single frame that must not go
};

}  // namespace vale
