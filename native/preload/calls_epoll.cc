// SPDX-License-Identifier: BSD-2-Clause
// epoll_ctl, epoll_wait and their relations.
#include <cerrno>
#include <new>

#include "preload/device_file.h"
#include "preload/epoll_set.h"
#include "preload/real.h"

namespace vale::preload {

void EpollSet::ended() {
  Guard guard(lock);
  if (guard.held) members_.clear();
}

int EpollSet::change(int operation, int fd, const epoll_event* event) {
  if (operation != EPOLL_CTL_DEL && event == nullptr) return EFAULT;
  Guard guard(lock);
  if (!guard.held) return EBUSY;
  Object* object = object_of(fd);
  auto at = members_.begin();
  while (at != members_.end() && (at->fd != fd || at->object != object)) ++at;
  const bool there = at != members_.end();
  switch (operation) {
    case EPOLL_CTL_ADD:
      if (there) return EEXIST;
      members_.push_back({fd, object, event->events, event->data, 0, false});
      return 0;
    case EPOLL_CTL_MOD:
      if (!there) return ENOENT;
      *at = {fd, object, event->events, event->data, 0, false};
      return 0;
    case EPOLL_CTL_DEL:
      if (!there) return ENOENT;
      members_.erase(at);
      return 0;
    default:
      return EINVAL;
  }
}

std::vector<Watch> EpollSet::watches() {
  std::vector<Watch> out;
  Guard guard(lock);
  if (!guard.held) return out;
  for (size_t i = 0; i < members_.size();) {
    Member& m = members_[i];
    if (object_of(m.fd) != m.object) {
      members_.erase(members_.begin() + static_cast<ptrdiff_t>(i));
      continue;
    }
    if (!m.spent) {
      Watch w{m.fd, static_cast<short>(m.events & 0x7fff), 0, static_cast<uint32_t>(i)};
      out.push_back(w);
    }
    i++;
  }
  return out;
}

int EpollSet::collect(const std::vector<Watch>& found, epoll_event* out, int room) {
  Guard guard(lock);
  int count = 0;
  for (const Watch& w : found) {
    if (w.revents == 0 || count == room || w.tag >= members_.size()) continue;
    Member& m = members_[w.tag];
    if (m.fd != w.fd) continue;
    if (m.events & EPOLLET) m.seen = *w.seen;
    if (m.events & EPOLLONESHOT) m.spent = true;
    out[count].events = static_cast<uint32_t>(w.revents);
    out[count++].data = m.data;
  }
  return count;
}

void EpollSet::edges(std::vector<Watch>& watches, std::vector<uint64_t>& seen) {
  Guard guard(lock);
  seen.assign(watches.size(), 0);
  for (size_t i = 0; i < watches.size(); i++) {
    if (watches[i].tag >= members_.size()) continue;
    const Member& m = members_[watches[i].tag];
    seen[i] = m.seen;
    if (m.events & EPOLLET) watches[i].seen = &seen[i];
  }
}

namespace {

// nullptr when there is none and none is wanted, or no memory.
EpollSet* set_of(int epfd, bool make) {
  if (kind_of(epfd) == Kind::epoll) return static_cast<EpollSet*>(object_of(epfd));
  if (!make || kind_of(epfd) != Kind::other) return nullptr;
  Guard table(g_table_lock);
  if (!table.held) return nullptr;
  auto* set = new (std::nothrow) EpollSet;
  return set != nullptr && add(epfd, set) ? set : nullptr;
}

int wait_set(EpollSet& set, int epfd, epoll_event* events, int max, int64_t timeout_ns,
             const sigset_t* mask) {
  std::vector<Watch> watches = set.watches();
  std::vector<uint64_t> seen;
  set.edges(watches, seen);
  pollfd kernel{epfd, POLLIN, 0};
  const int got =
      wait_for(watches.data(), static_cast<unsigned>(watches.size()), &kernel, 1, timeout_ns, mask);
  if (got <= 0) return got;
  int count = set.collect(watches, events, max);
  if (kernel.revents != 0 && count < max) {
    const int more = real().epoll_pwait(epfd, events + count, max - count, 0, nullptr);
    if (more > 0) count += more;
  }
  return count;
}

}  // namespace

EXPORT(int, epoll_ctl, (int epfd, int operation, int fd, epoll_event* event)) {
  if (kind_of(fd) != Kind::device) return real().epoll_ctl(epfd, operation, fd, event);
  // Is it an epoll descriptor at all? The kernel says so about a descriptor that is not there.
  if (real().epoll_ctl(epfd, EPOLL_CTL_DEL, epfd, nullptr) != 0 && errno == EBADF) return -1;
  EpollSet* set = set_of(epfd, operation == EPOLL_CTL_ADD);
  const int err = set != nullptr ? set->change(operation, fd, event) : ENOENT;
  if (err == 0) return 0;
  errno = err;
  return -1;
}

EXPORT(int, epoll_pwait, (int epfd, epoll_event* events, int max, int ms, const sigset_t* mask)) {
  EpollSet* set = kind_of(epfd) == Kind::epoll ? set_of(epfd, false) : nullptr;
  if (set == nullptr || max <= 0) return real().epoll_pwait(epfd, events, max, ms, mask);
  return wait_set(*set, epfd, events, max, timeout_of(ms), mask);
}

EXPORT(int, epoll_wait, (int epfd, epoll_event* events, int max, int ms)) {
  return interposed_epoll_pwait(epfd, events, max, ms, nullptr);
}

EXPORT(int, epoll_pwait2,
       (int epfd, epoll_event* events, int max, const timespec* timeout, const sigset_t* mask)) {
  EpollSet* set = kind_of(epfd) == Kind::epoll ? set_of(epfd, false) : nullptr;
  if (set == nullptr || max <= 0) return real().epoll_pwait2(epfd, events, max, timeout, mask);
  return wait_set(*set, epfd, events, max, timeout_of(timeout), mask);
}

}  // namespace vale::preload
