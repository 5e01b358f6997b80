// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One interface through one AF_PACKET socket:
//   1. open(): promiscuous, incoming frames only, a ring shared with the kernel.
//   2. receive() shows the oldest frame the kernel has put there; release() gives its place back.
//   3. send() hands over a batch of frames in one system call.
//
// Owns. The socket, the shared ring, room for one frame too large for it.
//
// Invariants. Frames on their way to the host's stack (take_over.h) are not received.
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
#include <memory>

#include "nic/frame_socket.h"
#include "nic/interface.h"
#include "nic/mapping.h"
#include "status.h"

namespace vale {

class PacketSocket final : public FrameSocket {
 public:
  PacketSocket() = default;
  ~PacketSocket() override;

  // EPERM, ENOMEM, EINVAL (not Ethernet), ENODEV.
  Status open(const Interface& interface, bool receives);

  int fd() const override { return fd_; }
  Receive receive(ReceivedFrame* out) override;
  void release() override;
  unsigned send(mmsghdr* messages, unsigned count, int* error) override;
  uint64_t take_drops() override;
  int take_error() override;
  bool removed() const override;

 private:
  Status map_ring(const Interface& interface);
  char* place(uint32_t i) const {
    return ring_.data() + uint64_t{i / places_per_block_} * block_bytes_ +
           uint64_t{i % places_per_block_} * place_bytes_;
  }
  Receive receive_large(ReceivedFrame* out);

  int fd_ = -1;
  Mapping ring_;
  uint32_t block_bytes_ = 0;
  uint32_t place_bytes_ = 0;
  uint32_t places_per_block_ = 1;
  uint32_t places_ = 0;
  uint32_t next_ = 0;
  std::unique_ptr<char[]> large_;  // of kMaxSuperFrame bytes, once one is needed
};

}  // namespace vale
