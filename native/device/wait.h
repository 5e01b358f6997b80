// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Sleep until one of several ports is ready, as poll(2) on netmap descriptors would:
//   1. ready() on each: sync and look. Anything there: return.
//   2. where the last wait found something, repeat 1 for spin_us, from 2 µs on giving the processor away
//      between looks; for 10 µs, giving it away at once, when spin_us is 0. Silence costs no processor.
//   3. arm() each, then ready() once more: closes the race with a sender.
//   4. poll(2) on their descriptors and stop_fd, at most timeout_ms.
//   5. disarm(), ready() a last time.
//
// Owns. Nothing.
// Invariants. A frame published before step 4 is never slept on: either step 3 sees it or the sender
//   sees the arm.
// Not here. What a wake-up is made of (shm/wake.h).
#pragma once

#include <cstdint>

#include "device/device.h"

namespace vale {

struct PortWait {
  Port* port;
  short events;       // wanted: POLLIN and/or POLLOUT
  short revents = 0;  // out
};

constexpr unsigned kMostWaits = 128;

// How many of waits[0..n) have revents set; 0 = timeout, or stop_fd became readable (stopped is then
// set when given). timeout_ms < 0 waits for ever. stop_fd < 0: none. n at most kMostWaits.
int wait_ports(PortWait* waits, unsigned n, int timeout_ms, uint32_t spin_us, int stop_fd,
               bool* stopped = nullptr);

}  // namespace vale
