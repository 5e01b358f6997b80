// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/dgram_port.h"

#include <linux/if_ether.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "vhost/slots.h"

namespace vale::vhost {
namespace {

constexpr uint32_t kRoom = 65536 + ETH_HLEN + 1;  // a frame that fills it is too long for any ring

}  // namespace

DgramPort::DgramPort(const std::string& path, const std::string& remote)
    : SocketPort(path, "dgram"),
      remote_(remote),
      any_remote_(remote.empty()),
      come_(size_t{kBatch} * kRoom) {}

Status DgramPort::open(const std::string& path, const std::string& remote,
                       std::unique_ptr<GuestLink>* out) {
  std::unique_ptr<DgramPort> port(new DgramPort(path, remote));
  if (Status s = port->endpoint_.open_datagrams(path); !s.ok()) return s;
  if (!remote.empty()) {
    if (Status s = check_path(remote); !s.ok()) return s;
    if (remote == path)
      return Status::fail(EINVAL, "%s: this port's own socket; give the machine's", remote.c_str());
  }
  if (Status s = port->watch(); !s.ok()) return s;
  *out = std::move(port);
  return Status::good();
}

Status DgramPort::watch_socket(bool with_room) {
  return sleep_on({{endpoint_.fd(), EPOLLIN}, {with_room ? sends_.fd() : -1, EPOLLOUT}});
}

void DgramPort::attend() {
  attention_ = false;
  if (!remote_.empty() && due(sends_.valid() ? kLookNs : kTryNs)) meet();
  if (tend(sends_.valid())) watch();
}

// Joined anew even if it is: a socket that has ended and one that has begun at its path look alike from here.
void DgramPort::meet() {
  const bool was = sends_.valid();
  Handle made = connect_to(remote_, SOCK_DGRAM);
  if (!made.valid()) return was ? part() : missing(remote_, errno);
  if (was && full_) return;  // that queue is waited for
  sends_ = std::move(made);
  if (!was) came();
}

void DgramPort::part() {
  sends_ = Handle();
  full_ = false;
  if (any_remote_) remote_.clear();
  went("");
  watch();
}

// Datagrams that have come since; false when that is none.
bool DgramPort::fetch() {
  if (next_ != count_) return true;
  mmsghdr messages[kBatch] = {};
  iovec parts[kBatch];
  sockaddr_un from = {};
  for (unsigned i = 0; i < kBatch; i++) {
    parts[i] = {come_.data() + size_t{i} * kRoom, kRoom};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  if (any_remote_) {
    messages[0].msg_hdr.msg_name = &from;
    messages[0].msg_hdr.msg_namelen = sizeof from;
  }
  const int n = recvmmsg(endpoint_.fd(), messages, kBatch, MSG_DONTWAIT, nullptr);
  if (n <= 0) return false;
  for (int i = 0; i < n; i++) {
    length_[i] = messages[i].msg_len;
  }
  next_ = 0;
  count_ = static_cast<unsigned>(n);
  if (any_remote_ && from.sun_path[0] == '/') {
    const std::string sender(from.sun_path, strnlen(from.sun_path, sizeof from.sun_path));
    if (sender != remote_) {
      remote_ = sender;
      meet();
    }
  }
  return true;
}

bool DgramPort::from_guest(Port& port) {
  SlotWriter to(port.tx_view(port.first_tx()));
  unsigned taken = 0;
  for (; taken < kBurst && fetch(); taken++) {
    const uint32_t length = length_[next_];
    if (length == kRoom) {
      counts_.drop(Drop::too_big);
    } else if (!to.put(come_.data() + size_t{next_} * kRoom, length, &counts_)) {
      break;
    }
    next_++;
  }
  to.done(&counts_);
  return taken != 0;
}

bool DgramPort::send_some(const RingView& ring) {
  Gathered frame[kBatch];
  iovec parts[kParts];
  mmsghdr messages[kBatch] = {};
  const unsigned frames = gather(ring, 0, parts, kParts, frame, kBatch);
  if (frames == 0) return false;
  for (unsigned i = 0; i < frames; i++) {
    messages[i].msg_hdr.msg_iov = &parts[frame[i].first];
    messages[i].msg_hdr.msg_iovlen = frame[i].parts;
  }
  const int sent = sendmmsg(sends_.fd(), messages, frames, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) {
    uint64_t bytes = 0;
    for (int i = 0; i < sent; i++) bytes += frame[i].bytes;
    counts_.sent(static_cast<uint64_t>(sent), bytes);
    ring.release(frame[sent - 1].end);
    return true;
  }
  if (errno == EMSGSIZE) {
    counts_.tx_frames.add(1);
    counts_.tx_bytes.add(frame[0].bytes);
    counts_.drop_sent(Drop::too_big);
    ring.release(frame[0].end);
    return true;
  }
  full_ = errno == EAGAIN || errno == ENOBUFS || errno == EINTR;
  if (full_) return false;
  // It has ended, or begun again at the same path: then the next frame finds that.
  part();
  return true;
}

int DgramPort::patience() const {
  return static_cast<int>((remote_.empty() || sends_.valid() ? kLookNs : kTryNs) / 1'000'000);
}

short DgramPort::ready(short) { return attention_ || fetch() ? POLLIN : 0; }

}  // namespace vale::vhost
