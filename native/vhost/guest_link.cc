// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/guest_link.h"

#include <sys/epoll.h>

#include <cerrno>
#include <cstring>

#include "shm/monotonic.h"
#include "vhost/slots.h"

namespace vale::vhost {

GuestLink::GuestLink(const std::string& path, const char* backend) : path_(path) {
  info_.name = path;
  info_.device = backend;
}

void GuestLink::missing(const std::string& where, int err) {
  if (err == missing_) return;
  missing_ = err;
  if (say_) say_(where + ": not connected yet: " + std::strerror(err) + "; tried again and again");
}

void GuestLink::came() {
  missing_ = 0;
  failed_.store(false, std::memory_order_relaxed);
  here_.store(true, std::memory_order_relaxed);
  if (say_) say_(path_ + ": connected");
}

void GuestLink::went(const std::string& why, const std::string& more) {
  here_.store(false, std::memory_order_relaxed);
  failed_.store(!why.empty(), std::memory_order_relaxed);
  partings_.fetch_add(1, std::memory_order_relaxed);
  mtu_.store(0, std::memory_order_relaxed);
  attention_ = true;
  if (!say_) return;
  const std::string ended = more.empty() ? ": disconnected" : ": disconnected " + more;
  say_(path_ + (why.empty() ? ended : ": broken: " + why + "; disconnected"));
}

bool GuestLink::due(uint64_t every_ns) {
  const uint64_t now = monotonic_ns();
  if (now - last_try_ < every_ns) return false;
  last_try_ = now;
  return true;
}

Status GuestLink::sleep_on(const std::vector<Watched>& all) {
  Handle made(epoll_create1(EPOLL_CLOEXEC));
  bool good = made.valid();
  for (const Watched& one : all) {
    epoll_event event = {};
    event.events = one.events;
    if (one.fd >= 0) good = good && epoll_ctl(made.fd(), EPOLL_CTL_ADD, one.fd, &event) == 0;
  }
  const int err = errno;
  set_ = std::move(made);
  if (good) return Status::good();
  return Status::fail(err, "cannot make the descriptors that it needs: %s", std::strerror(err));
}

void GuestLink::disarm() {
  epoll_event events[8];
  attention_ |= epoll_wait(set_.fd(), events, 8, 0) > 0;
}

bool GuestLink::discard(Port& port, uint32_t header) {
  bool any = false;
  for (unsigned r = port.first_rx(); r < port.last_rx(); r++)
    any |= vhost::discard(port.rx_view(r), header, &counts_);
  return any;
}

bool GuestLink::wire_state(WireState* out) const {
  WireState state;
  state.backend = info_.device;
  state.take_over = "none";
  state.up = !failed_.load(std::memory_order_relaxed);
  state.link = here_.load(std::memory_order_relaxed);
  state.link_downs = partings_.load(std::memory_order_relaxed);
  state.mtu = mtu_.load(std::memory_order_relaxed);
  *out = state;
  return true;
}

}  // namespace vale::vhost
