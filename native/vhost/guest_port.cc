// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/guest_port.h"

#include <sys/epoll.h>

#include <cerrno>
#include <cstring>

#include "shm/monotonic.h"

namespace vale::vhost {
namespace {

constexpr uint64_t kTryNs = 250'000'000;  // between two tries of a client

}  // namespace

GuestPort::GuestPort(const GuestOptions& options) : options_(options), answer_(new Message) {
  info_.name = options.path;
  info_.device = "vhost-user";
}

GuestPort::~GuestPort() = default;

Status GuestPort::open(const GuestOptions& options, std::unique_ptr<GuestPort>* out) {
  std::unique_ptr<GuestPort> port(new GuestPort(options));
  Status status = port->endpoint_.open(options.path, options.client);
  if (status.ok()) status = port->watch();
  if (status.ok()) *out = std::move(port);
  return status;
}

// A set anew: what was in the old one may still be open in the other process, and would go on waking.
Status GuestPort::watch() {
  Handle made(epoll_create1(EPOLL_CLOEXEC));
  bool good = made.valid();
  const auto add = [&](int fd, uint32_t events) {
    epoll_event event = {};
    event.events = events;
    if (fd >= 0) good = good && epoll_ctl(made.fd(), EPOLL_CTL_ADD, fd, &event) == 0;
  };
  if (channel_ == nullptr) add(endpoint_.fd(), EPOLLIN);
  if (channel_ != nullptr) add(channel_->fd(), EPOLLIN);
  if (device_ != nullptr) {
    // A kick is an edge: never read, it wakes again with the next one all the same.
    for (const int fd : device_->kicks()) add(fd, EPOLLIN | EPOLLET);
    watched_ = device_->generation();
  }
  const int err = errno;
  set_ = std::move(made);
  if (good) return Status::good();
  return Status::fail(err, "%s: cannot make the descriptors that it needs: %s",
                      options_.path.c_str(), std::strerror(err));
}

void GuestPort::attend() {
  attention_ = false;
  if (channel_ == nullptr) meet();
  if (channel_ != nullptr) listen_to_master();
}

void GuestPort::meet() {
  if (endpoint_.client()) {
    const uint64_t now = monotonic_ns();
    if (now < next_try_) return;
    next_try_ = now + kTryNs;
  }
  Handle socket = endpoint_.meet();
  if (!socket.valid()) return;
  channel_.reset(new Channel(std::move(socket)));
  device_.reset(new Device(options_.pairs));
  failed_.store(false, std::memory_order_relaxed);
  connected_.store(true, std::memory_order_relaxed);
  say("connected");
  watch();
}

void GuestPort::listen_to_master() {
  for (;;) {
    if (device_->broken()) return part(device_->trouble());
    switch (channel_->receive()) {
      case Channel::Receive::none:
        if (device_->generation() != watched_) {
          if (const Status s = watch(); !s.ok()) return part(s.text);
          attention_ = true;  // what was made available before anybody listened for kicks
        }
        mtu_.store(device_->mtu(), std::memory_order_relaxed);
        return;
      case Channel::Receive::closed:
        return part(channel_->trouble());
      case Channel::Receive::message:
        break;
    }
    if (!device_->handle(channel_->message(), answer_.get())) continue;
    if ((answer_->header.flags & kReply) != 0 && !channel_->send(*answer_))
      return part(channel_->trouble());
  }
}

// why: empty when the other side has just ended.
void GuestPort::part(const std::string& why) {
  connected_.store(false, std::memory_order_relaxed);
  failed_.store(!why.empty(), std::memory_order_relaxed);
  partings_.fetch_add(1, std::memory_order_relaxed);
  mtu_.store(0, std::memory_order_relaxed);
  say(why.empty() ? "disconnected" : "broken: " + why + "; disconnected");
  device_.reset();
  channel_.reset();
  watch();
  attention_ = true;
}

bool GuestPort::to_guest(Port& port) {
  if (device_ != nullptr) {
    const bool moved = device_->to_guest(port, &counts_);
    attention_ |= device_->broken();
    return moved;
  }
  bool moved = false;
  for (unsigned r = port.first_rx(); r < port.last_rx(); r++)
    moved |= ToGuest::discard(port.rx_view(r), &counts_) != 0;
  return moved;
}

bool GuestPort::from_guest(Port& port) {
  if (device_ == nullptr) return false;
  const bool moved = device_->from_guest(port, &counts_);
  attention_ |= device_->broken();
  return moved;
}

int GuestPort::patience() const {
  return endpoint_.client() && channel_ == nullptr ? static_cast<int>(kTryNs / 1'000'000) : -1;
}

short GuestPort::ready(short) {
  return attention_ || (device_ != nullptr && device_->more()) ? POLLIN : 0;
}

void GuestPort::arm(short) {
  if (device_ != nullptr) device_->want_kicks(true);
}

void GuestPort::disarm() {
  epoll_event events[8];
  attention_ |= epoll_wait(set_.fd(), events, 8, 0) > 0;
  if (device_ != nullptr) device_->want_kicks(false);
}

bool GuestPort::wire_state(WireState* out) const {
  WireState state;
  state.interface = options_.path;
  state.backend = "vhost-user";
  state.take_over = "none";
  state.up = !failed_.load(std::memory_order_relaxed);
  state.link = connected_.load(std::memory_order_relaxed);
  state.link_downs = partings_.load(std::memory_order_relaxed);
  state.mtu = mtu_.load(std::memory_order_relaxed);
  *out = state;
  return true;
}

}  // namespace vale::vhost
