// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/channel.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace vale::vhost {
namespace {

constexpr unsigned kMostTaken = 64;  // descriptors of one read, so that too many can be closed

}  // namespace

Channel::Receive Channel::receive() {
  constexpr uint32_t head = sizeof(Header);
  if (filled_ == head + message_.header.size && filled_ >= head) {
    filled_ = 0;
    message_.fds.clear();
  }
  for (;;) {
    if (filled_ >= head) {
      const Header& h = message_.header;
      if (h.size > kMaxPayload) return closed("a message that is too long");
      if ((h.flags & kVersionMask) != kVersion) return closed("a message of another version");
      if (filled_ == head + h.size) return Receive::message;
    }
    iovec part;
    if (filled_ < head) {
      part = {reinterpret_cast<char*>(&message_.header) + filled_, head - filled_};
    } else {
      part = {message_.payload + (filled_ - head), message_.header.size - (filled_ - head)};
    }
    alignas(cmsghdr) char control[CMSG_SPACE(kMostTaken * sizeof(int))];
    msghdr m = {};
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    const ssize_t n = recvmsg(socket_.fd(), &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return Receive::none;
    if (n <= 0) return closed("");
    for (cmsghdr* c = CMSG_FIRSTHDR(&m); c != nullptr; c = CMSG_NXTHDR(&m, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; i++) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        message_.fds.emplace_back(fd);
      }
    }
    if ((m.msg_flags & MSG_CTRUNC) != 0 || message_.fds.size() > kMaxMessageFds)
      return closed("a message with too many descriptors");
    filled_ += static_cast<uint32_t>(n);
  }
}

bool Channel::send(const Message& answer) {
  iovec parts[2] = {{const_cast<Header*>(&answer.header), sizeof answer.header},
                    {const_cast<char*>(answer.payload), answer.header.size}};
  msghdr m = {};
  m.msg_iov = parts;
  m.msg_iovlen = 2;
  ssize_t n;
  do {
    n = sendmsg(socket_.fd(), &m, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n == static_cast<ssize_t>(sizeof answer.header + answer.header.size)) return true;
  trouble_ = n < 0 && errno != EAGAIN ? "" : "answers that it does not read";
  return false;
}

}  // namespace vale::vhost
