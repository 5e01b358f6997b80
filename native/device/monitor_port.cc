// SPDX-License-Identifier: BSD-2-Clause
#include "device/monitor_port.h"

#include "switch/monitor.h"

namespace vale {

MonitorPort::MonitorPort(std::shared_ptr<Runtime> rt, const Registration& reg,
                         const PortInfo& info) {
  adopt(std::move(rt), reg, info);
  receivers_.resize(port_->rx_count);
  for (unsigned i = first_rx_; i < last_rx_; i++) {
    receivers_[i].rx = &rx(i);
    receivers_[i].ring = rx_ring(i);
  }
}

MonitorPort::~MonitorPort() { leave(); }

bool MonitorPort::fetch() {
  bool found = false;
  for (unsigned i = first_rx_; i < last_rx_; i++) {
    receive(*rt_, receivers_[i], &sequence_);
    found |= rx_ring(i)->cur != rx_ring(i)->tail;
  }
  return found;
}

int MonitorPort::rxsync() {
  if (const int err = enter()) return err;
  const bool alive = monitor_alive(rt_->control(), *port_);
  return fetch() || alive ? 0 : EPIPE;
}

short MonitorPort::ready(short events) {
  if (enter() != 0) return POLLERR;
  short out = events & POLLOUT ? POLLERR : 0;
  if ((events & POLLIN) == 0) return out;
  const bool alive = monitor_alive(rt_->control(), *port_);
  return static_cast<short>(out | (fetch() ? POLLIN : alive ? 0 : POLLERR));
}

uint32_t MonitorPort::header_length() const {
  return port_->header_length.load(std::memory_order_relaxed);
}

}  // namespace vale
