// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What poll, select and epoll come down to when descriptors of ours are among those waited for:
//   1. look at each port as poll(2) on netmap does: sync, then say what holds.
//   2. Nothing: spin a little, signals held back, for a receiver that sleeps at once is woken dearly.
//   3. Announce the sleep, look once more, sleep in ppoll(2) on the FIFOs and on all other descriptors,
//      with the program's own signal mask: a signal that came during 2 interrupts here. Who is told by
//      another descriptor what a handler did holds nothing back: a thread that unblocks signals takes those meant for others.
//   4. Take the announcement back, look again; at most a second at a time.
//
// Owns. Nothing.
// Invariants. No lock is held while sleeping. Of several threads that sleep on one port, the last to
//   leave takes its announcement back.
// Not here. How the three calls say what they wait for (calls_poll.cc, calls_epoll.cc).
#pragma once

#include <poll.h>
#include <signal.h>
#include <time.h>

#include <cstdint>

#include "shm/monotonic.h"

namespace vale::preload {

// A descriptor of ours that is waited for.
struct Watch {
  int fd;
  short events;
  short revents = 0;
  uint32_t tag = 0;          // the caller's
  uint64_t* seen = nullptr;  // edge-triggered: what was reported last; equal is not ready
};

// How many of both have revents set, or -1 and errno. timeout_ns < 0 waits for ever; mask as ppoll's.
// hold: no signal is lost between a look and the sleep.
int wait_for(Watch* watches, unsigned count, pollfd* others, unsigned other_count,
             int64_t timeout_ns, const sigset_t* mask, bool hold = true);

// CLOCK_MONOTONIC, ns.
inline int64_t now_ns() { return static_cast<int64_t>(monotonic_ns()); }
inline int64_t to_ns(const timespec& ts) {
  return static_cast<int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}
// As timeout_ns above; nullptr waits for ever.
inline int64_t timeout_of(const timespec* ts) { return ts == nullptr ? -1 : to_ns(*ts); }
inline int64_t timeout_of(int ms) { return ms < 0 ? -1 : static_cast<int64_t>(ms) * 1'000'000; }

// One look, no wait.
short look_at(Watch& watch);

}  // namespace vale::preload
