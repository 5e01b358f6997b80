// SPDX-License-Identifier: BSD-2-Clause
#include "device/user_port.h"

#include <unistd.h>

#include "switch/ports.h"
#include "switch/reap.h"

namespace vale {

UserPort::UserPort(std::shared_ptr<Runtime> rt, const Registration& reg, const PortInfo& info) {
  adopt(std::move(rt), reg, info);
  senders_.resize(port_->tx_count);
  direct_.resize(port_->tx_count);
  receivers_.resize(port_->rx_count);
  for (unsigned i = first_tx_; i < last_tx_; i++) {
    auto s = std::make_unique<Sender>();
    s->rt = rt_.get();
    s->tx_index = port_->tx_base + i;
    s->tx = &tx(i);
    s->ring_number = i;
    s->port = port_;
    s->own_ring = tx_ring(i);
    s->own_base = base_;
    s->slots = s->own_ring->slot;
    s->bufs = base_ + s->tx->buf_ofs;
    s->num_slots = s->tx->num_slots;
    s->buf_size = s->tx->buf_size;
    rt_->mapper->add(&s->tx->lock);
    direct_[i] = std::make_unique<DirectSender>(*s);
    senders_[i] = std::move(s);
  }
  for (unsigned i = first_rx_; i < last_rx_; i++) {
    receivers_[i].rx = &rx(i);
    receivers_[i].ring = rx_ring(i);
  }
}

UserPort::~UserPort() {
  // What was released since the last sync was read: it must not count as gone. Another registration of
  // the ring, or the parent of a forked child, may be about to move its head and cur: theirs to sync.
  for (unsigned i = first_rx_; i < last_rx_ && rt_->process.valid(); i++) {
    if (rx(i).bound.load(std::memory_order_relaxed) == 1) fetch(i);
  }
  for (auto& s : senders_) {
    if (s == nullptr) continue;
    if (s->mem_fd >= 0) close(s->mem_fd);
    std::lock_guard<std::mutex> guard(rt_->slow);
    rt_->mapper->remove(&s->tx->lock);
  }
  leave();
}

inline void UserPort::send(unsigned i) {
  forward(*senders_[i]);
  if (rt_->mapper->stale()) [[unlikely]]
    rt_->mapper->reclaim(rt_->process.identity());
}

int UserPort::txsync() {
  if (const int err = enter()) return err;
  auto* const senders = senders_.data();
  for (unsigned i = first_tx_, end = last_tx_; i < end; i++) forward(*senders[i]);
  if (rt_->mapper->stale()) [[unlikely]]
    rt_->mapper->reclaim(rt_->process.identity());
  return 0;
}

int UserPort::rxsync() {
  if (const int err = enter()) return err;
  Receiver* const end = receivers_.data() + last_rx_;
  for (Receiver* r = receivers_.data() + first_rx_; r != end; r++) receive(*rt_, *r, &sequence_);
  return 0;
}

short UserPort::ready(short events) {
  if (enter() != 0) return POLLERR;
  short out = 0;
  if ((events & POLLOUT) || !no_tx_poll_) {
    for (unsigned i = first_tx_; i < last_tx_; i++) {
      const netmap_ring* ring = tx_ring(i);
      const uint32_t taken =
          word_position(senders_[i]->tx->take_word.load(std::memory_order_relaxed));
      const bool wanted = (events & POLLOUT) && !(out & POLLOUT);
      senders_[i]->put_back = false;
      if (wanted || ring->head != taken) send(i);
      if (senders_[i]->put_back) out |= POLLERR;
      if (wanted && ring->cur != ring->tail) out |= POLLOUT;
    }
  }
  if (events & POLLIN) {
    for (unsigned i = first_rx_; i < last_rx_; i++) {
      receivers_[i].put_back = false;
      fetch(i);
      if (receivers_[i].put_back) out |= POLLERR;
      const netmap_ring* ring = rx_ring(i);
      if (ring->cur != ring->tail) out |= POLLIN;
    }
  }
  return out;
}

uint32_t UserPort::header_length() const {
  return port_->header_length.load(std::memory_order_relaxed);
}

Status UserPort::set_header_length(uint32_t length) {
  if (length != 0 && length != 10 && length != 12) {
    return Status::fail(
        EINVAL, "expected 0, 10 or 12 for the virtio-net header length but received %u", length);
  }
  std::lock_guard<std::mutex> guard(rt_->slow);
  DirLock lock;
  if (Status s = lock.acquire(rt_->directory, "changing a port"); !s.ok()) return s;
  reap(*rt_);
  Change change(*rt_);
  port_->header_length.store(length, std::memory_order_relaxed);
  port_refresh(*rt_, reg_.port);
  return Status::good();
}

}  // namespace vale
