// SPDX-License-Identifier: BSD-2-Clause
#include "nic/both_port.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <cstring>
#include <utility>

namespace vale {

Status BothPort::open(std::unique_ptr<Port> nic, std::unique_ptr<Port> host,
                      std::unique_ptr<Port>* out) {
  std::unique_ptr<BothPort> both(new BothPort);
  both->sleep_fd_ = epoll_create1(EPOLL_CLOEXEC);
  for (const Port* port : {nic.get(), host.get()}) {
    epoll_event event = {};
    event.events = EPOLLIN;
    if (epoll_ctl(both->sleep_fd_, EPOLL_CTL_ADD, port->fd(), &event) != 0) {
      return Status::fail(errno, "cannot make the descriptors an interface needs: %s",
                          std::strerror(errno));
    }
  }
  both->info_ = nic->info();
  both->info_.name += '*';
  both->nifp_ = nic->nifp();
  both->base_ = nic->base();
  both->memory_key_ = nic->memory_key();
  const bool tx = nic->first_tx() != nic->last_tx(), rx = nic->first_rx() != nic->last_rx();
  both->last_tx_ = tx ? host->last_tx() : 0;
  both->last_rx_ = rx ? host->last_rx() : 0;
  for (unsigned i = 0; i < both->last_tx_; i++)
    both->tx_views_.push_back((i == 0 ? nic : host)->tx_view(i));
  for (unsigned i = 0; i < both->last_rx_; i++)
    both->rx_views_.push_back((i == 0 ? nic : host)->rx_view(i));
  both->nic_ = std::move(nic);
  both->host_ = std::move(host);
  *out = std::move(both);
  return Status::good();
}

BothPort::~BothPort() {
  if (sleep_fd_ >= 0) close(sleep_fd_);
}

int BothPort::txsync() {
  const int err = nic_->txsync();
  const int other = host_->txsync();
  return err != 0 ? err : other;
}

int BothPort::rxsync() {
  const int err = nic_->rxsync();
  const int other = host_->rxsync();
  return err != 0 ? err : other;
}

short BothPort::ready(short events) {
  const short one = nic_->ready(events);
  return static_cast<short>(one | host_->ready(events));
}

void BothPort::arm(short events) {
  nic_->arm(events);
  host_->arm(events);
}

void BothPort::disarm() {
  nic_->disarm();
  host_->disarm();
}

PortCounters BothPort::counters() const {
  PortCounters sum = nic_->counters();
  const PortCounters host = host_->counters();
  sum.tx_frames += host.tx_frames;
  sum.tx_bytes += host.tx_bytes;
  sum.tx_copies += host.tx_copies;
  sum.tx_delivered += host.tx_delivered;
  sum.rx_frames += host.rx_frames;
  sum.rx_bytes += host.rx_bytes;
  sum.rx_read += host.rx_read;
  sum.rx_gone += host.rx_gone;
  for (unsigned i = 0; i < kDropReasons; i++) sum.drops[i] += host.drops[i];
  return sum;
}

}  // namespace vale
