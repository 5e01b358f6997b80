// SPDX-License-Identifier: BSD-2-Clause
#include "switch/forward.h"

#include <sched.h>

#include "shm/machine_clock.h"
#include "shm/owner_lock.h"
#include "switch/account.h"
#include "switch/recover.h"
#include "switch/ring_check.h"
#include "switch/swap.h"

namespace vale {
namespace {

constexpr uint16_t kNone = 0xffff;
constexpr uint32_t kShortRun = 8, kShortRuns = 2;

// Mixed destinations: frames linked per destination in order of appearance, floods in a list of their
// own that every member merges.
struct Lists {
  uint16_t head[257], tail[257], next[kMaxFrames];
  uint16_t order[257];  // destinations by first appearance
  uint32_t destinations = 0;

  explicit Lists(const Batch& b) {
    uint64_t seen[5] = {};
    for (uint32_t i = 0; i < b.count; i++) {
      const uint16_t d = b.frame[i].dest;
      if (d == kDropped) continue;
      next[i] = kNone;
      if (seen[d / 64] >> (d % 64) & 1) {
        next[tail[d]] = static_cast<uint16_t>(i);
      } else {
        seen[d / 64] |= uint64_t{1} << (d % 64);
        head[d] = static_cast<uint16_t>(i);
        if (d != kFlood) order[destinations++] = d;
      }
      tail[d] = static_cast<uint16_t>(i);
    }
    if (!(seen[4] & 1)) head[kFlood] = kNone;
    if (head[kFlood] == kNone) return;
    for (uint32_t w = 0; w < 4; w++) {
      for (uint64_t bits = b.flood[w]; bits != 0; bits &= bits - 1) {
        const uint32_t d = w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
        if (seen[w] >> (d % 64) & 1) continue;
        head[d] = kNone;
        order[destinations++] = static_cast<uint16_t>(d);
      }
    }
  }

