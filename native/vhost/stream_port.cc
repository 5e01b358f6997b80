// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/stream_port.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "vhost/slots.h"

namespace vale::vhost {
namespace {

constexpr uint32_t kLength = 4;  // bytes in front of a frame
constexpr uint32_t kLongest = 65536 + ETH_HLEN;
constexpr size_t kRoom = 256 << 10;  // more than the longest frame

}  // namespace

StreamPort::StreamPort(const std::string& path) : SocketPort(path, "stream"), come_(kRoom) {}

Status StreamPort::open(const std::string& path, bool client, std::unique_ptr<GuestLink>* out) {
  std::unique_ptr<StreamPort> port(new StreamPort(path));
  if (Status s = port->endpoint_.open(path, client); !s.ok()) return s;
  if (Status s = port->watch(); !s.ok()) return s;
  *out = std::move(port);
  return Status::good();
}

Status StreamPort::watch_socket(bool with_room) {
  return sleep_on(
      {{socket_.valid() ? socket_.fd() : endpoint_.fd(), EPOLLIN | (with_room ? EPOLLOUT : 0u)}});
}

void StreamPort::attend() {
  attention_ = false;
  if (ended_) part("");
  if (!socket_.valid()) meet();
  if (tend(socket_.valid())) watch();
}

void StreamPort::meet() {
  if (endpoint_.client() && !due()) return;
  socket_ = endpoint_.meet();
  if (!socket_.valid()) return endpoint_.client() ? missing(path_, errno) : void();
  came();
  watch();
}

// why: empty when the other side has just ended.
void StreamPort::part(const char* why) {
  went(why);
  socket_ = Handle();
  first_ = last_ = 0;
  rest_.clear();
  full_ = ended_ = false;
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
  SlotWriter to(port.tx_view(port.first_tx()));
  uint32_t taken = 0;
  for (; taken < kBurst; taken++) {
    uint32_t length = waiting();
    if (length == 0 && fetch()) length = waiting();
    if (length == 0) break;
    if (length == UINT32_MAX) {
      part("a frame of an impossible length");
      break;
    }
    if (!to.put(come_.data() + first_ + kLength, length, &counts_)) break;
    first_ += kLength + length;
  }
  to.done(&counts_);
  return taken != 0;
}

bool StreamPort::flush() {
  if (rest_.empty()) return true;
  const ssize_t n = send(socket_.fd(), rest_.data(), rest_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR) ended_ = attention_ = true;
  if (n > 0) rest_.erase(0, static_cast<size_t>(n));
  return rest_.empty();
}

bool StreamPort::send_some(const RingView& ring) {
  uint32_t lengths[kParts / 2];
  Gathered frame[kParts / 2];
  iovec parts[kParts];
  const unsigned frames = gather(ring, 1, parts, kParts, frame, kParts / 2);
  if (frames == 0) return false;
  for (unsigned i = 0; i < frames; i++) {
    lengths[i] = htonl(frame[i].bytes);
    parts[frame[i].first] = {&lengths[i], kLength};
  }
  msghdr m = {};
  m.msg_iov = parts;
  m.msg_iovlen = frame[frames - 1].first + frame[frames - 1].parts;
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
  for (; gone < frames && left != 0; gone++) {
    bytes += frame[gone].bytes;
    for (unsigned i = 0; i < frame[gone].parts; i++) {
      const iovec& part = parts[frame[gone].first + i];
      const size_t took = std::min(left, part.iov_len);
      rest_.append(static_cast<char*>(part.iov_base) + took, part.iov_len - took);
      left -= took;
    }
  }
  full_ = !rest_.empty() || gone != frames;
  counts_.sent(gone, bytes);
  ring.release(frame[gone - 1].end);
  return true;
}

int StreamPort::patience() const { return patience_until_met(socket_.valid()); }

short StreamPort::ready(short) {
  if (attention_ || waiting() != 0 || fetch()) return POLLIN;
  return 0;
}

}  // namespace vale::vhost
