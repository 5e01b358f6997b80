// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A virtual machine without shared memory, as QEMU's netdev "stream" has it: a connected unix socket
//   on which each frame follows its length, 32 bits, big-endian.
//   1. send_some(): as many frames as one call of the kernel takes. Of one that it took a part of, the rest is
//      kept and goes first.
//   2. from_guest(): what has come, frame by frame, into a tx ring.
// Owns. The connection, what of a frame has come or is still to go.
// Invariants. Those of socket_port.h. A length that cannot be is the end of the connection.
// Not here. Machines with shared memory (guest_port.h).
#pragma once

#include <vector>

#include "vhost/socket_port.h"

namespace vale::vhost {

class StreamPort final : public SocketPort {
 public:
  static Status open(const std::string& path, bool client, std::unique_ptr<GuestLink>* out);

  void attend() override;
  bool from_guest(Port& port) override;
  int patience() const override;

  short ready(short events) override;

 private:
  explicit StreamPort(const std::string& path);

  bool there() const override { return socket_.valid() && !ended_; }
  bool flush() override;
  bool send_some(const RingView& ring) override;
  Status watch_socket(bool with_room) override;

  void meet();
  void part(const char* why);
  bool fetch();
  uint32_t waiting() const;

  Handle socket_;
  bool ended_ = false;      // the other side has closed
  std::vector<char> come_;  // what has come, from first_ to last_
  size_t first_ = 0, last_ = 0;
  std::string rest_;  // of a frame, to be sent first
};

}  // namespace vale::vhost
