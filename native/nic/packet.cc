// SPDX-License-Identifier: BSD-2-Clause
#include "nic/packet.h"

#include <sys/epoll.h>

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
  port->down_ = !parts.interface.up;  // the socket's own word of that was taken when it was opened
  port->bind(std::move(parts), backend);
  Status status = port->sleep_.open({port->socket_->fd()}, port->sends());
  if (!status.ok()) return status;
  port->tx_hwtail_ = port->tx().slots() - 1;
  port->batch_.reset(new Batch);
  *out = std::move(port);
  return Status::good();
}

PacketPort::~PacketPort() = default;

void PacketPort::arm(short events) {
  uint32_t wanted = 0;
  // With its ring full a receiver waits for itself, not for the kernel.
  if ((events & POLLIN) != 0 && receives() && rx_room() != 0) {
    wanted |= EPOLLIN;
  }
  // The socket tells neither when a driver's queue has room again nor that an interface which went
  // down is gone for good.
  int64_t look_again = down_ ? kDownLookNs : 0;
  if (sends() && unsent()) {
    if (tx_blocked_) {
      look_again = kRetryNs;
    } else {
      wanted |= EPOLLOUT;
    }
  }
  sleep_.watch(wanted, look_again);
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
