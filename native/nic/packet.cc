// SPDX-License-Identifier: BSD-2-Clause
#include "nic/packet.h"

#include <linux/if_ether.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstring>

#include "nic/packet_batch.h"

namespace vale {
namespace {

constexpr int64_t kRetryNs = 100'000;
constexpr int64_t kDownLookNs = 100'000'000;

}  // namespace

Status PacketPort::open(WireParts parts, std::unique_ptr<FrameSocket> socket, const char* backend,
                        std::unique_ptr<Port>* out) {
  std::unique_ptr<PacketPort> port(new PacketPort);
  port->socket_ = std::move(socket);
  port->bind(std::move(parts), backend);
  Status status = port->open_sleep();
  if (!status.ok()) return status;
  port->tx_hwtail_ = port->tx()->num_slots - 1;
  port->batch_.reset(new Batch);
  port->rx_ends_.resize(port->rx()->num_slots);
  *out = std::move(port);
  return Status::good();
}

Status PacketPort::open_sleep() {
  sleep_fd_ = epoll_create1(EPOLL_CLOEXEC);
  retry_fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  epoll_event socket_event = {};
  epoll_event retry_event = {};
  retry_event.events = EPOLLIN;
  if (sleep_fd_ < 0 || retry_fd_ < 0 ||
      epoll_ctl(sleep_fd_, EPOLL_CTL_ADD, socket_->fd(), &socket_event) != 0 ||
      epoll_ctl(sleep_fd_, EPOLL_CTL_ADD, retry_fd_, &retry_event) != 0) {
    const int err = errno;
    return Status::fail(err, "cannot make the descriptors an interface needs: %s",
                        std::strerror(err));
  }
  return Status::good();
}

PacketPort::~PacketPort() {
  if (retry_fd_ >= 0) close(retry_fd_);
  if (sleep_fd_ >= 0) close(sleep_fd_);
}

short PacketPort::ready(short events) {
  short found = 0;
  const bool wants_tx = (events & POLLOUT) != 0;
  if (sends() && (wants_tx || (parts_.request.flags & NR_NO_TX_POLL) == 0)) {
    const netmap_ring* ring = tx();
    if (__atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) != tx_hwcur_) txsync();
    if (wants_tx && ring->cur != ring->tail) found |= POLLOUT;
  }
  if ((events & POLLIN) != 0 && receives()) {
    rxsync();
    const netmap_ring* ring = rx();
    if (ring->cur != ring->tail) found |= POLLIN;
  }
  // Whoever waits must get to the sync that tells.
  if (removed_.load(std::memory_order_relaxed)) found |= static_cast<short>(events | POLLERR);
  return found;
}

void PacketPort::arm(short events) {
  uint32_t wanted = 0;
  // With its ring full a receiver waits for itself, not for the kernel.
  if ((events & POLLIN) != 0 && receives() && rx_room(rx()) != 0) {
    wanted |= EPOLLIN;
  }
  // The socket tells neither when a driver's queue has room again nor that an interface which went
  // down is gone for good.
  int64_t look_again = down_ ? kDownLookNs : 0;
  if (sends() && tx_hwcur_ != tx()->head) {
    if (tx_blocked_) {
      look_again = kRetryNs;
    } else {
      wanted |= EPOLLOUT;
    }
  }
  if (look_again != 0) {
    const itimerspec in = {{0, 0}, {0, look_again}};
    timerfd_settime(retry_fd_, 0, &in, nullptr);
    retry_armed_ = true;
  }
  if (wanted == watched_) return;
  epoll_event event = {};
  event.events = wanted;
  epoll_ctl(sleep_fd_, EPOLL_CTL_MOD, socket_->fd(), &event);
  watched_ = wanted;
}

void PacketPort::disarm() {
  if (retry_armed_) {
    const itimerspec off = {};
    timerfd_settime(retry_fd_, 0, &off, nullptr);
    retry_armed_ = false;
  }
  look_for_removal();
}

// Also takes the socket's error away, which would otherwise end every sleep at once.
void PacketPort::look_for_removal() {
  if (socket_->take_error() != 0) down_ = true;
  if (!down_) return;
  if (socket_->removed()) {
    removed_.store(true, std::memory_order_relaxed);
    return;
  }
  Interface now;
  down_ = find_interface(parts_.interface.index, &now) != 0 || !now.up;
}

uint64_t PacketPort::kernel_drops() const {
  const uint64_t fresh = socket_->take_drops();
  return collected_drops_.fetch_add(fresh, std::memory_order_relaxed) + fresh;
}

PortCounters PacketPort::counters() const {
  PortCounters c = ring_counters();
  c.drops[static_cast<unsigned>(Drop::ring_full)] += kernel_drops();
  return c;
}

}  // namespace vale
