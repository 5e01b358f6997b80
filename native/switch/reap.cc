// SPDX-License-Identifier: BSD-2-Clause
#include "switch/reap.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "shm/lease.h"
#include "shm/owner_lock.h"
#include "shm/region.h"
#include "switch/agents.h"
#include "switch/counters.h"
#include "switch/memory.h"
#include "switch/ports.h"
#include "switch/recover.h"
#include "switch/registration.h"

namespace vale {
namespace {

void rebuild_switch(Runtime& rt, uint32_t slot) {
  const Control& c = rt.control();
  SwitchRec& sw = c.sw(slot);
  bool used[256] = {};
  uint32_t active = 0;
  const uint32_t ports = c.ports();
  for (uint32_t i = 0; i < ports; i++) {
    const PortRec& p = c.port(i);
    if (p.state.load(std::memory_order_relaxed) != State::live ||
        p.switch_slot.load() != static_cast<int32_t>(slot))
      continue;
    used[p.port_index.load() & 255] = true;
    active++;
  }
  if (active == 0) {
    switch_destroy(rt, slot);
    return;
  }
  std::vector<uint8_t> order;
  bool listed[256] = {};
  for (int pass = 0; pass < 2; pass++) {
    for (uint32_t i = 0; i < 256; i++) {
      const uint8_t index = sw.order[i];
      if (used[index] == (pass == 0) && !listed[index]) {
        listed[index] = true;
        order.push_back(index);
      }
    }
    for (uint32_t i = 0; i < 256; i++) {
      if (used[i] == (pass == 0) && !listed[i]) {
        listed[i] = true;
        order.push_back(static_cast<uint8_t>(i));
      }
    }
  }
  std::copy(order.begin(), order.end(), sw.order);
  sw.active.store(active, std::memory_order_release);
  for (uint32_t i = 0; i < 256; i++) {
    if (used[i]) continue;
    sw.member[i].store(0, std::memory_order_release);
    sw.flood[i / 64].fetch_and(~(uint64_t{1} << (i % 64)));
  }
  if (Fdb fdb = switch_fdb(rt, slot); fdb.mapped()) {
    for (uint32_t i = 0; i < 256; i++) {
      if (!used[i]) fdb.flush_port(i);
    }
  }
}

void rebuild_region(Runtime& rt, uint32_t slot) {
  const Control& c = rt.control();
  RegionRec& g = c.region(slot);
  uint64_t ifs[4] = {}, rings[16] = {};
  bool used = false;
  auto mark = [](uint64_t* map, uint64_t i, uint64_t most) {
    if (i < most) map[i / 64] |= uint64_t{1} << (i % 64);
  };
  const uint32_t ports = c.ports();
  for (uint32_t i = 0; i < ports; i++) {
    const PortRec& p = c.port(i);
    if (p.state.load(std::memory_order_relaxed) == State::free || p.region != slot ||
        p.region_gen != g.gen)
      continue;
    used = true;
    auto ring = [&](uint64_t offset) {
      if (offset != 0) mark(rings, (offset - g.ring_ofs) / g.ring_size, g.ring_total);
    };
    for (uint32_t k = 0; k < p.tx_count; k++) ring(c.tx(p.tx_base + k).ring_ofs);
    for (uint32_t k = 0; k < p.rx_count; k++) ring(c.rx(p.rx_base + k).ring_ofs);
    for (uint64_t bits = p.reg_mask.load(); bits != 0; bits &= bits - 1) {
      const RegRec& r = c.reg(p.regs[__builtin_ctzll(bits)]);
      if (r.nifp_object != 0) mark(ifs, r.nifp_object - 1, g.if_total);
    }
  }
  if (!used) {
    region_destroy(rt, slot);
    return;
  }
  std::memcpy(g.if_map, ifs, sizeof ifs);
  std::memcpy(g.ring_map, rings, sizeof rings);
  if (BufferMap map; map.open(rt, slot).ok()) map.give_pending();
  memory_refresh_bounds(rt, slot);
}

// Files that no record names: their creator was killed between file and record, or the other way.
void remove_strays(Runtime& rt) {
  const Control& c = rt.control();
  const Header& h = c.header();
  const int fd = openat(rt.directory.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = fd < 0 ? nullptr : fdopendir(fd);
  if (dir == nullptr) {
    if (fd >= 0) close(fd);
    return;
  }
  std::vector<std::string> strays;
  while (const dirent* e = readdir(dir)) {
    unsigned slot, gen;
    unsigned long long inode;
    char kind, rest;
    bool wanted = true;
    if (sscanf(e->d_name, "f%llu.%u.%u%c", &inode, &slot, &gen, &rest) == 3) {
      wanted = slot < h.regs && c.reg(slot).state != State::free && c.reg(slot).gen == gen &&
               c.reg(slot).fifo_inode == inode;
    } else if (sscanf(e->d_name, "w%u.%u.%llu%c", &slot, &gen, &inode, &rest) == 3) {
      wanted = slot < h.agents && c.agent(slot).state != State::free && c.agent(slot).gen == gen;
    } else if (sscanf(e->d_name, "%c%u.%u%c", &kind, &slot, &gen, &rest) == 3) {
      switch (kind) {
        case 'm':
        case 'b':
          wanted =
              slot < h.regions && c.region(slot).state != State::free && c.region(slot).gen == gen;
          break;
        case 's':
          wanted = slot < h.switches && c.sw(slot).state != State::free && c.sw(slot).gen == gen;
          break;
        case 'n':
          wanted = false;
          break;
        case 'a':
        case 'l':
        case 'o':
          wanted =
              slot < h.agents && c.agent(slot).state != State::free && c.agent(slot).gen == gen;
          break;
        case 'p':
          wanted = slot < h.procs && c.proc(slot).state != State::free && c.proc(slot).gen == gen;
          break;
        default:
          break;
      }
    }
    if (!wanted) strays.emplace_back(e->d_name);
  }
  closedir(dir);
  for (const std::string& name : strays) rt.directory.unlink(name.c_str());
}

void repair(Runtime& rt) {
  const Control& c = rt.control();
  Header& h = c.header();
  redo_retire(rt);
  for (uint32_t i = 0; i < h.regs; i++) {
    const RegRec& r = c.reg(i);
    const State s = r.state.load(std::memory_order_relaxed);
    const PortRec& p = c.port(r.port);
    const bool orphan = s == State::live && (p.gen != r.port_gen || p.state.load() == State::free);
    if (s == State::creating || s == State::dying || orphan) registration_destroy(rt, i);
  }
  for (uint32_t i = 0; i < h.ports; i++) {
    PortRec& p = c.port(i);
    const State s = p.state.load(std::memory_order_relaxed);
    if (s == State::free) continue;
    // A bit whose registration never came to be, or is gone already.
    uint64_t mask = p.reg_mask.load();
    for (uint64_t bits = mask; bits != 0; bits &= bits - 1) {
      const uint32_t bit = static_cast<uint32_t>(__builtin_ctzll(bits));
      const RegRec& r = c.reg(p.regs[bit]);
      if (r.state.load() != State::live || r.port != i || r.port_gen != p.gen || r.bit != bit)
        mask &= ~(uint64_t{1} << bit);
    }
    p.reg_mask.store(mask, std::memory_order_release);
  }
  for (uint32_t i = 0; i < h.ports; i++) {
    const State s = c.port(i).state.load(std::memory_order_relaxed);
    if (s == State::creating) {
      port_destroy(rt, i);
    } else if (s == State::live) {
      port_drop_unused(rt, i);
      if (c.port(i).state.load(std::memory_order_relaxed) == State::live) port_refresh(rt, i);
    }
  }
  for (uint32_t i = 0; i < h.rings_tx; i++) {
    const PortRec& p = c.port(c.tx(i).port);
    if (c.tx(i).state != State::free &&
        (p.state.load() == State::free || i < p.tx_base || i >= p.tx_base + p.tx_count))
      c.tx(i).state = State::free;
  }
  for (uint32_t i = 0; i < h.rings_rx; i++) {
    const PortRec& p = c.port(c.rx(i).port);
    if (c.rx(i).state != State::free &&
        (p.state.load() == State::free || i < p.rx_base || i >= p.rx_base + p.rx_count))
      c.rx(i).state = State::free;
  }
  for (uint32_t i = 0; i < h.switches; i++) {
    if (c.sw(i).state.load() != State::free) rebuild_switch(rt, i);
  }
  for (uint32_t i = 0; i < h.regions; i++) {
    if (c.region(i).state.load() != State::free) rebuild_region(rt, i);
  }
  remove_strays(rt);
  __atomic_store_n(&h.dirty, 0u, __ATOMIC_SEQ_CST);
}

void bury_processes(Runtime& rt) {
  const Control& c = rt.control();
  Header& h = c.header();
  std::vector<uint32_t> dead;
  for (uint32_t i = 0; i < h.procs; i++) {
    const ProcRec& p = c.proc(i);
    const State s = p.state.load(std::memory_order_acquire);
    // Half made under a lock that we hold now: its maker is dead.
    if (s == State::creating || (s == State::live && !rt.process.alive(rt.directory, i, p.gen)))
      dead.push_back(i);
  }
  if (dead.empty()) return;
  auto held_by_dead = [&](uint64_t word) {
    return word != 0 &&
           std::find(dead.begin(), dead.end(), Process::word_slot(word)) != dead.end() &&
           c.proc(Process::word_slot(word)).gen == Process::word_gen(word);
  };
  const uint64_t me = rt.process.word(0xfffe);
  for (uint32_t i = 0; i < h.rings_rx; i++) {
    RxRing& r = c.rx(i);
    uint64_t word = r.lock.load(std::memory_order_acquire);
    if (held_by_dead(word) && r.lock.compare_exchange_strong(word, me, std::memory_order_acquire)) {
      recover_rx(rt, i);
      unlock(r.lock);
    }
    word = r.sync_lock.load(std::memory_order_acquire);
    if (held_by_dead(word)) r.sync_lock.compare_exchange_strong(word, 0, std::memory_order_release);
  }
  for (uint32_t i = 0; i < h.rings_tx; i++) {
    TxRing& t = c.tx(i);
    uint64_t word = t.lock.load(std::memory_order_acquire);
    if (held_by_dead(word) && t.lock.compare_exchange_strong(word, me, std::memory_order_acquire)) {
      recover_tx(rt, i);
      unlock(t.lock);
    }
  }
  for (uint32_t i : dead) {
    char name[32];
    Process::lease_name(name, i, c.proc(i).gen);
    rt.directory.unlink(name);
    c.proc(i).state.store(State::free, std::memory_order_release);
  }
}

}  // namespace

void reap(Runtime& rt) {
  const Control& c = rt.control();
  Header& h = c.header();
  if (!rt.process.valid() && !rt.process.enter(rt.directory).ok()) return;
  bury_processes(rt);
  agents_reap(rt);
  if (__atomic_load_n(&h.dirty, __ATOMIC_SEQ_CST) != 0) repair(rt);
  for (uint32_t i = 0; i < h.regs; i++) {
    const RegRec& r = c.reg(i);
    if (r.state.load(std::memory_order_acquire) == State::live &&
        !lease_held(rt.directory, r.fifo_inode.load(), i, r.gen)) {
      Change change(rt);
      registration_destroy(rt, i);
    }
  }
  for (uint32_t i = 0; i < h.ports; i++) {
    if (c.port(i).state.load(std::memory_order_relaxed) == State::dying) {
      Change change(rt);
      port_destroy(rt, i);
    }
  }
  if (rt.mapper->stale()) rt.mapper->reclaim(rt.process.identity());
  rt.doorbells->reclaim();
}

}  // namespace vale
