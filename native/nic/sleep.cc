// SPDX-License-Identifier: BSD-2-Clause
#include "nic/sleep.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vale {

Sleep::~Sleep() {
  for (const int fd : {timer_, set_}) {
    if (fd >= 0) close(fd);
  }
}

Status Sleep::open(const std::vector<int>& sockets, bool sends) {
  sends_ = sends;
  set_ = epoll_create1(EPOLL_CLOEXEC);
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  epoll_event event = {};
  event.events = EPOLLIN;
  bool good = set_ >= 0 && timer_ >= 0 && epoll_ctl(set_, EPOLL_CTL_ADD, timer_, &event) == 0;
  for (const int fd : sockets) {
    sockets_.push_back({fd, false, 0});
    good = good && put(&sockets_.back(), 0);
  }
  const int err = errno;
  leave();
  if (good) return Status::good();
  return Status::fail(err, "cannot make the descriptors an interface needs: %s",
                      std::strerror(err));
}

void Sleep::watch(uint32_t events, int64_t within_ns) {
  if (within_ns != 0) {
    const itimerspec in = {{0, 0}, {0, within_ns}};
    timerfd_settime(timer_, 0, &in, nullptr);
    timed_ = true;
  }
  for (Socket& socket : sockets_) put(&socket, events);
}

void Sleep::leave() {
  if (timed_) {
    const itimerspec off = {};
    timerfd_settime(timer_, 0, &off, nullptr);
    timed_ = false;
  }
  if (!sends_ || sockets_.empty() || !sockets_[0].present) return;
  epoll_ctl(set_, EPOLL_CTL_DEL, sockets_[0].fd, nullptr);
  sockets_[0].present = false;
}

bool Sleep::put(Socket* socket, uint32_t events) {
  if (socket->present && socket->events == events) return true;
  epoll_event event = {};
  event.events = events;
  const int what = socket->present ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(set_, what, socket->fd, &event) != 0) return false;
  socket->present = true;
  socket->events = events;
  return true;
}

}  // namespace vale
