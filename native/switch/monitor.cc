// SPDX-License-Identifier: BSD-2-Clause
#include "switch/monitor.h"

#include <algorithm>
#include <cstring>

#include "abi/netmap_control.h"
#include "switch/memory.h"
#include "switch/ports.h"

namespace vale {
namespace {

bool watches(const PortRec& p, uint32_t parent, uint32_t parent_gen) {
  return p.kind == Kind::monitor && p.parent == parent && p.parent_gen == parent_gen &&
         p.state.load(std::memory_order_relaxed) == State::live;
}

// "vale0:a/rt#0": the first number that is free.
std::string free_name(const Control& c, const std::string& stem) {
  for (uint32_t n = 0;; n++) {
    const std::string name = stem + "#" + std::to_string(n);
    int32_t found;
    if (!port_lookup(c, name, EINVAL, &found).ok() || found < 0) return name;
  }
}

}  // namespace

Status monitor_open(Runtime& rt, const OpenRequest& q, uint32_t* port) {
  const Control& c = rt.control();
  const char* n = q.name.c_str();
  const bool zcopy = (q.flags & NR_ZCOPY_MON) != 0;
  if (zcopy && q.offsets) {
    Status s = Status::fail(EOPNOTSUPP, "%s: a zero-copy monitor has its parent's offsets", n);
    s.option = NETMAP_REQ_OPT_OFFSETS;
    return s;
  }
  int32_t found;
  if (Status s = port_lookup(c, q.name, EINVAL, &found); !s.ok()) return s;
  if (found < 0 && q.name.compare(0, 4, "vale") != 0)
    return Status::fail(ENXIO, "%s: no such port; `vale ctl` lists what is there", n);
  if (found < 0 || c.port(static_cast<uint32_t>(found)).reg_mask.load() == 0)
    return Status::fail(EINVAL, "%s: nobody has this port open; a monitor watches an open port", n);
  const uint32_t parent = static_cast<uint32_t>(found);
  const PortRec& above = c.port(parent);
  if (above.kind == Kind::monitor)
    return Status::fail(EINVAL, "%s: this is a monitor; watch the port it watches", n);
  uint32_t tx_first = 0, tx_last = above.tx_count, rx_first = 0, rx_last = above.rx_count;
  if (q.mode == NR_REG_ONE_NIC) {
    if (q.ring_id >= tx_last && q.ring_id >= rx_last)
      return Status::fail(EINVAL, "%s has %u tx and %u rx rings but ring %u was asked for", n,
                          tx_last, rx_last, q.ring_id);
    tx_first = std::min<uint32_t>(q.ring_id, tx_last);
    rx_first = std::min<uint32_t>(q.ring_id, rx_last);
    tx_last = std::min(tx_first + 1, tx_last);
    rx_last = std::min(rx_first + 1, rx_last);
  } else if (q.mode != NR_REG_DEFAULT && q.mode != NR_REG_ALL_NIC) {
    return Status::fail(EINVAL, "%s has no host rings; drop the ^ or *", n);
  }
  OpenRequest wish;
  wish.tx_rings = 1;
  wish.rx_rings = static_cast<uint16_t>(std::max(above.tx_count, above.rx_count));
  wish.tx_slots = q.tx_slots != 0 ? q.tx_slots : above.rx_slots;
  wish.rx_slots = q.rx_slots != 0 ? q.rx_slots : std::max(above.rx_slots, above.tx_slots);
  wish.buf_size = q.buf_size != 0 ? q.buf_size : above.buf_size;
  wish.mem_id = zcopy ? uint16_t{0} : q.mem_id;
  if (zcopy && q.mem_id != 0 && q.mem_id != c.region(above.region).mem_id) {
    return Status::fail(EINVAL, "%s: a zero-copy monitor is in its parent's memory, %u", n,
                        c.region(above.region).mem_id);
  }
  const bool sent = zcopy || (q.flags & NR_MONITOR_TX) != 0;
  const bool arriving = zcopy || (q.flags & NR_MONITOR_RX) != 0;
  const char* kind = zcopy ? "/z" : arriving ? sent ? "/rt" : "/r" : "/t";
  const std::string name = free_name(c, full_name(c, above) + kind);
  if (Status s = port_create(rt, name, wish, false, port); !s.ok()) return s;
  PortRec& p = c.port(*port);
  p.kind = Kind::monitor;
  if (zcopy) {
    p.zcopy = 1;
    p.region = above.region;
    p.region_gen = above.region_gen;
    p.buf_size = c.region(above.region).buf_size;
  }
  p.parent = parent;
  p.parent_gen = above.gen;
  p.watch_tx_first = tx_first;
  p.watch_tx_last = sent ? tx_last : tx_first;
  p.watch_rx_first = rx_first;
  p.watch_rx_last = arriving ? rx_last : rx_first;
  p.header_length.store(above.header_length.load());
  p.state.store(State::live, std::memory_order_release);
  return Status::good();
}

void monitors_link(Runtime& rt, uint32_t parent) {
  const Control& c = rt.control();
  const PortRec& above = c.port(parent);
  if (above.state.load(std::memory_order_relaxed) == State::free) return;
  const uint32_t ports = c.ports();
  // From the last to the first: what a link leads to is complete before it leads there.
  const auto link = [&](uint32_t ring, bool tx, Shared<uint32_t>& head) {
    uint32_t next = 0;
    for (uint32_t i = ports; i-- > 0;) {
      const PortRec& p = c.port(i);
      if (!watches(p, parent, above.gen) || p.zcopy != 0) continue;
      if (ring < (tx ? p.watch_tx_first : p.watch_rx_first) ||
          ring >= (tx ? p.watch_tx_last : p.watch_rx_last))
        continue;
      WatchRec& w = c.watch(p.rx_base + ring);
      (tx ? w.next_tx : w.next_rx).store(next, std::memory_order_release);
      next = p.rx_base + ring + 1;
    }
    head.store(next, std::memory_order_release);
  };
  for (uint32_t i = 0; i < above.tx_count; i++) link(i, true, c.tx(above.tx_base + i).monitors);
  for (uint32_t i = 0; i < above.rx_count; i++) link(i, false, c.rx(above.rx_base + i).monitors);
  // Zero-copy ones see both directions; each hands on to the next what its own owner has released.
  for (uint32_t ring = 0; ring < std::max(above.tx_count, above.rx_count); ring++) {
    uint32_t next = 0;
    for (uint32_t i = ports; i-- > 0;) {
      const PortRec& p = c.port(i);
      const bool here = (ring >= p.watch_tx_first && ring < p.watch_tx_last) ||
                        (ring >= p.watch_rx_first && ring < p.watch_rx_last);
      if (!watches(p, parent, above.gen) || p.zcopy == 0 || !here) continue;
      c.rx(p.rx_base + ring).zcopy.store(next, std::memory_order_release);
      next = p.rx_base + ring + 1;
    }
    if (ring < above.tx_count)
      c.tx(above.tx_base + ring).zcopy.store(next, std::memory_order_release);
    if (ring < above.rx_count)
      c.rx(above.rx_base + ring).zcopy.store(next, std::memory_order_release);
  }
}

void monitor_leave(Runtime& rt, uint32_t monitor) {
  const Control& c = rt.control();
  PortRec& p = c.port(monitor);
  p.state.store(State::dying, std::memory_order_release);
  for (uint32_t i = 0; i < p.rx_count; i++)
    c.rx(p.rx_base + i).tag.store(0, std::memory_order_release);
  if (c.port(p.parent).gen == p.parent_gen) monitors_link(rt, p.parent);
}

bool monitor_alive(const Control& c, const PortRec& m) {
  const PortRec& parent = c.port(m.parent);
  return parent.gen == m.parent_gen &&
         parent.state.load(std::memory_order_acquire) == State::live &&
         parent.reg_mask.load(std::memory_order_acquire) != 0;
}

}  // namespace vale
