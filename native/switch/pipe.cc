// SPDX-License-Identifier: BSD-2-Clause
#include "switch/pipe.h"

#include <utility>
#include <vector>

#include "shm/region.h"
#include "switch/memory.h"
#include "switch/ports.h"
#include "switch/resolve.h"

namespace vale {
namespace {

// The port whose memory the pipe uses, made if there is none.
Status find_parent(Runtime& rt, const OpenRequest& q, const SplitPipe& name, uint32_t* parent) {
  const Control& c = rt.control();
  OpenRequest wish = q;
  wish.name = name.parent;
  wish.tx_rings = wish.rx_rings = 0;
  if (name.parent.compare(0, 4, "vale") == 0) return resolve_port(rt, wish, parent);
  SplitName bare;
  if (Status s = split_name(name.parent, EINVAL, &bare); !s.ok()) return s;
  if (const int32_t found = persistent_find(c, bare.port); found >= 0) {
    *parent = static_cast<uint32_t>(found);
    return Status::good();
  }
  if (Status s = port_create(rt, bare.port, wish, true, parent); !s.ok()) return s;
  PortRec& p = c.port(*parent);
  p.hidden = 1;
  p.state.store(State::live, std::memory_order_release);
  return Status::good();
}

// Rings of one direction: from `a`, into `b`. A record names a ring once its slots are written.
Status build(Runtime& rt, PortRec& a, PortRec& b) {
  const Control& c = rt.control();
  const RegionRec& g = c.region(a.region);
  char* base = rt.mapper->region(a.region, g.gen);
  if (base == nullptr) return Status::fail(ENOMEM, "cannot map the memory of a pipe");
  BufferMap map;
  if (Status s = map.open(rt, a.region); !s.ok()) return s;
  std::vector<uint32_t> buffers(a.tx_slots);
  for (uint32_t i = 0; i < a.tx_count; i++) {
    TxRing& t = c.tx(a.tx_base + i);
    RxRing& r = c.rx(b.rx_base + i);
    t.region = r.region = a.region;
    t.region_gen = r.region_gen = g.gen;
    t.buf_ofs = r.buf_ofs = g.buf_ofs;
    t.buf_size = r.buf_size = g.buf_size;
    uint64_t from, to;
    if (Status s = region_take_ring(rt, a.region, a.tx_slots, &to); !s.ok()) return s;
    if (Status s = region_take_ring(rt, a.region, a.tx_slots, &from); !s.ok()) {
      region_give_ring(rt, a.region, to);
      return s;
    }
    if (Status s = map.take(a.tx_slots, buffers.data()); !s.ok()) {
      region_give_ring(rt, a.region, to);
      region_give_ring(rt, a.region, from);
      return s;
    }
    write_ring(base, g, to, a.tx_slots, i, true, buffers.data());
    write_ring(base, g, from, a.tx_slots, i, false, buffers.data());
    __atomic_store_n(&r.ring_ofs, to, __ATOMIC_RELEASE);
    __atomic_store_n(&t.ring_ofs, from, __ATOMIC_RELEASE);
    map.keep(a.tx_slots, buffers.data());
  }
  return Status::good();
}

Status create(Runtime& rt, const OpenRequest& q, const SplitPipe& name, uint32_t parent,
              uint32_t* port) {
  const Control& c = rt.control();
  PortRec& above = c.port(parent);
  if (Status s = memory_assign(rt, parent, q.extra_bufs); !s.ok()) return s;
  OpenRequest wish;
  wish.tx_rings = q.tx_rings;
  wish.rx_rings = q.rx_rings;
  wish.tx_slots = q.tx_slots != 0 ? q.tx_slots : above.tx_slots;
  wish.rx_slots = q.rx_slots != 0 ? q.rx_slots : above.rx_slots;
  wish.buf_size = c.region(above.region).buf_size;
  const bool master = name.end[0] == '{';
  uint32_t ends[2];
  for (uint32_t k = 0; k < 2; k++) {
    const std::string end = (master == (k == 0) ? '{' : '}') + name.end.substr(1);
    if (Status s = port_create(rt, end, wish, false, &ends[k]); !s.ok()) {
      if (k == 1) pipe_destroy(rt, ends[0]);
      return s;
    }
    PortRec& p = c.port(ends[k]);
    p.peer = ends[0];
    p.parent = parent;
    p.parent_gen = above.gen;
    p.region = above.region;
    p.region_gen = above.region_gen;
    p.kind = Kind::pipe;
    std::swap(wish.tx_rings, wish.rx_rings);
    std::swap(wish.tx_slots, wish.rx_slots);
  }
  PortRec& a = c.port(ends[0]);
  PortRec& b = c.port(ends[1]);
  __atomic_store_n(&a.peer, ends[1], __ATOMIC_RELEASE);
  a.rings_up = b.rings_up = 1;
  Status s = build(rt, a, b);
  if (s.ok()) s = build(rt, b, a);
  if (!s.ok()) {
    pipe_destroy(rt, ends[0]);
    return s;
  }
  memory_refresh_bounds(rt, a.region);
  a.state.store(State::live, std::memory_order_release);
  b.state.store(State::live, std::memory_order_release);
  *port = ends[0];
  return Status::good();
}

// What nobody can reach any more goes back: rings, and each buffer from the slot that owns it.
void give(Runtime& rt, PortRec& a, PortRec& b) {
  const Control& c = rt.control();
  BufferMap map;
  char* base = rt.mapper->region(a.region, a.region_gen);
  if (base == nullptr || !map.open(rt, a.region).ok()) return;
  for (uint32_t i = 0; i < a.tx_count; i++) {
    TxRing& t = c.tx(a.tx_base + i);
    RxRing& r = c.rx(b.rx_base + i);
    const uint32_t n = t.num_slots;
    if (t.ring_ofs != 0 && r.ring_ofs != 0) {
      const auto* from = reinterpret_cast<const netmap_ring*>(base + t.ring_ofs);
      const auto* to = reinterpret_cast<const netmap_ring*>(base + r.ring_ofs);
      const uint32_t first = r.hwcur.load(std::memory_order_acquire);
      const uint32_t tail = word_position(r.tail.load(std::memory_order_acquire));
      const uint32_t sent = tail >= first ? tail - first : tail + n - first;
      for (uint32_t k = 0; k < n; k++) {
        const uint32_t slot = first + k < n ? first + k : first + k - n;
        map.give((k < sent ? to : from)->slot[slot].buf_idx);
      }
    }
    if (t.ring_ofs != 0) region_give_ring(rt, a.region, t.ring_ofs);
    if (r.ring_ofs != 0) region_give_ring(rt, a.region, r.ring_ofs);
    t.ring_ofs = 0;
    r.ring_ofs = 0;
  }
}

}  // namespace

Status pipe_open(Runtime& rt, const OpenRequest& q, uint32_t* port) {
  const Control& c = rt.control();
  SplitPipe name;
  if (Status s = split_pipe(q.name, &name); !s.ok()) return s;
  if (q.mode != NR_REG_DEFAULT && q.mode != NR_REG_ALL_NIC && q.mode != NR_REG_ONE_NIC) {
    return Status::fail(EINVAL, "%s: a pipe has no host rings; drop the ^ or *", q.name.c_str());
  }
  int32_t found;
  if (Status s = port_lookup(c, q.name, EINVAL, &found); !s.ok()) return s;
  if (found >= 0) {
    *port = static_cast<uint32_t>(found);
    return Status::good();
  }
  uint32_t parent;
  if (Status s = find_parent(rt, q, name, &parent); !s.ok()) return s;
  Status s = create(rt, q, name, parent, port);
  if (!s.ok()) port_drop_unused(rt, parent);
  return s;
}

bool pipe_destroy(Runtime& rt, uint32_t port) {
  const Control& c = rt.control();
  PortRec& a = c.port(port);
  const uint32_t other = a.peer;
  PortRec& b = c.port(other);
  // Cut off while it was made or destroyed, one end may be alone.
  const bool pair = other != port && b.kind == Kind::pipe && b.peer == port &&
                    b.state.load(std::memory_order_relaxed) != State::free;
  a.state.store(State::dying, std::memory_order_release);
  if (pair) b.state.store(State::dying, std::memory_order_release);
  if (a.rings_up != 0 && pair) {
    if (!memory_settled(rt, port) || !memory_settled(rt, other)) return false;
    give(rt, a, b);
    give(rt, b, a);
  }
  const uint32_t parent = a.parent, parent_gen = a.parent_gen;
  auto release = [&](PortRec& p) {
    for (uint32_t i = 0; i < p.tx_count; i++) c.tx(p.tx_base + i).state = State::free;
    for (uint32_t i = 0; i < p.rx_count; i++) c.rx(p.rx_base + i).state = State::free;
    p.region_gen = 0;
    p.rings_up = 0;
    p.state.store(State::free, std::memory_order_release);
  };
  if (pair) release(b);
  release(a);
  if (c.port(parent).gen == parent_gen) port_drop_unused(rt, parent);
  return true;
}

}  // namespace vale
