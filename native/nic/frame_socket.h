// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A descriptor of the kernel's through which whole frames come and go, with a virtio-net header
//   beside each:
//   1. receive() shows the oldest frame; after anything but `none`, release() gives its place back
//      before receive() is called again.
//   2. send() hands over a batch.
// Owns. Nothing. Invariants. Frames come in the kernel's order. A frame shown stays until release().
//   Nothing blocks.
// Not here. The kinds there are (packet_socket.h, tap_socket.h), netmap rings (packet.h).
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include "offload/vnet_header.h"

namespace vale {

// The largest super-frame Linux makes (BIG TCP) has 8 x 65535 bytes.
constexpr uint32_t kMaxSuperFrame = 512 << 10;

struct ReceivedFrame {
  char* data = nullptr;  // may be written
  uint32_t bytes = 0;
  VnetHeader vnet = {};
  bool tagged = false;  // the kernel took this VLAN tag out of the frame
  uint16_t tpid = 0, tci = 0;
};

enum class Receive {
  none,     // the kernel has nothing
  frame,    // shown
  no_room,  // there was one, of which the kernel could not keep all; release() it
  too_big   // there was one beyond kMaxSuperFrame; release() it
};

class FrameSocket {
 public:
  FrameSocket() = default;
  virtual ~FrameSocket() = default;
  FrameSocket(const FrameSocket&) = delete;
  FrameSocket& operator=(const FrameSocket&) = delete;

  virtual int fd() const = 0;
  virtual Receive receive(ReceivedFrame* out) = 0;
  virtual void release() = 0;
  // Frames sent, from the front; when 0, *error says why the first was refused. messages[i] starts
  // with a VnetHeader.
  virtual unsigned send(mmsghdr* messages, unsigned count, int* error) = 0;
  // Frames dropped by the kernel for want of a free place, since the last call.
  virtual uint64_t take_drops() = 0;
  // The error the kernel has for this descriptor, and may forget: ENETDOWN when the interface went down,
  // ENODEV when a TAP device was removed.
  virtual int take_error() = 0;
  // Whether the interface is gone for good.
  virtual bool removed() const = 0;
};

}  // namespace vale
