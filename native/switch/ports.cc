// SPDX-License-Identifier: BSD-2-Clause
#include "switch/ports.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "switch/counters.h"
#include "switch/forward.h"
#include "switch/memory.h"
#include "switch/monitor.h"
#include "switch/offsets.h"
#include "switch/pipe.h"

namespace vale {
namespace {

constexpr uint32_t kDefaultAgeing = 300;  // s

uint32_t next_gen(Header& h) {
  uint32_t gen = h.next_gen++;
  return gen != 0 ? gen : h.next_gen++;
}

// First index of `count` consecutive free ring records.
template <class Ring>
uint32_t free_rings(uint32_t have, uint32_t count, Ring&& ring) {
  uint32_t run = 0;
  for (uint32_t i = 0; i < have; i++) {
    run = ring(i).state == State::free ? run + 1 : 0;
    if (run == count) return i + 1 - count;
  }
  return have - run;
}

void update_member(const Control& c, uint32_t slot) {
  const PortRec& p = c.port(slot);
  const int32_t s = p.switch_slot.load(std::memory_order_relaxed);
  if (s < 0) return;
  SwitchRec& sw = c.sw(static_cast<uint32_t>(s));
  const uint32_t i = p.port_index.load(std::memory_order_relaxed);
  sw.member[i].store(make_member(p.rx_base, p.rx_count, header_code(p.header_length.load()),
                                 offsets_any(c, p), slot, sw.gen8[i]),
                     std::memory_order_release);
}

}  // namespace

Status port_create(Runtime& rt, const std::string& bare, const OpenRequest& wish, bool persistent,
                   uint32_t* out) {
  const Control& c = rt.control();
  Header& h = c.header();
  Geometry g;
  if (Status s = geometry_of(wish, &g); !s.ok()) return s;
  if (wish.mem_id != 0) {
    uint32_t region;
    if (Status s = region_find(rt, wish.mem_id, &region); !s.ok()) return s;
  }
  uint32_t slot;
  const auto port_at = [&](uint32_t i) -> PortRec& { return c.port(i); };
  if (Status s = rt.directory.free_record(Directory::Array::ports, h.ports.load(), port_at, &slot);
      !s.ok())
    return s;
  const uint32_t tx =
      free_rings(h.rings_tx.load(), g.tx_rings, [&](uint32_t i) -> TxRing& { return c.tx(i); });
  if (Status s = rt.directory.grow(Directory::Array::tx, tx + g.tx_rings); !s.ok()) return s;
  const uint32_t rx =
      free_rings(h.rings_rx.load(), g.rx_rings, [&](uint32_t i) -> RxRing& { return c.rx(i); });
  if (Status s = rt.directory.grow(Directory::Array::rx, rx + g.rx_rings); !s.ok()) return s;

  PortRec& p = c.port(slot);
  std::memset(static_cast<void*>(&p), 0, sizeof p);
  p.gen = next_gen(h);
  std::snprintf(p.name, sizeof p.name, "%s", bare.c_str());
  p.switch_slot.store(-1, std::memory_order_relaxed);
  p.persistent = persistent;
  p.tx_base = tx;
  p.tx_count = g.tx_rings;
  p.rx_base = rx;
  p.rx_count = g.rx_rings;
  p.tx_slots = g.tx_slots;
  p.rx_slots = g.rx_slots;
  p.buf_size = g.buf_size;
  p.wish_mem_id = wish.mem_id;
  p.state.store(State::creating, std::memory_order_release);
  for (uint32_t i = 0; i < g.tx_rings; i++) {
    TxRing& t = c.tx(tx + i);
    // Serials go on: an outcome noted for an earlier user of this record must never match.
    const uint32_t serial = t.serial.load(std::memory_order_relaxed) + 1;
    std::memset(static_cast<void*>(&t), 0, sizeof t);
    t.serial.store(serial, std::memory_order_relaxed);
    t.settle_word.store(make_word(0, serial), std::memory_order_relaxed);
    t.port = slot;
    t.num_slots = g.tx_slots;
    t.state = State::live;
  }
  for (uint32_t i = 0; i < g.rx_rings; i++) {
    RxRing& r = c.rx(rx + i);
    const uint32_t epoch = r.wake_epoch.load(std::memory_order_relaxed);  // senders remember it
    // But its lock: a sender that looked here for the port before may be about to unlock it.
    static_assert(offsetof(RxRing, lock) == 0);
    std::memset(reinterpret_cast<char*>(&r) + sizeof r.lock, 0, sizeof r - sizeof r.lock);
    r.wake_epoch.store(epoch, std::memory_order_relaxed);
    c.watch(rx + i).missed.store(0, std::memory_order_relaxed);
    c.watch(rx + i).swap_buffers.store(0, std::memory_order_relaxed);
    r.port = slot;
    r.num_slots = g.rx_slots;
    r.state = State::live;
  }
  *out = slot;
  return Status::good();
}

Status switch_create(Runtime& rt, const std::string& name, uint32_t* out) {
  const Control& c = rt.control();
  uint32_t slot;
  const auto switch_at = [&](uint32_t i) -> SwitchRec& { return c.sw(i); };
  if (Status s =
          rt.directory.free_record(Directory::Array::switches, c.switches(), switch_at, &slot);
      !s.ok())
    return s;
  SwitchRec& sw = c.sw(slot);
  std::memset(static_cast<void*>(&sw), 0, sizeof sw);
  sw.gen = next_gen(c.header());
  std::snprintf(sw.name, sizeof sw.name, "%s", name.c_str());
  sw.ageing_s = kDefaultAgeing;
  for (uint32_t i = 0; i < 256; i++) sw.order[i] = static_cast<uint8_t>(i);
  sw.state.store(State::creating, std::memory_order_release);
  char file[32];
  Mapper::file_name(file, Mapper::Kind::fdb, slot, sw.gen);
  int fd;
  Status s = rt.directory.create_file(file, &fd);
  if (s.ok()) {
    if (ftruncate(fd, Fdb::kBytes) != 0) {
      s = Status::fail(errno, "cannot size %s/%s: %s", rt.directory.path().c_str(), file,
                       Directory::explain(errno).c_str());
    } else {
      s = rt.directory.reserve(fd, 0, Fdb::kBytes, "a switch");
    }
    close(fd);
  }
  if (!s.ok()) {
    switch_destroy(rt, slot);
    return s;
  }
  sw.state.store(State::live, std::memory_order_release);
  *out = slot;
  return Status::good();
}

void switch_destroy(Runtime& rt, uint32_t slot) {
  SwitchRec& sw = rt.control().sw(slot);
  sw.state.store(State::dying, std::memory_order_release);
  char file[32];
  Mapper::file_name(file, Mapper::Kind::fdb, slot, sw.gen);
  rt.directory.unlink(file);
  sw.state.store(State::free, std::memory_order_release);
}

Fdb switch_fdb(Runtime& rt, uint32_t slot) {
  return Fdb(rt.mapper->fdb(slot, rt.control().sw(slot).gen.load(std::memory_order_relaxed)));
}

Status port_attach(Runtime& rt, uint32_t slot, const std::string& switch_name) {
  const Control& c = rt.control();
  PortRec& p = c.port(slot);
  if (p.last_switch_gen != 0) {
    // Its detachment could not wait for who was inside: what that one does counts for the old switch.
    if (!memory_settled(rt, slot)) {
      return Status::fail(
          EBUSY, "%s: a stopped process is still inside it; continue or kill that process", p.name);
    }
    retire(rt, slot);
  }
  uint32_t s;
  if (const int32_t found = switch_find(c, switch_name); found >= 0) {
    s = static_cast<uint32_t>(found);
  } else if (Status st = switch_create(rt, switch_name, &s); !st.ok()) {
    return st;
  }
  SwitchRec& sw = c.sw(s);
  const uint32_t active = sw.active.load(std::memory_order_relaxed);
  if (active >= kPortsPerSwitch) {
    return Status::fail(ENOMEM,
                        "%s has %u ports, the most a switch can have; use another switch and join "
                        "them with vale bridge",
                        switch_name.c_str(), active);
  }
  const uint32_t index = sw.order[active];
  sw.gen8[index] = static_cast<uint8_t>(sw.gen8[index] % 255 + 1);
  p.port_index.store(index, std::memory_order_relaxed);
  p.last_switch = s;
  p.last_switch_gen = sw.gen;
  p.base = port_totals(c, p);
  p.learned = 0;
  sw.active.store(active + 1, std::memory_order_release);
  p.switch_slot.store(static_cast<int32_t>(s), std::memory_order_release);
  port_refresh(rt, slot);
  return Status::good();
}

void port_refresh(Runtime& rt, uint32_t slot) {
  const Control& c = rt.control();
  PortRec& p = c.port(slot);
  uint32_t tx_bound[kRingsPerPort] = {}, rx_bound[kRingsPerPort] = {};
  if (p.rings_up != 0) {
    for (uint64_t bits = p.reg_mask.load(std::memory_order_acquire); bits != 0; bits &= bits - 1) {
      const RegRec& r = c.reg(p.regs[__builtin_ctzll(bits)]);
      if (r.state.load(std::memory_order_acquire) != State::live) continue;
      for (uint32_t i = r.first_tx; i < r.last_tx && i < kRingsPerPort; i++) tx_bound[i]++;
      for (uint32_t i = r.first_rx; i < r.last_rx && i < kRingsPerPort; i++) rx_bound[i]++;
    }
  }
  for (uint32_t i = 0; i < p.tx_count; i++)
    c.tx(p.tx_base + i).bound.store(tx_bound[i], std::memory_order_release);
  for (uint32_t i = 0; i < p.rx_count; i++)
    c.rx(p.rx_base + i).bound.store(rx_bound[i], std::memory_order_release);
  const int32_t s = p.switch_slot.load(std::memory_order_relaxed);
  if (s < 0) {
    for (uint32_t i = 0; i < p.rx_count; i++)
      c.rx(p.rx_base + i)
          .tag.store(p.kind == Kind::monitor ? monitor_tag(p.parent_gen) : 0,
                     std::memory_order_release);
    if (p.kind == Kind::monitor) monitors_link(rt, p.parent);
    return;
  }
  update_member(c, slot);
  SwitchRec& sw = c.sw(static_cast<uint32_t>(s));
  const uint32_t index = p.port_index.load(std::memory_order_relaxed);
  const uint64_t member = sw.member[index].load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < p.rx_count; i++)
    c.rx(p.rx_base + i).tag.store(member, std::memory_order_release);
  const uint64_t bit = uint64_t{1} << (index % 64);
  if (rx_bound[0] != 0) {
    sw.flood[index / 64].fetch_or(bit, std::memory_order_release);
  } else {
    sw.flood[index / 64].fetch_and(~bit, std::memory_order_release);
  }
}

