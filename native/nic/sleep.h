// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What the sleeper on an interface sleeps on:
//   1. open(): one descriptor for the sockets and a timer.
//   2. watch(): before a sleep, the events to be woken by, errors always among them, and how soon in
//      any case. leave(): after it.
//
// Owns. The epoll descriptor and the timer; the sockets are the port's.
//
// Invariants. The first socket is the one that sends. Awake it is not in the set: while it is there
//   the kernel tells the set of every frame it has done with, which costs a tenth of the rate. One
//   thread at a time calls watch() and leave().
//
// Not here. When to sleep, and for what.
#pragma once

#include <cstdint>
#include <vector>

#include "status.h"

namespace vale {

class Sleep {
 public:
  Sleep() = default;
  ~Sleep();
  Sleep(const Sleep&) = delete;
  Sleep& operator=(const Sleep&) = delete;

  // sends: whether the first of the sockets sends anything.
  Status open(const std::vector<int>& sockets, bool sends);
  int fd() const { return set_; }
  // events: EPOLLIN, EPOLLOUT of the sockets, or 0. within_ns: 0 for no limit.
  void watch(uint32_t events, int64_t within_ns);
  void leave();

 private:
  struct Socket {
    int fd;
    bool present;  // in the set
    uint32_t events;
  };

  bool put(Socket* socket, uint32_t events);

  int set_ = -1, timer_ = -1;
  std::vector<Socket> sockets_;
  bool sends_ = false;
  bool timed_ = false;
};

}  // namespace vale