  // The frames for one destination, in order.
  uint32_t merge(uint16_t mine, uint16_t flood, uint16_t* out) const {
    uint32_t n = 0;
    while (mine != kNone || flood != kNone) {
      uint16_t& first = mine < flood ? mine : flood;  // kNone is the largest
      out[n++] = first;
      first = next[first];
    }
    return n;
  }
};

void deliver_flood(Sender& s, const uint16_t* order, uint32_t count) {
  for (uint32_t w = 0; w < 4; w++) {
    for (uint64_t bits = s.batch.flood[w]; bits != 0; bits &= bits - 1) {
      const uint32_t d = w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
      const uint64_t member = s.sw->member[d].load(std::memory_order_relaxed);
      if (member == 0) {
        settle(*s.tx, [&](SettleStat& x) { x.not_open += count; });
      } else {
        s.deliver(d, member, 0, order, count);
      }
    }
  }
}

void deliver_mixed(Sender& s) {
  const Batch& b = s.batch;
  if (b.simple && !b.floods && s.scatter()) return;
  const Lists lists(b);
  uint16_t order[kMaxFrames];
  for (uint32_t i = 0; i < lists.destinations; i++) {
    const uint16_t d = lists.order[i];
    const bool member_of_flood = b.flood[d / 64] >> (d % 64) & 1;
    const uint16_t floods = member_of_flood ? lists.head[kFlood] : kNone;
    const uint64_t member = s.sw->member[d].load(std::memory_order_relaxed);
    if (member == 0) {  // left since classification
      const uint32_t count = lists.merge(lists.head[d], floods, order);
      settle(*s.tx, [&](SettleStat& x) { x.not_open += count; });
    } else if (s.ring_number % member_rx_count(member) == 0) {
      s.deliver(d, member, 0, order, lists.merge(lists.head[d], floods, order));
    } else {
      // Floods always enter ring 0.
      if (const uint32_t n = lists.merge(lists.head[d], kNone, order))
        s.deliver(d, member, s.ring_number, order, n);
      if (const uint32_t n = lists.merge(kNone, floods, order)) s.deliver(d, member, 0, order, n);
    }
  }
}

void deliver_batch(Sender& s) {
  const Batch& b = s.batch;
  if (!b.uniform) {
    deliver_mixed(s);
    return;
  }
  const uint16_t d = b.frame[0].dest;
  if (d == kDropped) return;
  if (d == kFlood) {
    deliver_flood(s, nullptr, b.count);
    return;
  }
  const uint64_t member = s.sw->member[d].load(std::memory_order_relaxed);
  if (member == 0) {
    settle(*s.tx, [&](SettleStat& x) { x.not_open += b.count; });
  } else {
    s.deliver(d, member, s.ring_number, nullptr, b.count);
  }
}

// One run: its take and its deliveries. Returns its length, 0 when classify() has to look.
uint32_t send_run(Sender& s, uint32_t slot, uint32_t head) {
  uint16_t dest;
  uint64_t bytes;
  const uint32_t count = s.scan_run(slot, head, &dest, &bytes);
  if (count == 0) return 0;
  uint32_t end = slot + count;
  if (end == s.num_slots) end = 0;
  uint64_t members[4], member = 0;
  uint64_t targets = 0, no_destination = 0, same_port = 0;
  if (dest == kFlood) {
    for (uint32_t i = 0; i < 4; i++) {
      members[i] = s.sw->flood[i].load(std::memory_order_relaxed);
      if (s.self / 64 == i) members[i] &= ~(uint64_t{1} << (s.self % 64));
      targets += static_cast<uint64_t>(__builtin_popcountll(members[i]));
    }
    no_destination = targets == 0 ? count : 0;
  } else if (dest == s.self) {
    same_port = count;
  } else {
    member = s.sw->member[dest].load(std::memory_order_relaxed);
    targets = member != 0;
    no_destination = member != 0 ? 0 : count;
  }
  take(*s.tx, end, [&](TakeStat& t) {
    t.frames += count;
    t.bytes += bytes;
    t.copies += targets == 0 ? count : count * targets;
    t.no_destination += no_destination;
    t.same_port += same_port;
  });
  if (targets == 0) return count;
  s.more_slots = head >= end ? head - end : head + s.num_slots - end;
  if (dest != kFlood) {
    s.deliver_run(dest, member, s.ring_number, count);
    return count;
  }
  for (uint32_t w = 0; w < 4; w++) {
    for (uint64_t bits = members[w]; bits != 0; bits &= bits - 1) {
      const uint32_t d = w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
      const uint64_t m = s.sw->member[d].load(std::memory_order_relaxed);
      if (m == 0) {
        settle(*s.tx, [&](SettleStat& x) { x.not_open += count; });
      } else {
        s.deliver_run(d, m, 0, count);
      }
    }
  }
  return count;
}

// Attached to nothing, or alone on the switch: every frame is a drop at the source. Alone, sources are
// learned all the same, so that who comes next need not flood.
void discard(Sender& s, uint32_t slot, uint32_t head, bool want_learn) {
  uint64_t frames = 0, bytes = 0;
  bool first = true;
  Mac48 known = ~Mac48{0};  // learned in this sync
  while (slot != head) {
    const uint64_t w =
        __atomic_load_n(reinterpret_cast<const uint64_t*>(&s.slots[slot]), __ATOMIC_RELAXED);
    const uint32_t index = static_cast<uint32_t>(w), length = w >> 32 & 0xffff;
    const uint32_t flags = static_cast<uint32_t>(w >> 48);
    s.seen |= w;
    bytes += length;
    const uint32_t offset = s.offsets.any() ? s.offset_in(slot) : 0;
    if (want_learn && first && (flags & (NS_INDIRECT | NS_NO_LEARN)) == 0 &&
        length >= s.header + 14 && length <= s.buf_size - offset && index >= 2 &&
        index < s.buf_bound) {
      uint64_t source;  // and the two bytes after it
      std::memcpy(&source, s.bufs + static_cast<size_t>(index) * s.buf_size + offset + s.header + 6,
                  8);
      source &= kMacMask;
      if (source != known) {
        known = source;
        if (!is_group(source)) s.learn(source);
      }
    }
    if (++slot == s.num_slots) slot = 0;
    first = (flags & NS_MOREFRAG) == 0 || slot == head;
    frames += first;
  }
  take(*s.tx, head, [&](TakeStat& t) {
    t.frames += frames;
    t.bytes += bytes;
    t.copies += frames;
    t.no_destination += frames;
  });
}

// Finds the switch the port is attached to now; false when there is none.
[[gnu::noinline]] bool look_for_switch(Sender& s, int32_t slot) {
  s.cached_slot = -1;
  if (slot < 0) return false;
  SwitchRec& sw = s.rt->control().sw(static_cast<uint32_t>(slot));
  const uint32_t gen = sw.gen.load(std::memory_order_relaxed);
  if (s.sw != &sw || s.cached_gen != gen) {
    char* base = s.rt->mapper->fdb(static_cast<uint32_t>(slot), gen);
    if (base == nullptr) return false;
    s.fdb = Fdb(base);
    s.cached_gen = gen;
    s.source_ref = s.dest_ref = FdbRef{};
    s.sw = &sw;
  }
  s.self = s.port->port_index.load(std::memory_order_relaxed);
  s.cached_member = sw.member[s.self].load(std::memory_order_relaxed);
  s.self_gen = member_gen(s.cached_member);
  s.header = s.port->header_length.load(std::memory_order_relaxed);
  if (s.self_gen == 0) return false;
  s.cached_slot = slot;
  return true;
}

// The same when it is where it was in the last sync. Its member word changes with whatever is cached.
bool find_switch(Sender& s) {
  const int32_t slot = s.port->switch_slot.load(std::memory_order_acquire);
  if (slot >= 0 && slot == s.cached_slot &&
      s.sw->gen.load(std::memory_order_relaxed) == s.cached_gen &&
      s.sw->member[s.self].load(std::memory_order_relaxed) == s.cached_member) [[likely]]
    return true;
  return look_for_switch(s, slot);
}

// The flag says that the application replaced a buffer, which was noticed by now.
void clear_changed(Sender& s, uint32_t slot, uint32_t head) {
  while (slot != head) {
    uint16_t& flags = s.slots[slot].flags;
    if (flags & NS_BUF_CHANGED) flags = static_cast<uint16_t>(flags & ~NS_BUF_CHANGED);
    if (++slot == s.num_slots) slot = 0;
  }
}

bool alone(const Sender& s) { return s.sw->active.load(std::memory_order_relaxed) == 1; }

// Whatever is in the slots from `from` to `head`.
[[gnu::noinline]] void send_all(Sender& s, uint32_t from, uint32_t head, bool attached) {
  TxRing& t = *s.tx;
  const uint32_t n = s.num_slots;
  if (t.monitors.load(std::memory_order_relaxed) != 0) [[unlikely]]
    watch_sent(*s.rt, s.watched, t,
               {s.slots, n, from, head, s.bufs, s.buf_size, s.buf_bound, s.offsets});
  s.seen = 0;
  uint32_t slot = from;
  if (!attached || alone(s)) {
    discard(s, from, head, attached);
    slot = head;
  }
  // Runs until two of them were short; then whatever comes is sorted by destination, and so is the next
  // sync's, until a batch could have been runs.
  while (slot != head) {
    const bool runs = s.short_runs < kShortRuns && !s.offsets.any();
    const uint32_t count = runs ? send_run(s, slot, head) : 0;
    if (count == 0) {
      s.classify(slot, head);
      slot = s.batch.next_slot;
      s.more_slots = 0;
      deliver_batch(s);
      const Batch& b = s.batch;
      if (b.steady * 2 > b.count || (b.uniform && b.frame[0].dest < kFlood)) s.short_runs = 0;
      continue;
    }
    slot += count;
    if (slot == n) slot = 0;
    if (count < kShortRun && slot != head && slot != 0) s.short_runs++;
  }
  if (s.seen & uint64_t{NS_BUF_CHANGED} << 48) clear_changed(s, from, head);
  if (const uint32_t z = t.zcopy.load(std::memory_order_acquire)) [[unlikely]]
    watch_released(*s.rt, s.watched, z, t.port, {s.own_base, t.ring_ofs, n, from, head, true});
}

}  // namespace

bool on_switch(Sender& s) { return find_switch(s); }

void forward(Sender& s) {
  TxRing& t = *s.tx;
  netmap_ring* const ring = s.own_ring;
  s.identity = s.rt->process.word(0);
  const Locked locked = lock_or_skip(*s.rt, t.lock, s.me(), &s.busy);
  if (!is_locked(locked)) return;
  if (locked == Locked::taken) [[unlikely]]
    recover_tx(*s.rt, s.tx_index);

  const uint32_t n = s.num_slots;
  const uint32_t from = word_position(t.take_word.load(std::memory_order_relaxed));
  const uint32_t free_end = from == 0 ? n - 1 : from - 1;
  s.buf_bound = t.buf_bound.load(std::memory_order_relaxed);
  uint32_t head;
  if (!tx_head(ring, n, from, free_end, &head)) [[unlikely]] {
    reset_ring(ring, n, from, free_end, s.buf_bound, s.buf_size);
    s.put_back = true;
    unlock(t.lock);
    return;
  }
  s.no_room = false;
  if (head != from) {
    s.expect();
    s.now = machine_seconds();
    s.offsets = OffsetRule::of(t);
    const bool attached = find_switch(s);
    const bool one = head == (from + 1 == n ? 0 : from + 1);
    if (!one || !attached || s.offsets.any() || is_watched(t) || !s.send_one(from, head))
      send_all(s, from, head, attached);
  }
  const uint32_t tail = head == 0 ? n - 1 : head - 1;
  __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
  if (s.touched_count == 0) {
    unlock(t.lock);
    // Nobody got anything, for want of room: one who could make some may be waiting for this processor.
    if (s.no_room) [[unlikely]]
      sched_yield();
  } else {
    // An exchange is a full fence, which wake() needs between the tails and the sleepers' bits.
    t.lock.exchange(0, std::memory_order_seq_cst);
    s.wake();
  }
}

}  // namespace vale
