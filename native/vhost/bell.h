// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. An eventfd that another process made is counted up:
//   1. fits(): whether a descriptor is an eventfd at all; others are refused before anything is done with them.
//   2. ring(): its reader wakes.
//
// Owns. A queue of the kernel's (io_setup(2)), for this alone.
// Invariants. Neither ever waits, which write(2) does once the count is full and O_NONBLOCK is not set: both are
//   the other process's to change at any time, as the flag is the open file's, and an eventfd cannot be opened anew
//   nor written with RWF_NOWAIT. What does not wait is the kernel itself: it rings for a request that is done, here
//   to read nothing from nowhere. One thread at a time.
// Not here. When to ring (queue.h).
#pragma once

#include "nic/bpf.h"

namespace vale::vhost {

class Bell {
 public:
  Bell();
  ~Bell();
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  bool fits(int fd);
  void ring(int fd);

 private:
  // An errno, 0 when it was done.
  int submit(int fd, unsigned short what);

  unsigned long queue_ = 0;  // 0: the kernel has none
  Handle nowhere_;
};

}  // namespace vale::vhost
