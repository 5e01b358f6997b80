// SPDX-License-Identifier: BSD-2-Clause
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "shm/owner_lock.h"
#include "switch/account.h"
#include "switch/monitor.h"
#include "switch/recover.h"
#include "switch/rx_slots.h"

namespace vale {
namespace {

// As one that reads another thread's slots must: each word once.
struct Slot {
  uint32_t index, length, flags;
  uint64_t ptr;
};
Slot load(const WatchedSlots& w, uint32_t i) {
  const auto* words = reinterpret_cast<const uint64_t*>(&w.slots[i]);
  const uint64_t low = __atomic_load_n(words, __ATOMIC_RELAXED);
  return {static_cast<uint32_t>(low), static_cast<uint32_t>(low >> 32 & 0xffff),
          static_cast<uint32_t>(low >> 48), __atomic_load_n(words + 1, __ATOMIC_RELAXED)};
}

uint32_t distance(uint32_t from, uint32_t to, uint32_t n) {
  return to >= from ? to - from : to + n - from;
}

// The slot's bytes into `to`, cut to `most`; how many there are.
uint32_t copy(const WatchedSlots& w, const Slot& s, char* to, uint32_t most) {
  uint32_t length = std::min(s.length, most);
  if (s.flags & NS_INDIRECT) {  // only ever in the sender's own process
    if (w.offsets.any()) return 0;
    iovec local{to, length}, remote{reinterpret_cast<void*>(s.ptr), length};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(length)
               ? length
               : 0;
  }
  const uint32_t offset = w.offsets.offset(s.ptr);
  if (s.index < 2 || s.index >= w.buf_bound || s.length > w.buf_size - offset) return 0;
  std::memcpy(to, w.bufs + static_cast<size_t>(s.index) * w.buf_size + offset, length);
  return length;
}

// Into one monitor's ring, whose lock is held.
void fill(Runtime& rt, uint32_t rx_index, char* base, const WatchedSlots& w, bool sent) {
  const Control& c = rt.control();
  RxRing& r = c.rx(rx_index);
  MoreBits& more = c.more(rx_index);
  const uint32_t n = r.num_slots;
  const uint32_t tail = word_position(r.tail_copy.load(std::memory_order_relaxed));
  const uint32_t used = distance(r.hwcur.load(std::memory_order_acquire), tail, n);
  const uint32_t space = n - 1 - used;
  uint64_t lost = 0;
  uint32_t at = w.from;
  // The newest stay; a frame goes whole or not at all.
  while (distance(at, w.to, w.count) > space) {
    Slot s;
    do {
      s = load(w, at);
      at = at + 1 == w.count ? 0 : at + 1;
    } while ((s.flags & NS_MOREFRAG) && at != w.to);
    lost++;
  }
  auto* ring = reinterpret_cast<netmap_ring*>(base + r.ring_ofs);
  const OffsetRule rule = OffsetRule::of(r);
  uint64_t frames = 0, bytes = 0;
  uint32_t slot = tail;
  for (; at != w.to; at = at + 1 == w.count ? 0 : at + 1) {
    const Slot s = load(w, at);
    const Room room = room_in(r, rule, &ring->slot[slot]);
    char* to = base + r.buf_ofs + static_cast<size_t>(room.index) * r.buf_size + room.offset;
    const uint32_t length = copy(w, s, to, room.size);
    const bool goes_on = (s.flags & NS_MOREFRAG) && (at + 1 == w.count ? 0 : at + 1) != w.to;
    const uint32_t cleared = NS_BUF_CHANGED | NS_INDIRECT | NS_MOREFRAG | NS_TXMON;
    ring->slot[slot].len = static_cast<uint16_t>(length);
    ring->slot[slot].flags =
        static_cast<uint16_t>((s.flags & ~cleared) | (goes_on ? unsigned{NS_MOREFRAG} : 0) |
                              (sent ? unsigned{NS_TXMON} : 0));
    ring->slot[slot].ptr = room.ptr;
    if (goes_on) r.multi.store(1, std::memory_order_release);
    if (r.multi.load(std::memory_order_relaxed) != 0) set_more(more, slot, goes_on);
    frames += !goes_on;
    bytes += length;
    slot = slot + 1 == n ? 0 : slot + 1;
  }
  commit(r, slot, [&](RxStat& s) {
    s.frames += frames;
    s.bytes += bytes;
    s.ring_full += lost;
  });
}

uint64_t frames_of(const WatchedSlots& w) {
  uint64_t frames = 0;
  for (uint32_t at = w.from; at != w.to; at = at + 1 == w.count ? 0 : at + 1)
    frames += (load(w, at).flags & NS_MOREFRAG) == 0;
  return frames;
}

void feed(Runtime& rt, Watched& watched, uint32_t first, uint32_t parent, const WatchedSlots& w,
          bool sent) {
  const Control& c = rt.control();
  const uint64_t tag = monitor_tag(c.port(parent).gen);
  const uint32_t rings = c.rings_rx();
  if (w.from == w.to) return;
  uint32_t steps = 0;
  for (uint32_t next = first; next != 0 && next <= rings && steps < kMaxPorts; steps++) {
    const uint32_t i = next - 1;
    RxRing& r = c.rx(i);
    WatchRec& rec = c.watch(i);
    next = (sent ? rec.next_tx : rec.next_rx).load(std::memory_order_acquire);
    if (r.tag.load(std::memory_order_acquire) != tag) continue;
    const Locked l = lock_bounded(rt, r.lock, rt.process.word(0xfffd), &watched.stalled[i]);
    if (!is_locked(l)) {
      rec.missed.fetch_add(frames_of(w), std::memory_order_relaxed);
      continue;
    }
    if (l == Locked::taken) recover_rx(rt, i);
    const bool mine = r.tag.load(std::memory_order_relaxed) == tag &&
                      r.bound.load(std::memory_order_acquire) != 0;
    char* base = mine ? rt.mapper->region(r.region, r.region_gen) : nullptr;
    if (base != nullptr) {
      fill(rt, i, base, w, sent);
    } else if (mine) {
      rec.missed.fetch_add(frames_of(w), std::memory_order_relaxed);
    }
    unlock(r.lock);
    if (base != nullptr) monitor_wake(rt, watched, i);
  }
}

}  // namespace

void monitor_wake(Runtime& rt, Watched& w, uint32_t rx_index) {
  RxRing& r = rt.control().rx(rx_index);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const uint64_t bits = sleepers(r.wake);
  if (bits != 0 && slept_since(r.wake_epoch, &w.rung[rx_index])) rt.doorbells->ring(r.port, bits);
}

void watch_sent(Runtime& rt, Watched& watched, const TxRing& tx, const WatchedSlots& slots) {
  feed(rt, watched, tx.monitors.load(std::memory_order_acquire), tx.port, slots, true);
}

void watch_arriving(Runtime& rt, Watched& watched, const RxRing& rx, const WatchedSlots& slots) {
  feed(rt, watched, rx.monitors.load(std::memory_order_acquire), rx.port, slots, false);
}

}  // namespace vale
