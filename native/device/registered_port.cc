// SPDX-License-Identifier: BSD-2-Clause
#include "device/registered_port.h"

#include <fcntl.h>
#include <unistd.h>

#include "device/monitor_port.h"
#include "device/pipe_port.h"
#include "device/user_port.h"
#include "shm/machine_clock.h"
#include "shm/region.h"
#include "switch/counters.h"
#include "switch/ports.h"

namespace vale {

namespace {

void make_port(std::shared_ptr<Runtime> rt, const Registration& reg, const PortInfo& info,
               std::unique_ptr<Port>* out) {
  switch (reg.kind) {
    case Kind::pipe:
      out->reset(new PipePort(std::move(rt), reg, info));
      break;
    case Kind::monitor:
      out->reset(new MonitorPort(std::move(rt), reg, info));
      break;
    case Kind::null:
      out->reset(new NullPort(std::move(rt), reg, info));
      break;
    case Kind::port:
      out->reset(new UserPort(std::move(rt), reg, info));
      break;
  }
}

}  // namespace

Status open_port(std::shared_ptr<Runtime> rt, const OpenRequest& q, std::unique_ptr<Port>* out) {
  std::lock_guard<std::mutex> guard(rt->slow);
  Registration reg;
  PortInfo info;
  if (Status s = registration_open(*rt, q, &reg, &info); !s.ok()) return s;
  make_port(rt, reg, info, out);
  return Status::good();
}

Status adopt_port(std::shared_ptr<Runtime> rt, int fd, std::unique_ptr<Port>* out) {
  std::lock_guard<std::mutex> guard(rt->slow);
  Registration reg;
  PortInfo info;
  if (Status s = registration_adopt(*rt, fd, &reg, &info); !s.ok()) return s;
  make_port(rt, reg, info, out);
  return Status::good();
}

void RegisteredPort::adopt(std::shared_ptr<Runtime> rt, const Registration& reg,
                           const PortInfo& info) {
  rt_ = std::move(rt);
  reg_ = reg;
  info_ = info;
  const Control& c = rt_->control();
  const RegRec& r = c.reg(reg_.index);
  PortRec& p = c.port(reg_.port);
  port_ = &p;
  bit_ = r.bit;
  base_ = rt_->mapper->region(p.region, p.region_gen);
  rt_->mapper->pin(p.region);
  nifp_ = NETMAP_IF(base_, r.nifp_ofs);
  memory_key_ = reinterpret_cast<uint64_t>(base_);
  first_tx_ = r.first_tx;
  last_tx_ = r.last_tx;
  first_rx_ = r.first_rx;
  last_rx_ = r.last_rx;
  flags_ = r.flags;
  no_tx_poll_ = (r.flags & NR_NO_TX_POLL) != 0;
  const auto view = [&](const auto& ring) {
    return RingView(reinterpret_cast<netmap_ring*>(base_ + ring.ring_ofs), ring.num_slots,
                    base_ + ring.buf_ofs, ring.buf_size, &ring.buf_bound);
  };
  tx_views_.resize(last_tx_);
  rx_views_.resize(last_rx_);
  for (unsigned i = first_tx_; i < last_tx_; i++) tx_views_[i] = view(tx(i));
  for (unsigned i = first_rx_; i < last_rx_; i++) rx_views_[i] = view(rx(i));
}

PoolsInfo RegisteredPort::pools() const {
  return region_pools(rt_->control().region(port_->region));
}

int RegisteredPort::open_memory() const {
  return rt_->mapper->open_file(Mapper::Kind::region, port_->region, port_->region_gen);
}

void RegisteredPort::map_peers() {
  const Control& c = rt_->control();
  const int32_t slot = port_->switch_slot.load(std::memory_order_acquire);
  if (slot < 0) return;
  std::lock_guard<std::mutex> guard(rt_->slow);
  const SwitchRec& sw = c.sw(static_cast<uint32_t>(slot));
  switch_fdb(*rt_, static_cast<uint32_t>(slot));
  for (const auto& word : sw.member) {
    const uint64_t member = word.load(std::memory_order_acquire);
    if (member == 0) continue;
    const PortRec& p = c.port(member_port(member));
    if (p.region_gen != 0) rt_->mapper->region(p.region, p.region_gen);
    // Rung once for nothing, which means no more than "look", so that its FIFO is at hand.
    rt_->doorbells->ring(member_port(member), p.reg_mask.load(std::memory_order_acquire));
  }
}

void RegisteredPort::leave() {
  std::lock_guard<std::mutex> guard(rt_->slow);
  registration_close(*rt_, &reg_);
  rt_->mapper->unpin(port_->region);
  rt_->mapper->reclaim(rt_->process.identity());
}

// The directory may be deleted under us (a logout), the region's file be cut short: noticed about once a
// second.
bool RegisteredPort::check_health() {
  const uint32_t now = machine_seconds();
  if (now != checked_) {
    checked_ = now;
    if (rt_->mapper->lost(port_->region)) gone_ = EIO;
    if (!rt_->directory.present().ok()) gone_ = ENODEV;
  }
  return gone_ == 0;
}

int RegisteredPort::check() {
  if (!rt_->process.valid()) [[unlikely]] {  // a forked child: it needs an identity of its own
    std::lock_guard<std::mutex> guard(rt_->slow);
    DirLock lock;
    if (!lock.acquire(rt_->directory, "a forked child").ok() ||
        !rt_->process.enter(rt_->directory).ok())
      return ENXIO;
  }
  check_health();
  return gone_;
}

void RegisteredPort::arm(short events) {
  check_health();
  const uint64_t bit = uint64_t{1} << bit_;
  const auto announce = [&](Shared<uint64_t>& wake, Shared<uint32_t>& epoch) {
    epoch.fetch_add(1, std::memory_order_seq_cst);
    wake.fetch_or(bit, std::memory_order_seq_cst);
  };
  for (unsigned i = first_rx_; (events & POLLIN) && i < last_rx_; i++)
    announce(rx(i).wake, rx(i).wake_epoch);
  for (unsigned i = first_tx_; tx_sleeps_ && (events & POLLOUT) && i < last_tx_; i++)
    announce(tx(i).wake, tx(i).wake_epoch);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void RegisteredPort::drain() {
  char bytes[64];
  while (read(reg_.fifo, bytes, sizeof bytes) == sizeof bytes) {
  }
}

void RegisteredPort::disarm() {
  const uint64_t bit = uint64_t{1} << bit_;
  const auto clear = [&](Shared<uint64_t>& wake) {
    if (wake.load(std::memory_order_relaxed) & bit) wake.fetch_and(~bit, std::memory_order_relaxed);
  };
  for (unsigned i = first_rx_; i < last_rx_; i++) clear(rx(i).wake);
  for (unsigned i = first_tx_; tx_sleeps_ && i < last_tx_; i++) clear(tx(i).wake);
  drain();
}

namespace {
enum : uint32_t { kEnabled = 1, kStop = 2 };  // RegRec::loop
}

bool RegisteredPort::loop_enabled() const {
  return (record().loop.load(std::memory_order_acquire) & kEnabled) != 0;
}

bool RegisteredPort::loop_running() const {
  const uint64_t owner = record().loop_owner.load(std::memory_order_acquire);
  return owner != 0 && rt_->process.alive(rt_->directory, owner);
}

bool RegisteredPort::loop_stopping() const {
  return (record().loop.load(std::memory_order_acquire) & kStop) != 0;
}

void RegisteredPort::loop_enable() { record().loop.fetch_or(kEnabled, std::memory_order_release); }

bool RegisteredPort::loop_begin() {
  if (enter() != 0) return false;
  uint64_t owner = record().loop_owner.load(std::memory_order_acquire);
  if (owner != 0 && rt_->process.alive(rt_->directory, owner)) return false;
  return record().loop_owner.compare_exchange_strong(owner, rt_->process.word(0));
}

void RegisteredPort::loop_end() {
  record().loop.fetch_and(~uint32_t{kStop}, std::memory_order_release);
  record().loop_owner.store(0, std::memory_order_release);
}

void RegisteredPort::loop_stop() {
  record().loop.fetch_or(kStop, std::memory_order_seq_cst);
  const char look = 0;
  if (write(reg_.fifo, &look, 1) < 0) return;  // full: whoever sleeps there wakes anyway
}

PortCounters RegisteredPort::counters() const {
  return to_counters(port_totals(rt_->control(), *port_));
}

}  // namespace vale
