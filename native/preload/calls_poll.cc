// SPDX-License-Identifier: BSD-2-Clause
// poll, select and their relations: the descriptors of ours among those given go to wait_for().
#include <sys/time.h>

#include <cerrno>
#include <cstdlib>

#include "preload/device_file.h"
#include "preload/epoll_set.h"
#include "preload/real.h"

namespace vale::preload {
namespace {

bool ours(int fd) {
  const Kind kind = kind_of(fd);
  return kind == Kind::device || kind == Kind::epoll;
}

bool any_ours(const pollfd* fds, nfds_t n) {
  if (g_devices.load(std::memory_order_relaxed) == 0) return false;
  for (nfds_t i = 0; i < n; i++) {
    if (ours(fds[i].fd)) return true;
  }
  return false;
}

int poll_one(pollfd* p, int64_t timeout_ns, const sigset_t* mask) {
  Watch w{p->fd, p->events};
  const int got = wait_for(&w, 1, nullptr, 0, timeout_ns, mask);
  p->revents = w.revents;
  return got;
}

int poll_mixed(pollfd* fds, nfds_t n, int64_t timeout_ns, const sigset_t* mask) {
  if (n == 1 && kind_of(fds[0].fd) == Kind::device) return poll_one(fds, timeout_ns, mask);
  std::vector<Watch> watches;
  std::vector<pollfd> others;
  std::vector<uint32_t> places;
  for (nfds_t i = 0; i < n; i++) {
    const uint32_t place = static_cast<uint32_t>(i);
    fds[i].revents = 0;
    const Kind kind = kind_of(fds[i].fd);
    if (kind == Kind::device) {
      watches.push_back({fds[i].fd, fds[i].events, 0, place});
      continue;
    }
    if (kind == Kind::epoll) {
      for (Watch w : static_cast<EpollSet*>(object_of(fds[i].fd))->watches()) {
        w.tag = place;
        watches.push_back(w);
      }
    }
    others.push_back(fds[i]);
    places.push_back(place);
  }
  const int got = wait_for(watches.data(), static_cast<unsigned>(watches.size()), others.data(),
                           static_cast<unsigned>(others.size()), timeout_ns, mask);
  if (got < 0) return got;
  for (size_t i = 0; i < others.size(); i++) fds[places[i]].revents = others[i].revents;
  for (const Watch& w : watches) {
    pollfd& p = fds[w.tag];
    // A member of an epoll descriptor makes that one readable.
    const int add = kind_of(p.fd) == Kind::device ? w.revents
                    : w.revents != 0              ? p.events & (POLLIN | POLLRDNORM)
                                                  : 0;
    p.revents = static_cast<short>(p.revents | add);
  }
  int count = 0;
  for (nfds_t i = 0; i < n; i++) count += fds[i].revents != 0;
  return count;
}

bool in_set(const fd_set* set, int fd) {
  return set != nullptr && (set->fds_bits[fd / __NFDBITS] >> (fd % __NFDBITS) & 1);
}

bool any_ours(int nfds, const fd_set* r, const fd_set* w, const fd_set* e) {
  if (g_devices.load(std::memory_order_relaxed) == 0) return false;
  for (int fd = 0; fd < nfds; fd++) {
    if (ours(fd) && (in_set(r, fd) || in_set(w, fd) || in_set(e, fd))) return true;
  }
  return false;
}

int select_mixed(int nfds, fd_set* r, fd_set* w, fd_set* e, int64_t ns, const sigset_t* mask) {
  std::vector<pollfd> fds;
  for (int fd = 0; fd < nfds; fd++) {
    const int events = (in_set(r, fd) ? POLLIN : 0) | (in_set(w, fd) ? POLLOUT : 0) |
                       (in_set(e, fd) ? POLLPRI : 0);
    if (events != 0) fds.push_back({fd, static_cast<short>(events), 0});
  }
  const int got = poll_mixed(fds.data(), fds.size(), ns, mask);
  if (got < 0) return got;
  for (const pollfd& p : fds) {
    if (p.revents & POLLNVAL) {
      errno = EBADF;
      return -1;
    }
  }
  int count = 0;
  auto put = [&](fd_set* set, const pollfd& p, short asked, int means) {
    if (set == nullptr || !(p.events & asked)) return;
    const auto bit = static_cast<__fd_mask>(1UL << (p.fd % __NFDBITS));
    if (p.revents & means) {
      count++;
    } else {
      set->fds_bits[p.fd / __NFDBITS] &= ~bit;
    }
  };
  for (const pollfd& p : fds) {
    put(r, p, POLLIN, POLLIN | POLLHUP | POLLERR);
    put(w, p, POLLOUT, POLLOUT | POLLERR);
    put(e, p, POLLPRI, POLLPRI);
  }
  return count;
}

}  // namespace

EXPORT(int, poll, (pollfd * fds, nfds_t n, int timeout)) {
  if (!any_ours(fds, n)) return real().poll(fds, n, timeout);
  return poll_mixed(fds, n, timeout_of(timeout), nullptr);
}

EXPORT(int, ppoll, (pollfd * fds, nfds_t n, const timespec* timeout, const sigset_t* mask)) {
  if (!any_ours(fds, n)) return real().ppoll(fds, n, timeout, mask);
  return poll_mixed(fds, n, timeout_of(timeout), mask);
}

EXPORT(int, __poll_chk, (pollfd * fds, nfds_t n, int timeout, size_t bytes)) {
  if (bytes / sizeof *fds < n) std::abort();
  return interposed_poll(fds, n, timeout);
}

EXPORT(int, __ppoll_chk,
       (pollfd * fds, nfds_t n, const timespec* timeout, const sigset_t* mask, size_t bytes)) {
  if (bytes / sizeof *fds < n) std::abort();
  return interposed_ppoll(fds, n, timeout, mask);
}

EXPORT(int, select, (int nfds, fd_set* r, fd_set* w, fd_set* e, timeval* timeout)) {
  if (!any_ours(nfds, r, w, e)) return real().select(nfds, r, w, e, timeout);
  const int64_t ns = timeout == nullptr ? -1
                                        : static_cast<int64_t>(timeout->tv_sec) * 1'000'000'000 +
                                              timeout->tv_usec * 1000;
  const int64_t before = now_ns();
  const int got = select_mixed(nfds, r, w, e, ns, nullptr);
  if (timeout != nullptr) {  // Linux leaves what was not slept
    const int64_t slept = now_ns() - before;
    const int64_t left = ns > slept ? ns - slept : 0;
    timeout->tv_sec = left / 1'000'000'000;
    timeout->tv_usec = left % 1'000'000'000 / 1000;
  }
  return got;
}

EXPORT(int, pselect,
       (int nfds, fd_set* r, fd_set* w, fd_set* e, const timespec* timeout, const sigset_t* mask)) {
  if (!any_ours(nfds, r, w, e)) return real().pselect(nfds, r, w, e, timeout, mask);
  return select_mixed(nfds, r, w, e, timeout_of(timeout), mask);
}

}  // namespace vale::preload
