// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A virtual machine without shared memory, as QEMU's netdev "stream" has it: a connected unix socket
//   on which each frame follows its length, 32 bits, big-endian.
//   1. to_guest(): frames of the port's rx rings, as many as one call of the kernel takes. Of one that it
//      took a part of, the rest is kept and goes first.
//   2. from_guest(): what has come, frame by frame, into a tx ring.
// Owns. The endpoint, the connection, what of a frame has come or is still to go.
// Invariants. Frames are whole Ethernet frames, complete with checksums: the port carries no virtio-net
//   headers, so the switch has made them so. A length that cannot be is the end of the connection. When the
//   socket takes no more, frames wait in the ring: the switch drops what finds that full, and counts it.
// Not here. Machines with shared memory (guest_port.h).
#pragma once

#include <vector>

#include "vhost/endpoint.h"
#include "vhost/guest_link.h"

namespace vale::vhost {

class StreamPort final : public GuestLink {
 public:
  static Status open(const std::string& path, bool client, std::unique_ptr<GuestLink>* out);

  void attend() override;
  bool to_guest(Port& port) override;
  bool from_guest(Port& port) override;
  bool blocked(const Port&) const override { return full_; }
  int patience() const override;

  short ready(short events) override;
  void arm(short events) override;

 private:
  explicit StreamPort(const std::string& path);

  void part(const char* why);
  Status watch();
  bool fetch();
  bool flush();
  uint32_t waiting() const;
  bool send_some(const RingView& ring);

  Endpoint endpoint_;
  Handle socket_;
  bool watches_room_ = false;
  bool full_ = false;       // the socket takes no more for now
  bool ended_ = false;      // the other side has closed
  std::vector<char> come_;  // what has come, from first_ to last_
  size_t first_ = 0, last_ = 0;
  std::string rest_;  // of a frame, to be sent first
};

}  // namespace vale::vhost
