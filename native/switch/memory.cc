// SPDX-License-Identifier: BSD-2-Clause
#include "switch/memory.h"

#include <cstring>
#include <vector>

#include "abi/netmap_control.h"
#include "shm/owner_lock.h"
#include "shm/region.h"
#include "switch/account.h"
#include "switch/counters.h"
#include "switch/recover.h"

namespace vale {
namespace {

Status build(Runtime& rt, PortRec& p, uint32_t region) {
  const Control& c = rt.control();
  RegionRec& g = c.region(region);
  char* base = rt.mapper->region(region, g.gen);
  if (base == nullptr) return rt.mapper->refusal(region, g.gen, p.name);
  BufferMap map;
  if (Status s = map.open(rt, region); !s.ok()) return s;
  const uint32_t most = p.tx_slots > p.rx_slots ? p.tx_slots : p.rx_slots;
  std::vector<uint32_t> buffers(most);
  // The record names a ring only once its slots are written: what an earlier user of that memory left
  // there must never be given back in its place.
  auto take_ring = [&](uint32_t slots, uint32_t id, bool rx, uint64_t* place) {
    uint64_t ofs;
    if (Status s = region_take_ring(rt, region, slots, &ofs); !s.ok()) return s;
    if (Status s = map.take(slots, buffers.data()); !s.ok()) {
      region_give_ring(rt, region, ofs);
      return s;
    }
    write_ring(base, g, ofs, slots, id, rx, buffers.data());
    __atomic_store_n(place, ofs, __ATOMIC_RELEASE);
    map.keep(slots, buffers.data());
    return Status::good();
  };
  for (uint32_t i = 0; i < p.tx_count; i++) {
    TxRing& t = c.tx(p.tx_base + i);
    t.region = region;
    t.region_gen = g.gen;
    t.buf_ofs = g.buf_ofs;
    t.buf_size = g.buf_size;
    t.offset_mask = 0;
    t.ring_ofs = 0;
    if (Status s = take_ring(p.tx_slots, i, false, &t.ring_ofs); !s.ok()) return s;
  }
  for (uint32_t i = 0; i < p.rx_count; i++) {
    RxRing& r = c.rx(p.rx_base + i);
    r.region = region;
    r.region_gen = g.gen;
    r.buf_ofs = g.buf_ofs;
    r.buf_size = g.buf_size;
    r.offset_mask = 0;
    r.ring_ofs = 0;
    if (Status s = take_ring(p.rx_slots, i, true, &r.ring_ofs); !s.ok()) return s;
  }
  return Status::good();
}

void give_ring(Runtime& rt, BufferMap& map, char* base, uint32_t region, uint64_t ring_ofs,
               uint32_t slots) {
  if (ring_ofs == 0) return;
  if (base != nullptr) {
    const auto* ring = reinterpret_cast<const netmap_ring*>(base + ring_ofs);
    for (uint32_t i = 0; i < slots; i++) map.give(ring->slot[i].buf_idx);
  }
  region_give_ring(rt, region, ring_ofs);
}

bool region_used(const Control& c, uint32_t region, uint32_t gen, uint32_t except) {
  const uint32_t count = c.ports();
  for (uint32_t i = 0; i < count; i++) {
    const PortRec& p = c.port(i);
    if (i != except && p.state.load(std::memory_order_relaxed) != State::free &&
        p.region == region && p.region_gen == gen) {
      return true;
    }
  }
  return false;
}

// The lock of a ring that is going away; true when nobody is inside any more.
bool seize(Runtime& rt, Shared<uint64_t>& lock, bool* dead) {
  uint64_t stalled = 0;
  const Locked l = lock_bounded(rt, lock, rt.process.word(0xffff), &stalled);
  *dead = l == Locked::taken;
  return is_locked(l);
}

// Nobody is inside any ring of the port any more, and all of them are empty.
bool empty_rings(Runtime& rt, PortRec& p) {
  const Control& c = rt.control();
  bool dead;
  for (uint32_t i = 0; i < p.rx_count; i++) {
    const uint32_t index = p.rx_base + i;
    RxRing& r = c.rx(index);
    r.bound.store(0, std::memory_order_release);
    if (!seize(rt, r.lock, &dead)) return false;
    if (dead) recover_rx(rt, index);
    if (r.teardown == 0) {
      r.gone_target = read_stat(r.stat, r.tail, nullptr).gone + frames_in_ring(c, index);
      __atomic_store_n(&r.teardown, 1u, __ATOMIC_RELEASE);
    }
    commit(r, 0, [&](RxStat& s) { s.gone = r.gone_target; });
    r.hwcur.store(0, std::memory_order_release);
    r.hwcur_seen = 0;
    if (r.multi.load(std::memory_order_relaxed) != 0) {
      // While multi is 0 nobody keeps the bits: the next frame of several slots must find them clear.
      for (auto& word : c.more(index).word) word.store(0, std::memory_order_relaxed);
      r.multi.store(0, std::memory_order_relaxed);
    }
    r.wake.store(0, std::memory_order_relaxed);
    r.sync_lock.store(0, std::memory_order_relaxed);
    __atomic_store_n(&r.teardown, 0u, __ATOMIC_RELEASE);
    unlock(r.lock);
  }
  for (uint32_t i = 0; i < p.tx_count; i++) {
    TxRing& t = c.tx(p.tx_base + i);
    if (!seize(rt, t.lock, &dead)) return false;
    if (dead) recover_tx(rt, p.tx_base + i);
    take(t, 0, [](TakeStat&) {});
    unlock(t.lock);
  }
  return true;
}

void give_rings(Runtime& rt, const PortRec& p) {
  const Control& c = rt.control();
  char* base = rt.mapper->region(p.region, p.region_gen);
  BufferMap map;
  if (!map.open(rt, p.region).ok()) return;
  for (uint32_t i = 0; i < p.tx_count; i++) {
    TxRing& t = c.tx(p.tx_base + i);
    give_ring(rt, map, base, p.region, t.ring_ofs, p.tx_slots);
    t.ring_ofs = 0;
  }
  for (uint32_t i = 0; i < p.rx_count; i++) {
    RxRing& r = c.rx(p.rx_base + i);
    give_ring(rt, map, base, p.region, r.ring_ofs, p.rx_slots);
    r.ring_ofs = 0;
  }
}

}  // namespace

void write_ring(char* base, const RegionRec& g, uint64_t ring_ofs, uint32_t slots, uint32_t id,
                bool rx, const uint32_t* buffers) {
  auto* ring = reinterpret_cast<netmap_ring*>(base + ring_ofs);
  std::memset(static_cast<void*>(ring), 0, g.ring_size);
  write_once(ring->buf_ofs, static_cast<int64_t>(g.buf_ofs) - static_cast<int64_t>(ring_ofs));
  write_once(ring->num_slots, slots);
  write_once(ring->nr_buf_size, g.buf_size);
  write_once(ring->ringid, static_cast<uint16_t>(id));
  write_once(ring->dir, static_cast<uint16_t>(rx));
  ring->tail = rx ? 0 : slots - 1;
  for (uint32_t i = 0; i < slots; i++) {
    ring->slot[i].buf_idx = buffers[i];
    ring->slot[i].len = static_cast<uint16_t>(g.buf_size);
  }
}

void memory_refresh_bounds(Runtime& rt, uint32_t region) {
  const Control& c = rt.control();
  const RegionRec& g = c.region(region);
  const uint32_t bound = g.buf_bound.load(std::memory_order_relaxed);
  const uint32_t count = c.ports();
  for (uint32_t i = 0; i < count; i++) {
    const PortRec& p = c.port(i);
    if (p.state.load(std::memory_order_relaxed) == State::free || p.region != region ||
        p.region_gen != g.gen)
      continue;
    for (uint32_t k = 0; k < p.tx_count; k++)
      c.tx(p.tx_base + k).buf_bound.store(bound, std::memory_order_release);
    for (uint32_t k = 0; k < p.rx_count; k++)
      c.rx(p.rx_base + k).buf_bound.store(bound, std::memory_order_release);
  }
}

Status memory_assign(Runtime& rt, uint32_t slot, uint32_t extra_bufs) {
  const Control& c = rt.control();
  PortRec& p = c.port(slot);
  if (p.region_gen != 0) return Status::good();
  uint32_t region;
  if (p.wish_mem_id != 0) {
    if (Status s = region_find(rt, p.wish_mem_id, &region); !s.ok()) return s;
  } else {
    const Geometry g{p.tx_count, p.rx_count, p.tx_slots, p.rx_slots, extra_bufs, p.buf_size};
    if (Status s = region_create(rt, g, &region); !s.ok()) return s;
  }
  p.region = region;
  p.region_gen = c.region(region).gen;
  return Status::good();
}

Status memory_bring(Runtime& rt, OpenRequest* q, uint32_t* region) {
  Status s = region_bring(rt, *q->memory, region);
  s.option = NETMAP_REQ_OPT_EXTMEM;
  if (s.ok()) q->mem_id = static_cast<uint16_t>(rt.control().region(*region).mem_id);
  return s;
}

void memory_drop_unused(Runtime& rt, uint32_t region) {
  const Control& c = rt.control();
  const RegionRec& r = c.region(region);
  if (r.state.load(std::memory_order_relaxed) == State::live &&
      !region_used(c, region, r.gen, kMaxPorts))
    region_destroy(rt, region);
}

Status memory_up(Runtime& rt, uint32_t slot, uint32_t extra_bufs) {
  const Control& c = rt.control();
  PortRec& p = c.port(slot);
  if (Status s = memory_assign(rt, slot, extra_bufs); !s.ok()) return s;
  for (uint32_t i = 0; i < p.tx_count; i++) c.tx(p.tx_base + i).ring_ofs = 0;
  for (uint32_t i = 0; i < p.rx_count; i++) c.rx(p.rx_base + i).ring_ofs = 0;
  p.rings_up = 1;
  if (Status s = build(rt, p, p.region); !s.ok()) {
    memory_down(rt, slot, p.persistent != 0);
    return s;
  }
  memory_refresh_bounds(rt, p.region);
  return Status::good();
}

bool memory_settled(Runtime& rt, uint32_t slot) {
  const Control& c = rt.control();
  const PortRec& p = c.port(slot);
  bool dead;
  for (uint32_t i = 0; i < p.rx_count; i++) {
    if (!seize(rt, c.rx(p.rx_base + i).lock, &dead)) return false;
    if (dead) recover_rx(rt, p.rx_base + i);
    unlock(c.rx(p.rx_base + i).lock);
  }
  for (uint32_t i = 0; i < p.tx_count; i++) {
    if (!seize(rt, c.tx(p.tx_base + i).lock, &dead)) return false;
    if (dead) recover_tx(rt, p.tx_base + i);
    unlock(c.tx(p.tx_base + i).lock);
  }
  return true;
}

bool memory_down(Runtime& rt, uint32_t slot, bool keep_region) {
  const Control& c = rt.control();
  PortRec& p = c.port(slot);
  if (p.rings_up != 0 && !empty_rings(rt, p)) return false;
  if (p.rings_up != 0 && (keep_region || region_used(c, p.region, p.region_gen, slot)))
    give_rings(rt, p);
  p.rings_up = 0;
  if (keep_region || p.region_gen == 0) return true;
  if (!region_used(c, p.region, p.region_gen, slot) && c.region(p.region).gen == p.region_gen)
    region_destroy(rt, p.region);
  p.region_gen = 0;
  return true;
}

}  // namespace vale
