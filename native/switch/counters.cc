// SPDX-License-Identifier: BSD-2-Clause
#include "switch/counters.h"

#include <bit>
#include <cstring>

#include "switch/account.h"

namespace vale {

const char* const kDropNames[kDropReasons] = {
    "no_destination", "same_port",    "not_open",        "bad_slot",    "runt",
    "too_long",       "peer_stalled", "unmappable",      "sender_died", "link_down",
    "ring_full",      "too_big",      "header_mismatch", "bad_header"};

namespace {

uint64_t& drop(Totals& t, Drop d) { return t.drops[static_cast<unsigned>(d)]; }

uint64_t count_frames(const Control& c, const RxRing& r, uint32_t rx_index, uint32_t from,
                      uint32_t to) {
  const uint32_t slots = to >= from ? to - from : to + r.num_slots - from;
  if (r.multi.load(std::memory_order_relaxed) == 0) return slots;
  const MoreBits& m = c.more(rx_index);
  uint32_t more = 0;
  for (uint32_t i = 0, s = from; i < slots; i++) {
    more += static_cast<uint32_t>(m.word[s / 64].load(std::memory_order_relaxed) >> (s % 64)) & 1u;
    if (++s == r.num_slots) s = 0;
  }
  return slots - more;
}

void add(Totals& to, const Totals& from, bool subtract) {
  static_assert(sizeof(Totals) % sizeof(uint64_t) == 0);
  uint64_t* a = reinterpret_cast<uint64_t*>(&to);
  const uint64_t* b = reinterpret_cast<const uint64_t*>(&from);
  for (size_t i = 0; i < sizeof(Totals) / sizeof(uint64_t); i++) a[i] += subtract ? 0 - b[i] : b[i];
}

}  // namespace

uint64_t frames_in_ring(const Control& c, uint32_t rx_index) {
  const RxRing& r = c.rx(rx_index);
  return count_frames(c, r, rx_index, r.hwcur.load(std::memory_order_acquire),
                      word_position(r.tail.load(std::memory_order_acquire)));
}

namespace {

// A pipe's transfer is one store, of the receiving end: what it received is what was sent.
void add_piped(const Control& c, const PortRec& p, Totals& sum) {
  const PortRec& peer = c.port(p.peer);
  for (uint32_t i = 0; i < peer.rx_count; i++) {
    const RxRing& r = c.rx(peer.rx_base + i);
    const RxStat s = read_stat(r.stat, r.tail, nullptr);
    sum.tx_frames += s.frames;
    sum.tx_bytes += s.bytes;
    sum.tx_copies += s.frames;
    sum.tx_delivered += s.frames;
  }
}

void add_sent(const Control& c, const PortRec& p, Totals& sum) {
  if (p.kind == Kind::pipe) return add_piped(c, p, sum);
  for (uint32_t i = 0; i < p.tx_count; i++) {
    const TxRing& t = c.tx(p.tx_base + i);
    // Settled first: a copy seen settled is then also seen taken.
    const SettleStat s = read_stat(t.settle, t.settle_word, nullptr);
    const TakeStat k = read_stat(t.take, t.take_word, nullptr);
    sum.tx_frames += k.frames;
    sum.tx_bytes += k.bytes;
    sum.tx_copies += k.copies + s.split;
    sum.tx_delivered += s.delivered;
    drop(sum, Drop::no_destination) += k.no_destination;
    drop(sum, Drop::same_port) += k.same_port;
    drop(sum, Drop::bad_slot) += k.bad_slot;
    drop(sum, Drop::runt) += k.runt;
    drop(sum, Drop::too_long) += k.too_long;
    drop(sum, Drop::not_open) += s.not_open;
    drop(sum, Drop::peer_stalled) += s.peer_stalled;
    drop(sum, Drop::unmappable) += s.unmappable;
    drop(sum, Drop::sender_died) += s.sender_died;
  }
}

void add_received(const Control& c, const PortRec& p, Totals& sum) {
  for (uint32_t i = 0; i < p.rx_count; i++) {
    const RxRing& r = c.rx(p.rx_base + i);
    uint32_t hwcur, tail;
    RxStat s;
    int tries = 0;
    do {  // the receiver may release slots meanwhile
      hwcur = r.hwcur.load(std::memory_order_acquire);
      s = read_stat(r.stat, r.tail, &tail);
    } while (hwcur != r.hwcur.load(std::memory_order_acquire) && ++tries < 16);
    const uint64_t waiting = count_frames(c, r, p.rx_base + i, hwcur, tail);
    sum.rx_frames += s.frames;
    sum.rx_bytes += s.bytes;
    sum.rx_gone += s.gone;
    sum.rx_read += s.frames >= s.gone + waiting ? s.frames - s.gone - waiting : 0;
    drop(sum, Drop::ring_full) += s.ring_full;
    if (p.kind == Kind::monitor)
      drop(sum, Drop::peer_stalled) +=
          c.watch(p.rx_base + i).missed.load(std::memory_order_relaxed);
    drop(sum, Drop::too_big) += s.too_big;
    drop(sum, Drop::header_mismatch) += s.header_mismatch;
    drop(sum, Drop::bad_header) += s.bad_header;
  }
}

}  // namespace

// Received first, here and below: a copy seen at its destination is then also seen taken.
Totals port_totals(const Control& c, const PortRec& p) {
  Totals sum{};
  add_received(c, p, sum);
  add_sent(c, p, sum);
  return sum;
}

Totals switch_totals(const Control& c, uint32_t switch_slot) {
  const SwitchRec& sw = c.sw(switch_slot);
  Totals sum = sw.retired;
  const uint32_t count = c.ports();
  const uint32_t gen = sw.gen.load(std::memory_order_relaxed);
  auto each_port = [&](auto&& body) {
    for (uint32_t i = 0; i < count; i++) {
      const PortRec& p = c.port(i);
      if (p.state.load(std::memory_order_acquire) != State::free && p.last_switch == switch_slot &&
          p.last_switch_gen == gen)
        body(p);
    }
  };
  each_port([&](const PortRec& p) { add_received(c, p, sum); });
  each_port([&](const PortRec& p) {
    add_sent(c, p, sum);
    add(sum, p.base, true);
  });
  return sum;
}

PortCounters to_counters(const Totals& t) {
  PortCounters out;
  out.tx_frames = t.tx_frames;
  out.tx_bytes = t.tx_bytes;
  out.tx_copies = t.tx_copies;
  out.tx_delivered = t.tx_delivered;
  out.rx_frames = t.rx_frames;
  out.rx_bytes = t.rx_bytes;
  out.rx_read = t.rx_read;
  out.rx_gone = t.rx_gone;
  std::memcpy(out.drops, t.drops, sizeof out.drops);
  return out;
}

Totals to_totals(const PortCounters& c) {
  Totals out = {c.tx_frames, c.tx_bytes, c.tx_copies, c.tx_delivered, c.rx_frames, c.rx_bytes,
                c.rx_read,   c.rx_gone,  {}};
  std::memcpy(out.drops, c.drops, sizeof c.drops);
  return out;
}

void retire(Runtime& rt, uint32_t port_slot) {
  const Control& c = rt.control();
  PortRec& p = c.port(port_slot);
  SwitchRec& sw = c.sw(p.last_switch);
  const uint32_t gen = p.last_switch_gen;
  if (gen == 0 || sw.gen.load(std::memory_order_relaxed) != gen) return;
  Retire& j = c.header().retire;
  j.switch_slot = p.last_switch;
  j.switch_gen = gen;
  j.port = port_slot;
  j.port_gen = p.gen;
  j.base = port_totals(c, p);
  j.retired = sw.retired;
  add(j.retired, j.base, false);
  add(j.retired, p.base, true);
  __atomic_store_n(&j.active, 1u, __ATOMIC_RELEASE);
  redo_retire(rt);
}

void redo_retire(Runtime& rt) {
  const Control& c = rt.control();
  Retire& j = c.header().retire;
  if (__atomic_load_n(&j.active, __ATOMIC_ACQUIRE) == 0) return;
  if (j.switch_slot < kMaxSwitches && j.port < kMaxPorts) {
    SwitchRec& sw = c.sw(j.switch_slot);
    PortRec& p = c.port(j.port);
    if (sw.gen.load(std::memory_order_relaxed) == j.switch_gen) sw.retired = j.retired;
    if (p.gen == j.port_gen) {
      p.base = j.base;
      p.last_switch_gen = 0;
    }
  }
  __atomic_store_n(&j.active, 0u, __ATOMIC_RELEASE);
}

}  // namespace vale
