// SPDX-License-Identifier: BSD-2-Clause
#include "switch/forward.h"

#include "shm/owner_lock.h"
#include "switch/account.h"
#include "switch/recover.h"
#include "switch/ring_check.h"

namespace vale {
namespace {

constexpr uint16_t kNone = 0xffff;

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
        s.deliver(member, 0, order, count);
      }
    }
  }
}

void deliver_mixed(Sender& s) {
  const Batch& b = s.batch;
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
      s.deliver(member, 0, order, lists.merge(lists.head[d], floods, order));
    } else {
      // Floods always enter ring 0.
      if (const uint32_t n = lists.merge(lists.head[d], kNone, order)) s.deliver(member, s.ring_number, order, n);
      if (const uint32_t n = lists.merge(kNone, floods, order)) s.deliver(member, 0, order, n);
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
    s.deliver(member, s.ring_number, nullptr, b.count);
  }
}

// Attached to nothing, or alone on the switch: every frame is a drop at the source. Alone, sources are
// learned all the same, so that who comes next need not flood.
void discard(Sender& s, uint32_t slot, uint32_t head, bool want_learn) {
  uint64_t frames = 0, bytes = 0;
  bool first = true;
  while (slot != head) {
    const uint64_t w = __atomic_load_n(reinterpret_cast<const uint64_t*>(&s.slots[slot]), __ATOMIC_RELAXED);
    const uint32_t index = static_cast<uint32_t>(w), length = w >> 32 & 0xffff, flags = w >> 48;
    bytes += length;
    if (want_learn && first && (flags & (NS_INDIRECT | NS_NO_LEARN)) == 0 && length >= s.header + 14 &&
        length <= s.buf_size && index >= 2 && index < s.buf_bound) {
      const Mac48 source = load_mac(s.bufs + static_cast<size_t>(index) * s.buf_size + s.header + 6);
      if (!is_group(source)) s.learn(source);
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
bool find_switch(Sender& s) {
  const int32_t slot = s.port->switch_slot.load(std::memory_order_acquire);
  if (slot < 0) return false;
  SwitchRec& sw = s.rt->control().sw(static_cast<uint32_t>(slot));
  if (s.cached_gen != sw.gen.load(std::memory_order_relaxed) || s.cached_sw != &sw) {
    const uint32_t gen = sw.gen.load(std::memory_order_relaxed);
    char* base = s.rt->mapper->fdb(static_cast<uint32_t>(slot), gen);
    if (base == nullptr) return false;
    s.fdb = Fdb(base);
    s.cached_sw = &sw;
    s.cached_gen = gen;
    s.source_ref = s.dest_ref = FdbRef{};
    s.sw = &sw;
  }
  s.self = s.port->port_index.load(std::memory_order_relaxed);
  s.self_gen = member_gen(sw.member[s.self].load(std::memory_order_relaxed));
  s.header = s.port->header_length.load(std::memory_order_relaxed);
  return s.self_gen != 0;
}

bool alone(const Sender& s) { return s.sw->active.load(std::memory_order_relaxed) == 1; }

}  // namespace

void forward(Sender& s, netmap_ring* ring, char* base) {
  TxRing& t = *s.tx;
  const Locked locked = lock_or_skip(*s.rt, t.lock, s.me(), &s.busy);
  if (!is_locked(locked)) return;
  if (locked == Locked::taken) recover_tx(*s.rt, s.tx_index);

  const uint32_t n = t.num_slots;
  const uint32_t from = word_position(t.take_word.load(std::memory_order_relaxed));
  const uint32_t free_end = from == 0 ? n - 1 : from - 1;
  s.slots = ring->slot;
  s.num_slots = n;
  s.buf_size = t.buf_size;
  s.buf_bound = t.buf_bound.load(std::memory_order_relaxed);
  s.bufs = base + t.buf_ofs;
  uint32_t head;
  if (!tx_head(ring, n, from, free_end, &head)) {
    reset_ring(ring, n, from, free_end, s.buf_bound, s.buf_size);
    unlock(t.lock);
    return;
  }
  if (head != from) {
    s.now = now_seconds();
    uint32_t slot = from;
    const bool attached = find_switch(s);
    if (!attached || alone(s)) {
      discard(s, from, head, attached);
      slot = head;
    }
    while (slot != head) {
      s.classify(slot, head);
      slot = s.batch.next_slot;
      deliver_batch(s);
    }
  }
  const uint32_t tail = head == 0 ? n - 1 : head - 1;
  __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
  unlock(t.lock);
  if (s.touched_count != 0) s.wake();
}

}  // namespace vale
