// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A virtual machine without shared memory, as QEMU's netdev "dgram" has it: each frame is a datagram
//   between two unix sockets, each with a path of its own.
//   1. attend(): the machine's socket is looked for at its path, or where the last datagram came from.
//   2. to_guest(): frames of the port's rx rings, as many as one call of the kernel takes.
//   3. from_guest(): datagrams that have come, into a tx ring.
// Owns. The socket that receives and its file; one that sends, joined to the machine's, so that its full
//   queue can be waited for.
// Invariants. As stream_port.h: whole, complete frames; when the machine's queue is full, frames wait in
//   the ring, and the switch counts what finds that full. Either side may begin again at any time.
// Not here. Machines with shared memory (guest_port.h).
#pragma once

#include <memory>
#include <vector>

#include "vhost/endpoint.h"
#include "vhost/guest_link.h"

namespace vale::vhost {

class DgramPort final : public GuestLink {
 public:
  // remote: the path of the machine's socket; empty: whoever sends.
  static Status open(const std::string& path, const std::string& remote,
                     std::unique_ptr<GuestLink>* out);

  void attend() override;
  bool to_guest(Port& port) override;
  bool from_guest(Port& port) override;
  bool blocked(const Port&) const override { return full_; }
  int patience() const override;

  short ready(short events) override;
  void arm(short events) override;

 private:
  static constexpr unsigned kBatch = 64;  // datagrams of one call of the kernel

  DgramPort(const std::string& path, const std::string& remote);

  void meet();
  void part();
  Status watch();
  bool fetch();
  bool send_some(const RingView& ring);

  Endpoint endpoint_;
  std::string remote_;
  const bool any_remote_;
  Handle sends_;  // joined to remote_; not valid: nobody is there
  bool watches_room_ = false;
  bool full_ = false;       // the machine's queue takes no more for now
  std::vector<char> come_;  // kBatch datagrams, of which [next_, count_) are still to be taken
  uint32_t length_[kBatch];
  unsigned next_ = 0, count_ = 0;
};

}  // namespace vale::vhost
