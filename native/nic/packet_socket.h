// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One interface through one AF_PACKET socket:
//   1. open(): promiscuous, incoming frames only, a ring shared with the kernel.
//   2. receive() shows the oldest frame the kernel has put there; after anything but `none`,
//      release() gives its place back before receive() is called again.
//   3. send() hands over a batch of frames in one system call.
//
// Owns. The socket, the shared ring, room for one frame too large for it.
//
// Invariants. Frames come in the kernel's order. A frame shown stays until release(). Nothing blocks.
//   When the socket closes, the kernel takes back promiscuous mode by itself.
//
//   The ring is TPACKET_V2. V3 packs better but shows frames only when a block is full or its timer
//   (1 ms at least) runs out, which would be the round trip of everything behind this wire. What is
//   larger than a place (TCP that the kernel has not cut yet) waits in the socket's own queue.
//   Frames leave by sendmmsg and not by a shared tx ring: there the kernel gives a place back as soon
//   as the frame has left the socket, while the receiver at the far end of a veth still reads it.
//
// Not here. netmap rings, checksums, VLAN tags (packet.h).
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <vector>

#include "nic/interface.h"
#include "offload/vnet_header.h"
#include "status.h"

namespace vale {

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
  too_big   // there was one beyond 128 KB; release() it
};

class PacketSocket {
 public:
  PacketSocket() = default;
  ~PacketSocket();
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;

  // EPERM, ENOMEM, EINVAL (not Ethernet), ENODEV.
  Status open(const Interface& interface, bool receives);

  int fd() const { return fd_; }
  Receive receive(ReceivedFrame* out);
  void release();
  // Frames sent, from the front; when 0, *error says why the first was refused. messages[i] starts
  // with a VnetHeader.
  unsigned send(mmsghdr* messages, unsigned count, int* error);

  // Frames dropped by the kernel for want of a free place, since the last call.
  uint64_t take_drops() const;
  // The error the kernel has for this socket, and forgets: ENETDOWN when the interface went down.
  int take_error();
  bool removed() const;

 private:
  Status map_ring(const Interface& interface);
  char* place(uint32_t i) const {
    return ring_ + uint64_t{i / places_per_block_} * block_bytes_ +
           uint64_t{i % places_per_block_} * place_bytes_;
  }
  Receive receive_large(ReceivedFrame* out);

  int fd_ = -1;
  char* ring_ = nullptr;
  uint64_t ring_bytes_ = 0;
  uint32_t block_bytes_ = 0;
  uint32_t place_bytes_ = 0;
  uint32_t places_per_block_ = 1;
  uint32_t places_ = 0;
  uint32_t next_ = 0;
  std::vector<char> large_;
};

}  // namespace vale
