// SPDX-License-Identifier: BSD-2-Clause
// Descriptors that arrive in a message: one may be a port that another process opened.
#include <cstring>

#include "preload/device_file.h"
#include "preload/real.h"

namespace vale::preload {
namespace {

void look_through(msghdr* message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(message); c != nullptr; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      if (kind_of(fd) == Kind::other) recognise(fd);
    }
  }
}

}  // namespace

EXPORT(ssize_t, recvmsg, (int fd, msghdr* message, int flags)) {
  const ssize_t n = real().recvmsg(fd, message, flags);
  if (n >= 0 && message->msg_controllen != 0) look_through(message);
  return n;
}

EXPORT(int, recvmmsg, (int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout)) {
  const int n = real().recvmmsg(fd, messages, count, flags, timeout);
  for (int i = 0; i < n; i++) {
    if (messages[i].msg_hdr.msg_controllen != 0) look_through(&messages[i].msg_hdr);
  }
  return n;
}

}  // namespace vale::preload
