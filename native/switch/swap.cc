// SPDX-License-Identifier: BSD-2-Clause
#include "switch/swap.h"

#include <algorithm>

#include "shm/owner_lock.h"
#include "switch/account.h"
#include "switch/recover.h"
#include "switch/rx_slots.h"

namespace vale {
namespace {

uint32_t distance(uint32_t from, uint32_t to, uint32_t n) {
  return to >= from ? to - from : to + n - from;
}

netmap_slot* slot_at(char* base, uint64_t ring_ofs, uint32_t i) {
  return reinterpret_cast<netmap_ring*>(base + ring_ofs)->slot + i;
}

uint32_t flags_of(const netmap_slot& s) { return __atomic_load_n(&s.flags, __ATOMIC_RELAXED); }
uint32_t index_of(const netmap_slot& s) { return __atomic_load_n(&s.buf_idx, __ATOMIC_RELAXED); }

// The two stores of a swap, as often as needed.
void put(netmap_slot* parent, netmap_slot* mine, uint32_t taken, uint32_t given, bool sent) {
  __atomic_store_n(&parent->buf_idx, given, __ATOMIC_RELAXED);
  parent->flags = static_cast<uint16_t>(parent->flags | NS_BUF_CHANGED);
  if (!sent) parent->len = 0;
  __atomic_store_n(&mine->buf_idx, taken, __ATOMIC_RELAXED);
}

constexpr uint64_t kSent = 1;  // in swap_from, whose offsets are multiples of 16

void swap(WatchRec& w, char* base, netmap_slot* parent, netmap_slot* mine, uint32_t taken,
          uint32_t given, bool sent) {
  const auto place = [&](const netmap_slot* s) {
    return static_cast<uint64_t>(reinterpret_cast<const char*>(s) - base);
  };
  w.swap_from.store(place(parent) | (sent ? kSent : 0), std::memory_order_relaxed);
  w.swap_to.store(place(mine), std::memory_order_relaxed);
  w.swap_buffers.store(taken | static_cast<uint64_t>(given) << 32, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  put(parent, mine, taken, given, sent);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  w.swap_buffers.store(0, std::memory_order_release);
}

// Into one monitor's ring, whose lock is held.
void exchange(Runtime& rt, uint32_t rx_index, const ReleasedSlots& r) {
  const Control& c = rt.control();
  RxRing& m = c.rx(rx_index);
  const uint32_t n = m.num_slots;
  const uint32_t tail = word_position(m.tail_copy.load(std::memory_order_relaxed));
  const uint32_t space = n - 1 - distance(m.hwcur.load(std::memory_order_acquire), tail, n);
  const uint32_t bound = m.buf_bound.load(std::memory_order_relaxed);
  const auto after = [&](uint32_t i) { return i + 1 == r.count ? 0 : i + 1; };
  uint64_t lost = 0, frames = 0, bytes = 0;
  uint32_t at = r.from;
  // The newest stay; a frame goes whole or not at all.
  while (distance(at, r.to, r.count) > space) {
    uint32_t flags;
    do {
      flags = flags_of(*slot_at(r.base, r.ring_ofs, at));
      at = after(at);
    } while ((flags & NS_MOREFRAG) && at != r.to);
    lost++;
  }
  uint32_t slot = tail;
  for (; at != r.to; at = after(at)) {
    netmap_slot* const parent = slot_at(r.base, r.ring_ofs, at);
    netmap_slot* const mine = slot_at(r.base, m.ring_ofs, slot);
    const uint32_t flags = flags_of(*parent), length = parent->len;
    const uint32_t taken = index_of(*parent), given = index_of(*mine);
    // What is no buffer, holds no frame or was shown already.
    if (taken - 2 >= bound - 2 || given - 2 >= bound - 2 || taken == given || length == 0 ||
        length > m.buf_size || (flags & NS_INDIRECT))
      continue;
    const bool goes_on = (flags & NS_MOREFRAG) && after(at) != r.to;
    const uint32_t kept = flags & ~(NS_BUF_CHANGED | NS_MOREFRAG);
    mine->len = static_cast<uint16_t>(length);
    mine->flags = static_cast<uint16_t>(kept | (goes_on ? unsigned{NS_MOREFRAG} : 0) |
                                        (r.sent ? unsigned{NS_TXMON} : 0));
    mine->ptr = parent->ptr;
    swap(c.watch(rx_index), r.base, parent, mine, taken, given, r.sent);
    if (goes_on) m.multi.store(1, std::memory_order_release);
    if (m.multi.load(std::memory_order_relaxed) != 0) set_more(c.more(rx_index), slot, goes_on);
    frames += !goes_on;
    bytes += length;
    slot = slot + 1 == n ? 0 : slot + 1;
  }
  if (slot == tail && lost == 0) return;
  commit(m, slot, [&](RxStat& s) {
    s.frames += frames;
    s.bytes += bytes;
    s.ring_full += lost;
  });
}

}  // namespace

void watch_released(Runtime& rt, Watched& watched, uint32_t first, uint32_t port,
                    const ReleasedSlots& slots) {
  const Control& c = rt.control();
  if (slots.from == slots.to || first > c.rings_rx()) return;
  const uint32_t i = first - 1;
  const PortRec& p = c.port(port);
  const uint64_t tag = monitor_tag(p.kind == Kind::monitor ? p.parent_gen : p.gen);
  RxRing& m = c.rx(i);
  if (m.tag.load(std::memory_order_acquire) != tag) return;
  const Locked l = lock_bounded(rt, m.lock, rt.process.word(0xfffd), &watched.stalled[i]);
  bool shown = false;
  if (is_locked(l)) {
    if (l == Locked::taken) recover_rx(rt, i);
    // A journal that nobody could follow yet comes first.
    const bool clean =
        c.watch(i).swap_buffers.load(std::memory_order_relaxed) == 0 || swap_redo(rt, i);
    const bool mine = m.tag.load(std::memory_order_relaxed) == tag && m.ring_ofs != 0 &&
                      m.region == p.region && m.region_gen == p.region_gen &&
                      m.bound.load(std::memory_order_acquire) != 0;
    shown = clean && mine;
    if (shown) exchange(rt, i, slots);
    unlock(m.lock);
  }
  if (shown) {
    monitor_wake(rt, watched, i);
  } else {
    c.watch(i).missed.fetch_add(1, std::memory_order_relaxed);
  }
}

bool swap_redo(Runtime& rt, uint32_t rx_index) {
  const Control& c = rt.control();
  const RxRing& m = c.rx(rx_index);
  WatchRec& w = c.watch(rx_index);
  const uint64_t buffers = w.swap_buffers.load(std::memory_order_acquire);
  if (buffers == 0) return true;
  char* base = rt.mapper->region(m.region, m.region_gen);
  if (base == nullptr) return false;
  const uint64_t from = w.swap_from.load(std::memory_order_relaxed);
  const uint64_t to = w.swap_to.load(std::memory_order_relaxed);
  put(reinterpret_cast<netmap_slot*>(base + (from & ~kSent)),
      reinterpret_cast<netmap_slot*>(base + to), static_cast<uint32_t>(buffers),
      static_cast<uint32_t>(buffers >> 32), (from & kSent) != 0);
  w.swap_buffers.store(0, std::memory_order_release);
  return true;
}

}  // namespace vale
