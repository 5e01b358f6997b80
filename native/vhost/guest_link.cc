// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/guest_link.h"

#include <sys/epoll.h>

#include <cerrno>
#include <cstring>

#include "shm/monotonic.h"
#include "vhost/slots.h"

namespace vale::vhost {
namespace {

bool is_due(uint64_t* last, uint64_t every_ns) {
  const uint64_t now = monotonic_ns();
  if (now - *last < every_ns) return false;
  *last = now;
  return true;
}

}  // namespace

GuestLink::GuestLink(const std::string& path, const char* backend) : path_(path) {
  info_.name = path;
  info_.device = backend;
}

void GuestLink::missing(const std::string& where, int err) {
  if (err == missing_) return;
  missing_ = err;
  say(where + ": not connected yet: " + std::strerror(err) + "; tried again and again");
}

void GuestLink::came() {
  missing_ = 0;
  failed_.store(false, std::memory_order_relaxed);
  here_.store(true, std::memory_order_relaxed);
  say(path_ + ": connected");
}

void GuestLink::went(const std::string& why, const std::string& more) {
  here_.store(false, std::memory_order_relaxed);
  failed_.store(!why.empty(), std::memory_order_relaxed);
  partings_.fetch_add(1, std::memory_order_relaxed);
  mtu_.store(0, std::memory_order_relaxed);
  attention_ = true;
  const std::string ended = more.empty() ? ": disconnected" : ": disconnected " + more;
  say(path_ + (why.empty() ? ended : ": broken: " + why + "; disconnected"));
}

bool GuestLink::due(uint64_t every_ns) { return is_due(&last_try_, every_ns); }

bool GuestLink::tend(bool met) {
  if (endpoint_.client() || !is_due(&last_look_, kLookNs)) return false;
  bool anew = false;
  const Status status = endpoint_.keep(&anew);
  if (anew) say(path_ + ": the socket's file was removed, and is there again");
  if (!status.ok() && status.text != lost_)
    say("the socket's file was removed, and cannot be made again: " + status.text +
        "; tried again and again");
  lost_ = status.text;
  unreachable_.store(!status.ok(), std::memory_order_relaxed);
  const bool waits = met && endpoint_.knocks();
  if (waits && !another_waits_.load(std::memory_order_relaxed))
    say(path_ + ": another machine wants to connect, and waits until this one has gone");
  another_waits_.store(waits, std::memory_order_relaxed);
  return anew;
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
  state.unreachable = unreachable_.load(std::memory_order_relaxed);
  state.another_waits = another_waits_.load(std::memory_order_relaxed);
  *out = state;
  return true;
}

}  // namespace vale::vhost
