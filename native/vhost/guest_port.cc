// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/guest_port.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

namespace vale::vhost {
namespace {

// Then the guests that the same thread serves have their turn.
constexpr unsigned kMessagesPerLook = 16;

}  // namespace

GuestPort::GuestPort(const GuestOptions& options)
    : GuestLink(options.path, "vhost-user"), options_(options), answer_(new Message) {}

GuestPort::~GuestPort() = default;

Status GuestPort::open(const GuestOptions& options, std::unique_ptr<GuestLink>* out) {
  std::unique_ptr<GuestPort> port(new GuestPort(options));
  Status status = port->endpoint_.open(options.path, options.client);
  if (status.ok()) status = port->watch();
  if (status.ok()) *out = std::move(port);
  return status;
}

Status GuestPort::watch() {
  std::vector<Watched> all = {{channel_ == nullptr ? endpoint_.fd() : channel_->fd(), EPOLLIN}};
  if (device_ != nullptr) {
    // A kick is an edge: never read, it wakes again with the next one all the same.
    for (const int fd : device_->kicks()) all.push_back({fd, EPOLLIN | EPOLLET});
    watched_ = device_->generation();
  }
  return sleep_on(all);
}

void GuestPort::attend() {
  attention_ = false;
  if (channel_ == nullptr) meet();
  if (channel_ != nullptr) listen_to_master();
  if (!tend(channel_ != nullptr)) return;
  if (const Status s = watch(); !s.ok() && channel_ != nullptr) part(s.text);
}

void GuestPort::meet() {
  if (endpoint_.client() && !due()) return;
  Handle socket = endpoint_.meet();
  if (!socket.valid()) return endpoint_.client() ? missing(path_, errno) : void();
  channel_.reset(new Channel(std::move(socket)));
  device_.reset(new Device(options_.pairs));
  came();
  watch();
}

void GuestPort::listen_to_master() {
  attention_ = true;  // unless there is nothing more
  for (unsigned messages = 0; messages < kMessagesPerLook; messages++) {
    if (device_->broken()) return part(device_->trouble());
    const Channel::Receive got = channel_->receive();
    if (got == Channel::Receive::closed) return part(channel_->trouble());
    if (got == Channel::Receive::none) {
      attention_ = false;
      break;
    }
    if (device_->handle(channel_->message(), answer_.get()) &&
        (answer_->header.flags & kReply) != 0 && !channel_->send(*answer_))
      return part(channel_->trouble());
  }
  rest_ = device_->wake();
  attention_ |= device_->broken();
  if (device_->generation() != watched_) {
    if (const Status s = watch(); !s.ok()) return part(s.text);
    attention_ = true;  // what was made available before anybody listened for kicks
  }
  mtu_.store(device_->mtu(), std::memory_order_relaxed);
}

// why: empty when the other side has just ended.
void GuestPort::part(const std::string& why) {
  went(why, device_->missed());
  device_.reset();
  channel_.reset();
  rest_ = 0;
  watch();
}

bool GuestPort::to_guest(Port& port) {
  if (device_ == nullptr) return discard(port, kPortHeader);
  const bool moved = device_->to_guest(port, &counts_);
  attention_ |= device_->broken();
  return moved;
}

bool GuestPort::from_guest(Port& port) {
  if (device_ == nullptr) return false;
  const bool moved = device_->from_guest(port, &counts_, this, crossing_);
  attention_ |= device_->broken();
  return moved;
}

bool GuestPort::offer(unsigned ring, const VnetHeader& vnet, const Fragment* frame, uint32_t pieces,
                      uint32_t bytes) {
  return device_ != nullptr && device_->offer(ring, vnet, frame, pieces, bytes);
}

void GuestPort::settle(unsigned ring, uint32_t frames, uint64_t bytes) {
  device_->settle(ring, frames != 0);
  if (frames != 0) counts_.sent(frames, bytes);
}

void GuestPort::keep(unsigned ring, const Plain* filled, uint32_t frames, uint64_t bytes) {
  device_->keep(ring, filled, frames);
  counts_.sent(frames, bytes);
}

int GuestPort::patience() const {
  const int own = patience_until_met(channel_ != nullptr);
  return rest_ != 0 ? std::min(rest_, own) : own;
}

short GuestPort::ready(short) {
  return attention_ || (device_ != nullptr && device_->more()) ? POLLIN : 0;
}

void GuestPort::arm(short) {
  if (device_ != nullptr) device_->want_kicks(true);
}

void GuestPort::disarm() {
  GuestLink::disarm();
  if (device_ != nullptr) device_->want_kicks(false);
}

}  // namespace vale::vhost
