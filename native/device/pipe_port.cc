// SPDX-License-Identifier: BSD-2-Clause
#include "device/pipe_port.h"

namespace vale {

PipePort::PipePort(std::shared_ptr<Runtime> rt, const Registration& reg, const PortInfo& info) {
  adopt(std::move(rt), reg, info);
  tx_sleeps_ = true;
  const Control& c = rt_->control();
  const PortRec& peer = c.port(port_->peer);
  const auto ring = [&](uint32_t tx_index, uint32_t rx_index) {
    PipeRing r;
    r.tx = &c.tx(tx_index);
    r.rx = &c.rx(rx_index);
    r.more = &c.more(rx_index);
    r.tx_index = tx_index;
    r.bufs = base_ + r.rx->buf_ofs;
    r.watched = &watched_;
    r.from = reinterpret_cast<netmap_ring*>(base_ + r.tx->ring_ofs);
    r.to = reinterpret_cast<netmap_ring*>(base_ + r.rx->ring_ofs);
    return r;
  };
  for (uint32_t i = 0; i < port_->tx_count; i++)
    out_.push_back(ring(port_->tx_base + i, peer.rx_base + i));
  for (uint32_t i = 0; i < port_->rx_count; i++)
    in_.push_back(ring(peer.tx_base + i, port_->rx_base + i));
}

PipePort::~PipePort() {
  // What was released since the last sync was read: the sender gets its room.
  for (unsigned i = first_rx_; i < last_rx_ && rt_->process.valid(); i++) {
    if (rx(i).bound.load(std::memory_order_relaxed) == 1) pipe_receive(*rt_, in_[i], me());
  }
  leave();
}

int PipePort::txsync() {
  if (const int err = enter()) return err;
  for (unsigned i = first_tx_; i < last_tx_; i++) pipe_send(*rt_, out_[i], me());
  return 0;
}

int PipePort::rxsync() {
  if (const int err = enter()) return err;
  for (unsigned i = first_rx_; i < last_rx_; i++) pipe_receive(*rt_, in_[i], me());
  return 0;
}

short PipePort::ready(short events) {
  if (enter() != 0) return POLLERR;
  short out = 0;
  for (unsigned i = first_tx_; i < last_tx_ && ((events & POLLOUT) || !no_tx_poll_); i++) {
    const netmap_ring* ring = tx_ring(i);
    const bool wanted = (events & POLLOUT) && !(out & POLLOUT);
    out_[i].put_back = false;
    if (wanted || ring->head != pipe_sent(out_[i])) pipe_send(*rt_, out_[i], me());
    if (out_[i].put_back) out |= POLLERR;
    if (wanted && ring->cur != ring->tail) out |= POLLOUT;
  }
  for (unsigned i = first_rx_; i < last_rx_ && (events & POLLIN); i++) {
    in_[i].put_back = false;
    pipe_receive(*rt_, in_[i], me());
    if (in_[i].put_back) out |= POLLERR;
    const netmap_ring* ring = rx_ring(i);
    if (ring->cur != ring->tail) out |= POLLIN;
  }
  return out;
}

}  // namespace vale
