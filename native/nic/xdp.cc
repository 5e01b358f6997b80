// SPDX-License-Identifier: BSD-2-Clause
#include "nic/xdp.h"

#include <linux/if_packet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "nic/xdp_advice.h"

namespace vale {
namespace {

constexpr uint64_t kPage = 4096;
constexpr int64_t kRetryNs = 100'000;
constexpr int64_t kDownLookNs = 100'000'000;

const char* backend_name(XdpMode mode) {
  return mode == XdpMode::zero_copy ? "xdp-zerocopy"
         : mode == XdpMode::native  ? "xdp-native"
                                    : "xdp-generic";
}

// Held for the interface's promiscuous mode only: receives nothing.
int promiscuous_socket(int interface) {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  packet_mreq membership = {};
  membership.mr_ifindex = interface;
  membership.mr_type = PACKET_MR_PROMISC;
  setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership);
  return fd;
}

}  // namespace

uint32_t XdpPort::spare(const std::string& interface) {
  return queues_of(interface).rx * XdpSocket::kRing;
}

Status XdpPort::open(WireParts parts, const std::vector<XdpMode>& modes, const Peer& peer,
                     const std::string& inside, std::unique_ptr<Port>* out) {
  std::unique_ptr<XdpPort> port(new XdpPort);
  const Buffers& buffers = parts.region->buffers();
  // Only the pages that hold buffers of ours are locked.
  uint32_t first = buffers.limit, last = 0;
  const auto span = [&](uint32_t index) {
    if (!buffers.valid(index)) return;
    first = std::min(first, index);
    last = std::max(last, index);
  };
  for (const uint32_t index : buffers.free) span(index);
  span(2);
  span(buffers.limit - 1);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(buffers.at(first)) - XdpSocket::kHeadroom;
  const uintptr_t end = reinterpret_cast<uintptr_t>(buffers.at(last)) + buffers.buf_size;
  char* const memory = reinterpret_cast<char*>(begin & ~(kPage - 1));
  const uint64_t bytes = ((end + kPage - 1) & ~(kPage - 1)) - (begin & ~(kPage - 1));
  const XdpPlace place = {parts.interface, peer, inside};
  std::string refused;
  Status status =
      port->socket_.open(parts.interface, modes, memory, bytes,
                         buffers.buf_size + XdpSocket::kHeadroom, [&](XdpMode mode, Status* why) {
                           if (why->err != ENOSPC || mode == XdpMode::generic) return;
                           why->text = refused = too_few_queues(place);
                         });
  if (!status.ok()) return status;
  if (std::string unseen = unseen_by_xdp(place, port->socket_.mode() == XdpMode::generic);
      !unseen.empty() && parts.warning.empty()) {
    parts.warning = std::move(unseen);
  }
  if (!refused.empty()) {
    parts.warning =
        "interface \"" + parts.interface.name +
        "\" is in AF_XDP's generic mode, which loses VLAN tags and super-frames: " + refused;
  }
  port->finish_checksums_ = !has_hardware(parts.interface.name);
  port->promiscuous_ = promiscuous_socket(parts.interface.index);
  port->bind(std::move(parts), backend_name(port->socket_.mode()));
  std::vector<int> sockets;
  for (unsigned i = 0; i < port->socket_.queues(); i++) sockets.push_back(port->socket_.fd(i));
  status = port->sleep_.open(sockets, port->sends());
  if (!status.ok()) return status;

  port->buffers_.open(memory, bytes, port->parts_.region->buffers());
  port->tx_slot_.resize(port->parts_.region->buffers().limit, kNowhere);
  port->tx_pending_.resize(port->tx().slots());
  std::vector<uint32_t>& free = port->parts_.region->buffers().free;
  const unsigned queues = port->socket_.queues();
  const size_t each = std::min<size_t>(free.size() / queues, XdpSocket::kRing);
  for (unsigned queue = 0; queue < queues; queue++) {
    for (size_t i = 0; i < each; i++) port->give(queue, port->parts_.region->buffers().take());
    port->socket_.publish(queue);
  }
  port->drops_before_ = port->socket_.drops();
  *out = std::move(port);
  return Status::good();
}

XdpPort::~XdpPort() {
  if (promiscuous_ >= 0) close(promiscuous_);
  // Only now does the kernel no longer write.
  socket_.close();
  buffers_.each_lent([&](uint32_t buffer) { give_back(buffer); });
}

void XdpPort::arm(short events) {
  // With its ring full a receiver waits for itself, not for the kernel.
  const bool watch = (events & POLLIN) != 0 && receives() && rx_room() != 0;
  // The socket tells neither when a buffer is done with nor that an interface is gone.
  int64_t look_again = down_ ? kDownLookNs : 0;
  if (sends() && unsent()) look_again = kRetryNs;
  sleep_.watch(watch ? uint32_t{EPOLLIN} : 0, look_again);
}

// Also takes the sockets' errors away, which would otherwise end every sleep at once.
void XdpPort::look_for_removal() {
  for (unsigned i = 0; i < socket_.queues(); i++) {
    int error = 0;
    socklen_t bytes = sizeof error;
    if (getsockopt(socket_.fd(i), SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 && error != 0) {
      down_ = true;
    }
  }
  if (!down_) return;
  Interface now;
  const int err = find_interface(parts_.interface.index, &now);
  if (err == ENODEV) removed_.store(true, std::memory_order_release);
  down_ = err != 0 || !now.up;
}

PortCounters XdpPort::counters() const {
  PortCounters c = ring_counters();
  c.drops[static_cast<unsigned>(Drop::ring_full)] += kernel_drops();
  if (removed_.load(std::memory_order_acquire))
    c.drops[static_cast<unsigned>(Drop::link_down)] += tx_waiting_.load(std::memory_order_relaxed);
  return c;
}

}  // namespace vale
