// SPDX-License-Identifier: BSD-2-Clause
#include "preload/sleep.h"

#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <vector>

#include "preload/device_file.h"
#include "preload/real.h"
#include "preload/start.h"
#include "shm/relax.h"

namespace vale::preload {
namespace {

constexpr short kIn = POLLIN | POLLRDNORM, kOut = POLLOUT | POLLWRNORM;
constexpr int64_t kSlice = 1'000'000'000;  // ns

// VALE_SPIN_US, else 50; 0 for a program that has one processor only.
int64_t spin_ns() {
  static const int64_t ns = [] {
    const char* wish = getenv("VALE_SPIN_US");
    if (wish != nullptr && *wish >= '0' && *wish <= '9') return std::atol(wish) * int64_t{1000};
    return began_on_one_processor() ? int64_t{0} : int64_t{50'000};
  }();
  return ns;
}

short wanted(short events) {
  return static_cast<short>((events & kIn ? POLLIN : 0) | (events & kOut ? POLLOUT : 0));
}

// Differs whenever a tail moved.
uint64_t signature(const Port& port, short revents) {
  uint64_t sum = static_cast<uint64_t>(revents) + 1;
  if (revents & POLLIN) {
    for (unsigned i = port.first_rx(); i < port.last_rx(); i++)
      sum = sum * 1099511628211u + port.rx_ring(i)->tail;
  }
  if (revents & POLLOUT) {
    for (unsigned i = port.first_tx(); i < port.last_tx(); i++)
      sum = sum * 1099511628211u + port.tx_ring(i)->tail;
  }
  return sum;
}

int look(Watch* watches, unsigned count) {
  int found = 0;
  for (unsigned i = 0; i < count; i++) {
    watches[i].revents = look_at(watches[i]);
    if (watches[i].revents != 0) found++;
  }
  return found;
}

// Whether something came since the last wait that found nothing: where not, spinning only makes silence
// expensive.
bool lively(const Watch* watches, unsigned count) {
  bool any = false;
  for (unsigned i = 0; i < count; i++) {
    Use use(watches[i].fd);
    if (use.port() == nullptr) continue;
    any = any || use.port()->lively;
    use.port()->lively = false;
  }
  return any;
}

int look_others(pollfd* others, unsigned count) {
  const timespec none{};
  return count == 0 ? 0 : real().ppoll(others, count, &none, nullptr);
}

void arm(const Watch& w) {
  Use use(w.fd);
  if (use.port() == nullptr) return;
  use.file()->sleepers++;
  use.port()->arm(wanted(w.events));
}

void disarm(const Watch& w) {
  Use use(w.fd);
  if (use.port() == nullptr || use.file()->sleepers == 0) return;
  if (--use.file()->sleepers == 0) use.port()->disarm();
}

// Signals wait until the sleep; faults of this thread do not.
struct HoldSignals {
  HoldSignals(const HoldSignals&) = delete;
  HoldSignals& operator=(const HoldSignals&) = delete;
  sigset_t before;
  HoldSignals() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT})
      sigdelset(&all, fault);
    pthread_sigmask(SIG_SETMASK, &all, &before);
  }
  ~HoldSignals() {
    const int keep = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = keep;
  }
};

int sleep_once(const Watch* watches, unsigned count, pollfd* others, unsigned other_count,
               int64_t ns, const sigset_t* mask) {
  pollfd few[16];
  std::vector<pollfd> many;
  pollfd* fds = few;
  if (count + other_count > 16) {
    many.resize(count + other_count);
    fds = many.data();
  }
  for (unsigned i = 0; i < other_count; i++) fds[i] = others[i];
  // Only POLLIN: an idle FIFO can always be written.
  for (unsigned i = 0; i < count; i++) fds[other_count + i] = {watches[i].fd, POLLIN, 0};
  const timespec ts{ns / 1'000'000'000, ns % 1'000'000'000};
  const int got = real().ppoll(fds, count + other_count, &ts, mask);
  if (got < 0) return -1;
  int ready = 0;
  for (unsigned i = 0; i < other_count; i++) {
    others[i].revents = fds[i].revents;
    if (fds[i].revents != 0) ready++;
  }
  return ready;
}

}  // namespace

short look_at(Watch& w) {
  Use use(w.fd);
  if (use.file() == nullptr) return kind_of(w.fd) == Kind::device ? short{0} : short{POLLNVAL};
  if (use.port() == nullptr || use.port()->loop_enabled()) return POLLERR;
  const short got = use.port()->ready(wanted(w.events));
  if (got != 0) use.port()->lively = true;
  if (got != 0 && w.seen != nullptr) {
    const uint64_t now = signature(*use.port(), got);
    if (now == *w.seen) return 0;
    *w.seen = now;
  }
  short out = static_cast<short>(got & ~(POLLIN | POLLOUT));
  if (got & POLLIN) out = static_cast<short>(out | (w.events & kIn));
  if (got & POLLOUT) out = static_cast<short>(out | (w.events & kOut));
  return out;
}

int wait_for(Watch* watches, unsigned count, pollfd* others, unsigned other_count,
             int64_t timeout_ns, const sigset_t* mask, bool hold) {
  pthread_testcancel();
  int found = look(watches, count);
  int ready = look_others(others, other_count);
  if (ready < 0) return -1;
  if (found + ready != 0 || timeout_ns == 0) return found + ready;

  const int64_t start = now_ns();
  const int64_t deadline =
      timeout_ns < 0 || timeout_ns > INT64_MAX - start ? INT64_MAX : start + timeout_ns;
  std::optional<HoldSignals> held;
  if (hold) held.emplace();
  if (held && mask == nullptr) mask = &held->before;

  const int64_t spin_end = lively(watches, count) ? start + spin_ns() : start;
  for (unsigned round = 0; now_ns() < spin_end && now_ns() < deadline; round++) {
    for (int i = 0; i < 8; i++) cpu_relax();
    found = look(watches, count);
    if (round % 64 == 63) ready = look_others(others, other_count);
    if (ready < 0) return -1;
    if (found + ready != 0) return found + ready;
  }

  for (;;) {
    for (unsigned i = 0; i < count; i++) arm(watches[i]);
    found = look(watches, count);
    int64_t left = found != 0 ? 0 : deadline - now_ns();
    if (left < 0) left = 0;
    ready = sleep_once(watches, count, others, other_count, left < kSlice ? left : kSlice, mask);
    const int err = errno;
    for (unsigned i = 0; i < count; i++) disarm(watches[i]);
    // What is there counts more than the signal, as in the kernel.
    if (found == 0) found = look(watches, count);
    if (ready < 0 && found == 0) {
      errno = err;
      return -1;
    }
    if (ready < 0) ready = 0;
    if (found + ready != 0 || now_ns() >= deadline) return found + ready;
  }
}

}  // namespace vale::preload
