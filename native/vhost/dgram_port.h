// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A virtual machine without shared memory, as QEMU's netdev "dgram" has it: each frame is a datagram
//   between two unix sockets, each with a path of its own.
//   1. attend(): the machine's socket is looked for at its path, or where the last datagram came from.
//   2. send_some(): as many frames as one call of the kernel takes.
//   3. from_guest(): datagrams that have come, into a tx ring.
// Owns. The socket that sends, joined to the machine's, so that its full queue can be waited for; the one
//   that receives is the endpoint.
// Invariants. Those of socket_port.h. Either side may begin again at any time.
// Not here. Machines with shared memory (guest_port.h).
#pragma once

#include <memory>
#include <vector>

#include "vhost/socket_port.h"

namespace vale::vhost {

class DgramPort final : public SocketPort {
 public:
  // remote: the path of the machine's socket; empty: whoever sends.
  static Status open(const std::string& path, const std::string& remote,
                     std::unique_ptr<GuestLink>* out);

  void attend() override;
  bool from_guest(Port& port) override;
  int patience() const override;

  short ready(short events) override;

 private:
  static constexpr unsigned kBatch = 64;  // datagrams of one call of the kernel

  DgramPort(const std::string& path, const std::string& remote);

  bool there() const override { return sends_.valid(); }
  bool send_some(const RingView& ring) override;
  Status watch_socket(bool with_room) override;

  void meet();
  void part();
  bool fetch();

  std::string remote_;
  const bool any_remote_;
  Handle sends_;            // joined to remote_; not valid: nobody is there
  std::vector<char> come_;  // kBatch datagrams, of which [next_, count_) are still to be taken
  uint32_t length_[kBatch];
  unsigned next_ = 0, count_ = 0;
};

}  // namespace vale::vhost
