// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A virtual machine whose frames go through a unix socket: what ports of streams and of datagrams do
//   alike on the way to it.
//   1. to_guest(): flush(); then frames of each of the port's rx rings, by send_some(), until the socket is full.
//   2. arm(): before a sleep, whether room in the socket is waited for as well.
// Owns. Whether the socket is full.
// Invariants. Frames are whole Ethernet frames, complete with checksums: the port carries no virtio-net
//   headers, so the switch has made them so. When the socket takes no more, frames wait in the ring: the
//   switch drops what finds that full, and counts it. Without a machine they are dropped as link_down.
// Not here. How frames lie in a socket, and the way from it: stream_port.h, dgram_port.h.
#pragma once

#include "vhost/guest_link.h"

namespace vale::vhost {

class SocketPort : public GuestLink {
 public:
  bool to_guest(Port& port) final;
  bool blocked(const Port&) const final { return full_; }
  void arm(short events) final;

 protected:
  static constexpr unsigned kParts = 256;  // pieces of memory in one call of the kernel
  static constexpr uint32_t kBurst = 256;  // frames a turn from the machine

  using GuestLink::GuestLink;

  // Whether a machine takes frames.
  virtual bool there() const = 0;
  // What the socket did not take of a frame; false when it still does not take all of that.
  virtual bool flush() { return true; }
  // Frames from the head of a ring that has some, by one call of the kernel; whether any went. Sets full_.
  virtual bool send_some(const RingView& ring) = 0;
  // What is slept on, anew: with_room: also that the socket takes more.
  virtual Status watch_socket(bool with_room) = 0;

  Status watch();

  bool full_ = false;  // it takes no more for now

 private:
  bool watches_room_ = false;
};

}  // namespace vale::vhost
