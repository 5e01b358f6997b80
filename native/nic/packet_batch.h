// SPDX-License-Identifier: BSD-2-Clause
// What PacketPort hands to the kernel in one system call.
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
