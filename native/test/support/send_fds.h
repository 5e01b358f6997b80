// SPDX-License-Identifier: BSD-2-Clause
// Bytes by a Unix socket, with descriptors.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstring>

// At most 16 of `fds`. As sendmsg(2).
inline ssize_t send_fds(int socket, const iovec* parts, size_t part_count, const int* fds,
                        size_t fd_count, int flags) {
  alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))] = {};
  msghdr m = {};
  m.msg_iov = const_cast<iovec*>(parts);
  m.msg_iovlen = part_count;
  if (fd_count != 0) {
    m.msg_control = control;
    m.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    cmsghdr* const c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    std::memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
  }
  return sendmsg(socket, &m, flags | MSG_NOSIGNAL);
}