void port_detach(Runtime& rt, uint32_t slot) {
  const Control& c = rt.control();
  PortRec& p = c.port(slot);
  const int32_t s = p.switch_slot.load(std::memory_order_relaxed);
  if (s < 0) return;
  SwitchRec& sw = c.sw(static_cast<uint32_t>(s));
  const uint32_t index = p.port_index.load(std::memory_order_relaxed);
  sw.flood[index / 64].fetch_and(~(uint64_t{1} << (index % 64)));
  sw.member[index].store(0, std::memory_order_release);
  p.switch_slot.store(-1, std::memory_order_release);
  port_refresh(rt, slot);
  if (__atomic_load_n(&p.learned, __ATOMIC_RELAXED) != 0 || p.persistent != 0) {
    if (Fdb fdb = switch_fdb(rt, static_cast<uint32_t>(s)); fdb.mapped()) fdb.flush_port(index);
  }
  const uint32_t active = sw.active.load(std::memory_order_relaxed);
  uint8_t* const at = std::find(sw.order, sw.order + active, static_cast<uint8_t>(index));
  if (at != sw.order + active) {
    // The last one in use takes its place; the freed index is the next to be given out.
    std::swap(*at, sw.order[active - 1]);
    sw.active.store(active - 1, std::memory_order_release);
  }
  // What is on its way into or out of a live port still belongs to this switch. With a stopped process
  // inside, its share stays here until the port is attached again or goes.
  if (p.state.load(std::memory_order_relaxed) == State::live && memory_settled(rt, slot))
    retire(rt, slot);
  if (sw.active.load(std::memory_order_relaxed) == 0) switch_destroy(rt, static_cast<uint32_t>(s));
}

