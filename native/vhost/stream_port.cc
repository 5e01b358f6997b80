// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/stream_port.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "shm/monotonic.h"

namespace vale::vhost {
namespace {

constexpr uint64_t kTryNs = 250'000'000;  // between two tries of a client
constexpr uint32_t kLength = 4;           // bytes in front of a frame
constexpr uint32_t kLongest = 65536 + ETH_HLEN;
constexpr size_t kRoom = 256 << 10;  // more than the longest frame
constexpr unsigned kParts = 256;     // of one call of the kernel
constexpr uint32_t kBurst = 256;     // frames a turn

}  // namespace

StreamPort::StreamPort(const std::string& path) : path_(path), come_(kRoom) {
  info_.name = path;
  info_.device = "stream";
}

Status StreamPort::open(const std::string& path, bool client, std::unique_ptr<GuestLink>* out) {
  std::unique_ptr<StreamPort> port(new StreamPort(path));
  if (Status s = port->endpoint_.open(path, client); !s.ok()) return s;
  port->watch();
  if (!port->set_.valid()) return Status::fail(errno, "%s: no descriptor is left", path.c_str());
  *out = std::move(port);
  return Status::good();
}

void StreamPort::watch() {
  set_ = Handle(epoll_create1(EPOLL_CLOEXEC));
  const int fd = socket_.valid() ? socket_.fd() : endpoint_.fd();
  watches_room_ = socket_.valid() && full_;
  epoll_event event = {};
  event.events = EPOLLIN | (watches_room_ ? EPOLLOUT : 0u);
  if (fd >= 0) epoll_ctl(set_.fd(), EPOLL_CTL_ADD, fd, &event);
}

void StreamPort::attend() {
  attention_ = false;
  if (ended_) part("");
  if (socket_.valid()) return;
  if (endpoint_.client()) {
    const uint64_t now = monotonic_ns();
    if (now < next_try_) return;
    next_try_ = now + kTryNs;
  }
  socket_ = endpoint_.meet();
  if (!socket_.valid()) return;
  failed_.store(false, std::memory_order_relaxed);
  connected_.store(true, std::memory_order_relaxed);
  if (say_) say_(path_ + ": connected");
  watch();
}

// why: empty when the other side has just ended.
void StreamPort::part(const char* why) {
  connected_.store(false, std::memory_order_relaxed);
  failed_.store(*why != 0, std::memory_order_relaxed);
  partings_.fetch_add(1, std::memory_order_relaxed);
  if (say_)
    say_(path_ + ": " + (*why != 0 ? "broken: " + std::string(why) + "; " : "") + "disconnected");
  socket_ = Handle();
  first_ = last_ = 0;
  rest_.clear();
  full_ = ended_ = false;
  attention_ = true;
  watch();
}

// What has come since; false when that is nothing.
bool StreamPort::fetch() {
  if (!socket_.valid() || ended_) return false;
  if (first_ == last_) first_ = last_ = 0;
  if (first_ != 0 && last_ == come_.size()) {
    std::memmove(come_.data(), come_.data() + first_, last_ - first_);
    last_ -= first_;
    first_ = 0;
  }
  if (last_ == come_.size()) return false;
  const ssize_t n = recv(socket_.fd(), come_.data() + last_, come_.size() - last_, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) {
    ended_ = attention_ = true;
    return true;
  }
  last_ += static_cast<size_t>(n);
  return true;
}

// Bytes of the oldest frame, when all of it has come; 0: not yet.
uint32_t StreamPort::waiting() const {
  if (last_ - first_ < kLength) return 0;
  uint32_t length;
  std::memcpy(&length, come_.data() + first_, kLength);
  length = ntohl(length);
  if (length == 0 || length > kLongest) return UINT32_MAX;
  return last_ - first_ >= kLength + length ? length : 0;
}

bool StreamPort::from_guest(Port& port) {
  const RingView& ring = port.tx_view(port.first_tx());
  uint32_t head = ring.head();
  uint32_t room = ring.available();
  uint32_t frames = 0, taken = 0;
  uint64_t bytes = 0;
  for (; taken < kBurst; taken++) {
    uint32_t length = waiting();
    if (length == 0 && fetch()) length = waiting();
    if (length == 0) break;
    if (length == UINT32_MAX) {
      part("a frame of an impossible length");
      break;
    }
    const uint32_t slots = (length + ring.buf_size() - 1) / ring.buf_size();
    const bool never = slots > NETMAP_MAX_FRAGS || slots > ring.slots() - 1;
    if (!never && slots > room) break;
    const char* from = come_.data() + first_ + kLength;
    first_ += kLength + length;
    if (never || length < ETH_HLEN) {
      counts_.drop(never ? Drop::too_big : Drop::runt);
      continue;
    }
    frames++;
    bytes += length;
    room -= slots;
    for (uint32_t left = length; left != 0;) {
      netmap_slot& slot = ring.at(head);
      const uint32_t n = std::min(left, ring.buf_size());
      std::memcpy(ring.buffer(slot.buf_idx), from, n);
      from += n;
      left -= n;
      slot.len = static_cast<uint16_t>(n);
      slot.flags = left != 0 ? NS_MOREFRAG : 0;
      slot.ptr = 0;
      head = ring.after(head);
    }
  }
  ring.release(head);
  counts_.rx_frames.add(frames);
  counts_.rx_bytes.add(bytes);
  return taken != 0;
}

// The rest of a frame; false when the socket does not take all of it.
bool StreamPort::flush() {
  if (rest_.empty()) return true;
  const ssize_t n = send(socket_.fd(), rest_.data(), rest_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR) ended_ = attention_ = true;
  if (n > 0) rest_.erase(0, static_cast<size_t>(n));
  return rest_.empty();
}

bool StreamPort::to_guest(Port& port) {
  bool moved = false;
  full_ = false;
  for (unsigned r = port.first_rx(); r < port.last_rx(); r++) {
    const RingView& ring = port.rx_view(r);
    if (!socket_.valid() || ended_) {
      moved |= discard(ring) != 0;
    } else if (ring.available() != 0 && !full_) {
      moved |= send_some(ring);
    }
    if (full_) ring.release(ring.head(), ring.tail());
  }
  return moved;
}

// Frames from the ring's head on, by one call; whether any went.
bool StreamPort::send_some(const RingView& ring) {
  full_ = !flush();
  if (full_) return false;
  uint32_t lengths[kParts], ends[kParts];
  iovec parts[kParts];
  unsigned used = 0, frames = 0;
  const uint32_t tail = ring.tail();
  for (uint32_t at = ring.head(); at != tail;) {
    unsigned next = used + 1;
    uint32_t bytes = 0;
    bool more = true;
    while (more && at != tail && next < kParts) {
      const netmap_slot slot = ring.slot(at);
      parts[next++] = {ring.buffer(slot.buf_idx), slot.len};
      bytes += slot.len;
      more = (slot.flags & NS_MOREFRAG) != 0;
      at = ring.after(at);
    }
    if (more) break;  // not all of it is there, or it goes next time
    lengths[frames] = htonl(bytes);
    parts[used] = {&lengths[frames], kLength};
    ends[frames++] = at;
    used = next;
    if (used + 1 >= kParts) break;
  }
  if (frames == 0) return false;
  msghdr m = {};
  m.msg_iov = parts;
  m.msg_iovlen = used;
  const ssize_t sent = sendmsg(socket_.fd(), &m, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent <= 0) {
    full_ = sent < 0 && (errno == EAGAIN || errno == EINTR);
    ended_ |= !full_;
    attention_ |= ended_;
    return false;
  }
  size_t left = static_cast<size_t>(sent);
  unsigned gone = 0;
  uint64_t bytes = 0;
  for (unsigned part = 0; gone < frames && left != 0; gone++) {
    const uint32_t length = kLength + ntohl(lengths[gone]);
    bytes += length - kLength;
    for (uint32_t seen = 0; seen < length; part++) {
      const size_t here = parts[part].iov_len, took = std::min(left, here);
      if (took != here) rest_.append(static_cast<char*>(parts[part].iov_base) + took, here - took);
      left -= took;
      seen += static_cast<uint32_t>(here);
    }
  }
  full_ = !rest_.empty() || gone != frames;
  counts_.tx_frames.add(gone);
  counts_.tx_copies.add(gone);
  counts_.tx_delivered.add(gone);
  counts_.tx_bytes.add(bytes);
  ring.release(ends[gone - 1]);
  return true;
}

// Nobody is there.
uint32_t StreamPort::discard(const RingView& ring) {
  uint32_t frames = 0;
  uint64_t bytes = 0;
  const uint32_t tail = ring.tail();
  for (uint32_t i = ring.head(); i != tail; i = ring.after(i)) {
    const netmap_slot slot = ring.slot(i);
    frames += (slot.flags & NS_MOREFRAG) == 0;
    bytes += slot.len;
  }
  ring.release(tail);
  counts_.tx_frames.add(frames);
  counts_.tx_bytes.add(bytes);
  if (frames != 0) counts_.drop_sent(Drop::link_down, frames);
  return frames;
}

int StreamPort::patience() const {
  return endpoint_.client() && !socket_.valid() ? static_cast<int>(kTryNs / 1'000'000) : -1;
}

short StreamPort::ready(short) {
  if (attention_ || waiting() != 0 || fetch()) return POLLIN;
  return 0;
}

void StreamPort::arm(short) {
  if (full_ != watches_room_) watch();
}

void StreamPort::disarm() {
  epoll_event events[4];
  attention_ |= epoll_wait(set_.fd(), events, 4, 0) > 0;
}

bool StreamPort::wire_state(WireState* out) const {
  WireState state;
  state.interface = path_;
  state.backend = "stream";
  state.take_over = "none";
  state.up = !failed_.load(std::memory_order_relaxed);
  state.link = connected_.load(std::memory_order_relaxed);
  state.link_downs = partings_.load(std::memory_order_relaxed);
  *out = state;
  return true;
}

}  // namespace vale::vhost
