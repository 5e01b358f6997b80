// SPDX-License-Identifier: BSD-2-Clause
#include "device/user_port.h"

#include <unistd.h>

#include "switch/counters.h"
#include "switch/ports.h"
#include "switch/reap.h"
#include "switch/receive.h"

namespace vale {

Status UserPort::open(std::shared_ptr<Runtime> rt, const OpenRequest& q,
                      std::unique_ptr<Port>* out) {
  std::unique_ptr<UserPort> port(new UserPort);
  std::lock_guard<std::mutex> guard(rt->slow);
  if (Status s = registration_open(*rt, q, &port->reg_, &port->info_); !s.ok()) return s;
  port->rt_ = rt;
  const Control& c = rt->control();
  const RegRec& r = c.reg(port->reg_.index);
  PortRec& p = c.port(port->reg_.port);
  port->port_ = &p;
  port->bit_ = r.bit;
  port->base_ = rt->mapper->region(p.region, p.region_gen);
  rt->mapper->pin(p.region);
  port->nifp_ = NETMAP_IF(port->base_, r.nifp_ofs);
  port->memory_key_ = reinterpret_cast<uint64_t>(port->base_);
  port->first_tx_ = r.first_tx;
  port->last_tx_ = r.last_tx;
  port->first_rx_ = r.first_rx;
  port->last_rx_ = r.last_rx;
  port->no_tx_poll_ = (q.flags & NR_NO_TX_POLL) != 0;
  port->senders_.resize(p.tx_count);
  port->rx_busy_.resize(p.rx_count);
  for (unsigned i = r.first_tx; i < r.last_tx; i++) {
    auto s = std::make_unique<Sender>();
    s->rt = rt.get();
    s->tx_index = p.tx_base + i;
    s->tx = &c.tx(s->tx_index);
    s->ring_number = i;
    s->port = &p;
    rt->mapper->add(&s->tx->lock);
    port->senders_[i] = std::move(s);
  }
  *out = std::move(port);
  return Status::good();
}

UserPort::~UserPort() {
  if (rt_ == nullptr) return;
  // What was released since the last sync was read: it must not count as gone. Another registration of
  // the ring, or the parent of a forked child, may be about to move its head and cur: theirs to sync.
  for (unsigned i = first_rx_; i < last_rx_ && rt_->process.valid(); i++) {
    if (rt_->control().rx(port_->rx_base + i).bound.load(std::memory_order_relaxed) == 1) fetch(i);
  }
  std::lock_guard<std::mutex> guard(rt_->slow);
  for (auto& s : senders_) {
    if (s != nullptr && s->mem_fd >= 0) close(s->mem_fd);
  }
  for (auto& s : senders_) {
    if (s != nullptr) rt_->mapper->remove(&s->tx->lock);
  }
  registration_close(*rt_, &reg_);
  rt_->mapper->unpin(port_->region);
  rt_->mapper->reclaim(rt_->process.identity());
}

// The directory may be deleted under us (a logout): noticed about once a second.
bool UserPort::check_health() {
  const uint32_t now = now_seconds();
  if (now != checked_) {
    checked_ = now;
    if (!rt_->directory.present().ok()) gone_ = true;
  }
  return !gone_;
}

int UserPort::enter() {
  if (!rt_->process.valid()) [[unlikely]] {  // a forked child: it needs an identity of its own
    std::lock_guard<std::mutex> guard(rt_->slow);
    DirLock lock;
    if (!lock.acquire(rt_->directory, "a forked child").ok() ||
        !rt_->process.enter(rt_->directory).ok())
      return ENXIO;
  }
  // Often enough for a port that syncs a few times a second; a look at the clock is 10 ns.
  if ((++syncs_ & 15) == 0) check_health();
  return gone_ ? ENODEV : 0;
}

void UserPort::send(unsigned i) {
  forward(*senders_[i], tx_ring(i), base_);
  if (rt_->mapper->stale()) [[unlikely]]
    rt_->mapper->reclaim(rt_->process.identity());
}

void UserPort::fetch(unsigned i) {
  receive(*rt_, rt_->control().rx(port_->rx_base + i), rx_ring(i), &sequence_, &rx_busy_[i]);
}

int UserPort::txsync() {
  if (const int err = enter()) return err;
  for (unsigned i = first_tx_; i < last_tx_; i++) send(i);
  return 0;
}

int UserPort::rxsync() {
  if (const int err = enter()) return err;
  for (unsigned i = first_rx_; i < last_rx_; i++) fetch(i);
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
      if (wanted || ring->head != taken) send(i);
      if (wanted && ring->cur != ring->tail) out |= POLLOUT;
    }
  }
  if (events & POLLIN) {
    for (unsigned i = first_rx_; i < last_rx_; i++) {
      fetch(i);
      const netmap_ring* ring = rx_ring(i);
      if (ring->cur != ring->tail) out |= POLLIN;
    }
  }
  return out;
}

void UserPort::arm(short events) {
  check_health();
  if (!(events & POLLIN)) return;
  for (unsigned i = first_rx_; i < last_rx_; i++) {
    RxRing& r = rt_->control().rx(port_->rx_base + i);
    r.wake_epoch.fetch_add(1, std::memory_order_seq_cst);
    r.wake.fetch_or(uint64_t{1} << bit_, std::memory_order_seq_cst);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void UserPort::drain() {
  char bytes[64];
  while (read(reg_.fifo, bytes, sizeof bytes) == sizeof bytes) {
  }
}

void UserPort::disarm() {
  for (unsigned i = first_rx_; i < last_rx_; i++) {
    RxRing& r = rt_->control().rx(port_->rx_base + i);
    if (r.wake.load(std::memory_order_relaxed) >> bit_ & 1)
      r.wake.fetch_and(~(uint64_t{1} << bit_), std::memory_order_relaxed);
  }
  drain();
}

PortCounters UserPort::counters() const { return to_counters(port_totals(rt_->control(), *port_)); }

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
