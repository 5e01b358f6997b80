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

constexpr uint32_t kDefaultSlots = 1024;
constexpr uint32_t kMinSlots = 2, kMaxSlots = 16384;
constexpr uint32_t kDefaultBuffer = 2112;  // a power of two would crowd a few sets of the cache
constexpr uint32_t kMinBuffer = 64, kMaxBuffer = 65472;
constexpr uint32_t kMaxExtra = 512 * 1024;
constexpr int64_t kRetryNs = 100'000;
constexpr int64_t kDownLookNs = 100'000'000;

uint32_t clamp_slots(uint32_t wish) {
  if (wish == 0) return kDefaultSlots;
  return wish < kMinSlots ? kMinSlots : wish > kMaxSlots ? kMaxSlots : wish;
}

Status check(const OpenRequest& request) {
  const char* name = request.name.c_str();
  switch (request.mode) {
    case NR_REG_DEFAULT:
    case NR_REG_ALL_NIC:
      break;
    case NR_REG_ONE_NIC:
      if (request.ring_id == 0) break;
      return Status::fail(
          EINVAL,
          "interface \"%s\" has one ring a direction, so no ring %u; use ring 0 and "
          "one thread",
          name, request.ring_id);
    case NR_REG_SW:
    case NR_REG_NIC_SW:
    case NR_REG_ONE_SW:
      return Status::fail(EINVAL, "interface \"%s\" has no host rings here; open it without ^ or *",
                          name);
    default:
      return Status::fail(EINVAL, "interface \"%s\" cannot be opened in mode %u", name,
                          request.mode);
  }
  if ((request.flags & NR_EXCLUSIVE) != 0) {
    return Status::fail(EOPNOTSUPP,
                        "interface \"%s\" cannot be opened exclusively, others may always listen; "
                        "leave out /x",
                        name);
  }
  if ((request.flags & (NR_MONITOR_TX | NR_MONITOR_RX | NR_ZCOPY_MON)) != 0) {
    return Status::fail(EOPNOTSUPP,
                        "interface \"%s\" cannot be monitored; open it without /r /t /z", name);
  }
  if (request.mem_id != 0) {
    return Status::fail(EINVAL, "interface \"%s\" has memory of its own; leave out @%u", name,
                        request.mem_id);
  }
  if (request.buf_size != 0 && (request.buf_size < kMinBuffer || request.buf_size > kMaxBuffer)) {
    return Status::fail(EINVAL, "interface \"%s\": buffers of %u bytes; use %u to %u", name,
                        request.buf_size, kMinBuffer, kMaxBuffer);
  }
  return Status::good();
}

}  // namespace

Status PacketPort::open(const OpenRequest& request, const Interface& interface,
                        std::unique_ptr<Port>* out) {
  Status status = check(request);
  if (!status.ok()) return status;

  std::unique_ptr<PacketPort> port(new PacketPort);
  const bool tx = (request.flags & NR_RX_RINGS_ONLY) == 0;
  const bool rx = (request.flags & NR_TX_RINGS_ONLY) == 0;
  PrivateRegionWish wish = {};
  wish.name = request.name.c_str();
  wish.tx_slots = clamp_slots(request.tx_slots);
  wish.rx_slots = clamp_slots(request.rx_slots);
  wish.buf_size = request.buf_size == 0 ? kDefaultBuffer : (request.buf_size + 63) & ~63u;
  wish.extra_bufs = request.extra_bufs > kMaxExtra ? kMaxExtra : request.extra_bufs;
  wish.bind_tx = tx;
  wish.bind_rx = rx;
  status = PrivateRegion::create(wish, &port->region_);
  if (!status.ok()) return status;
  status = port->socket_.open(interface, rx);
  if (!status.ok()) return status;
  status = port->open_sleep();
  if (!status.ok()) return status;

  port->index_ = interface.index;
  port->flags_ = request.flags;
  port->tx_hwtail_ = wish.tx_slots - 1;
  port->batch_.reset(new Batch);
  port->rx_ends_.resize(wish.rx_slots);

  port->base_ = port->region_->base();
  port->nifp_ = port->region_->nifp();
  port->last_tx_ = tx ? 1 : 0;
  port->last_rx_ = rx ? 1 : 0;
  // Its own address tells this region from every other in the process.
  port->memory_key_ = reinterpret_cast<uintptr_t>(port->base_);

  PortInfo& info = port->info_;
  info.name = request.name;
  info.device = "af_packet";
  info.memsize = port->region_->bytes();
  info.tx_slots = wish.tx_slots;
  info.rx_slots = wish.rx_slots;
  info.tx_rings = info.rx_rings = 1;
  info.extra_bufs = wish.extra_bufs;
  info.buf_size = wish.buf_size;
  info.mtu = interface.mtu + ETH_HLEN;
  std::memcpy(info.mac, interface.mac, sizeof info.mac);
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
      epoll_ctl(sleep_fd_, EPOLL_CTL_ADD, socket_.fd(), &socket_event) != 0 ||
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
  if (first_tx_ != last_tx_ && (wants_tx || (flags_ & NR_NO_TX_POLL) == 0)) {
    const netmap_ring* ring = region_->tx();
    if (__atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) != tx_hwcur_) txsync();
    if (wants_tx && ring->cur != ring->tail) found |= POLLOUT;
  }
  if ((events & POLLIN) != 0 && first_rx_ != last_rx_) {
    rxsync();
    const netmap_ring* ring = region_->rx();
    if (ring->cur != ring->tail) found |= POLLIN;
  }
  // Whoever waits must get to the sync that tells.
  if (removed_.load(std::memory_order_relaxed)) found |= static_cast<short>(events | POLLERR);
  return found;
}

void PacketPort::arm(short events) {
  uint32_t wanted = 0;
  // With its ring full a receiver waits for itself, not for the kernel.
  if ((events & POLLIN) != 0 && first_rx_ != last_rx_ && rx_room(region_->rx()) != 0) {
    wanted |= EPOLLIN;
  }
  // The socket tells neither when a driver's queue has room again nor that an interface which went
  // down is gone for good.
  int64_t look_again = down_ ? kDownLookNs : 0;
  if (first_tx_ != last_tx_ && tx_hwcur_ != region_->tx()->head) {
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
  epoll_ctl(sleep_fd_, EPOLL_CTL_MOD, socket_.fd(), &event);
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
  if (socket_.take_error() != 0) down_ = true;
  if (!down_) return;
  if (socket_.removed()) {
    removed_.store(true, std::memory_order_relaxed);
    return;
  }
  Interface now;
  down_ = find_interface(index_, &now) != 0 || !now.up;
}

PortCounters PacketPort::counters() const {
  PortCounters c;
  c.tx_frames = tx_frames_.get();
  c.tx_bytes = tx_bytes_.get();
  c.tx_copies = c.tx_frames;
  c.tx_delivered = tx_delivered_.get();
  c.rx_frames = rx_frames_.get();
  c.rx_bytes = rx_bytes_.get();
  c.rx_read = rx_read_.get();
  for (unsigned i = 0; i < kDropReasons; i++) c.drops[i] = drops_[i].get();
  const uint64_t fresh = socket_.take_drops();
  c.drops[static_cast<unsigned>(Drop::ring_full)] +=
      kernel_drops_.fetch_add(fresh, std::memory_order_relaxed) + fresh;
  return c;
}

}  // namespace vale
