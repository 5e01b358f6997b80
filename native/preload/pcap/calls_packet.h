// SPDX-License-Identifier: BSD-2-Clause
// Ports as interfaces of packet sockets: what ioctl(2) and write(2) hand over.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace vale::preload {

// A packet socket's frames for this device go out of this number of /dev/netmap: it is open already, and
// a program that has dropped its privileges since can open no other.
void send_through(const char* name, int fd);
// A question about an interface (SIOCGIF…) that is a port; false when it is not.
bool port_ioctl(unsigned long request, void* argument, int* result);
// A frame for a port that this socket was bound to; false when it was not.
bool write_to_port(int fd, const void* frame, size_t size, ssize_t* result);
// While it lives, this thread gets no stand-in for a packet socket that the system refuses: libpcap, which
// would receive on it, says what it always says of an interface that its user may not capture on.
class NoStandIn {
 public:
  NoStandIn();
  ~NoStandIn();
  NoStandIn(const NoStandIn&) = delete;
  NoStandIn& operator=(const NoStandIn&) = delete;

 private:
  bool before_;
};

}  // namespace vale::preload
