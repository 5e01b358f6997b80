// SPDX-License-Identifier: BSD-2-Clause
#include "device/wait.h"

#include <sched.h>

#include "shm/monotonic.h"
#include "shm/relax.h"

namespace vale {
namespace {

// Where frames flow, the next ones are often closer than a sleep and a wake-up, which cost several
// times this. Giving the processor away meanwhile lets a sender that shares it go on. Who spins does so too,
// but not at once: an answer that is on its way already would come later by two system calls.
constexpr uint64_t kLinger = 10'000, kEager = 2'000;  // ns

int look(PortWait* waits, unsigned n) {
  int found = 0;
  for (unsigned i = 0; i < n; i++) {
    waits[i].revents = waits[i].port->ready(waits[i].events);
    if (waits[i].revents == 0) continue;
    waits[i].port->lively = true;
    found++;
  }
  return found;
}

}  // namespace

int wait_ports(PortWait* waits, unsigned n, int timeout_ms, uint32_t spin_us, int stop_fd,
               bool* stopped) {
  if (n > kMostWaits) n = kMostWaits;
  int found = look(waits, n);
  if (found != 0 || timeout_ms == 0) return found;

  bool lively = false;
  for (unsigned i = 0; i < n; i++) {
    lively = lively || waits[i].port->lively;
    waits[i].port->lively = false;
  }
  // Where the last wait found nothing either, spinning would only make silence expensive.
  if (lively) {
    const uint64_t began = monotonic_ns();
    const uint64_t eager = spin_us == 0 ? began : began + kEager;
    const uint64_t end = began + (spin_us == 0 ? kLinger : spin_us * 1000ull);
    for (uint64_t now = began; now < end; now = monotonic_ns()) {
      if (now < eager) {
        for (int i = 0; i < 8; i++) cpu_relax();
      } else {
        sched_yield();
      }
      found = look(waits, n);
      if (found != 0) return found;
    }
  }

  // At most a second at a time: a sender killed between its tail and its wake-up wakes nobody.
  const uint64_t deadline =
      timeout_ms < 0 ? ~uint64_t{0} : monotonic_ns() + static_cast<uint64_t>(timeout_ms) * 1000000u;
  for (;;) {
    for (unsigned i = 0; i < n; i++) waits[i].port->arm(waits[i].events);
    found = look(waits, n);
    bool stop = false;
    const uint64_t now = monotonic_ns();
    if (found == 0 && now < deadline) {
      pollfd fds[kMostWaits + 1];
      nfds_t count = 0;
      for (unsigned i = 0; i < n; i++) {
        const int fd = waits[i].port->fd();
        if (fd >= 0) fds[count++] = {fd, waits[i].port->poll_events(waits[i].events), 0};
      }
      if (stop_fd >= 0) fds[count++] = {stop_fd, POLLIN, 0};
      const uint64_t left_ms = (deadline - now + 999999u) / 1000000u;
      const int got = poll(fds, count, static_cast<int>(left_ms < 1000 ? left_ms : 1000));
      stop = got > 0 && stop_fd >= 0 && fds[count - 1].revents != 0;
    }
    for (unsigned i = 0; i < n; i++) waits[i].port->disarm();
    if (stop && stopped != nullptr) *stopped = true;
    if (found == 0) found = look(waits, n);
    if (found != 0 || stop || monotonic_ns() >= deadline) return found;
  }
}

}  // namespace vale