bool port_has_pipes(const Control& c, uint32_t slot) {
  const uint32_t count = c.ports();
  for (uint32_t i = 0; i < count; i++) {
    const PortRec& p = c.port(i);
    if (p.kind == Kind::pipe && p.parent == slot && p.parent_gen == c.port(slot).gen &&
        p.state.load(std::memory_order_relaxed) != State::free)
      return true;
  }
  return false;
}

void port_drop_unused(Runtime& rt, uint32_t slot) {
  const Control& c = rt.control();
  PortRec& p = c.port(slot);
  if (p.reg_mask.load(std::memory_order_relaxed) != 0 ||
      p.state.load(std::memory_order_relaxed) != State::live)
    return;
  if (p.kind == Kind::pipe && c.port(p.peer).reg_mask.load(std::memory_order_relaxed) != 0) return;
  if ((p.persistent != 0 && p.hidden == 0) || port_has_pipes(c, slot)) {
    memory_down(rt, slot, true);
  } else {
    port_destroy(rt, slot);
  }
}

bool port_destroy(Runtime& rt, uint32_t slot) {
  const Control& c = rt.control();
  PortRec& p = c.port(slot);
  if (p.kind == Kind::pipe) return pipe_destroy(rt, slot);
  if (p.kind == Kind::monitor) monitor_leave(rt, slot);
  p.state.store(State::dying, std::memory_order_release);
  // Keep the switch until this port's counters have reached it: detach may free it otherwise.
  const int32_t s = p.switch_slot.load(std::memory_order_relaxed);
  SwitchRec* sw = s >= 0 ? &c.sw(static_cast<uint32_t>(s)) : nullptr;
  const bool last = sw != nullptr && sw->active.load(std::memory_order_relaxed) == 1;
  if (sw != nullptr) port_detach(rt, slot);
  if (!memory_down(rt, slot)) return false;
  if (!last) retire(rt, slot);
  for (uint32_t i = 0; i < p.tx_count; i++) c.tx(p.tx_base + i).state = State::free;
  for (uint32_t i = 0; i < p.rx_count; i++) c.rx(p.rx_base + i).state = State::free;
  p.last_switch_gen = 0;
  p.state.store(State::free, std::memory_order_release);
  return true;
}

}  // namespace vale
