// SPDX-License-Identifier: BSD-2-Clause
#include "switch/pipe_sync.h"

#include "shm/owner_lock.h"
#include "switch/account.h"
#include "switch/copy.h"
#include "switch/recover.h"
#include "switch/ring_check.h"
#include "switch/rx_slots.h"
#include "switch/swap.h"

namespace vale {
namespace {

constexpr uint32_t kPrefetch =
    32;  // slots ahead of the copy; beyond a ring it asks for nothing used
// Slots behind one store of the tail: a second of them is copied while the receiver reads the first.
constexpr uint32_t kShown = 128;

struct Words {
  uint64_t low, ptr;  // buf_idx, len << 32, flags << 48
};
inline Words load_slot(const netmap_slot* slot) {
  const auto* w = reinterpret_cast<const uint64_t*>(slot);
  return {__atomic_load_n(w, __ATOMIC_RELAXED), __atomic_load_n(w + 1, __ATOMIC_RELAXED)};
}
inline void store_slot(netmap_slot* slot, Words v) {
#if defined(__x86_64__)
  _mm_store_si128(reinterpret_cast<__m128i*>(slot),
                  _mm_set_epi64x(static_cast<long long>(v.ptr), static_cast<long long>(v.low)));
#else
  auto* w = reinterpret_cast<uint64_t*>(slot);
  __atomic_store_n(w, v.low, __ATOMIC_RELAXED);
  __atomic_store_n(w + 1, v.ptr, __ATOMIC_RELAXED);
#endif
}

constexpr uint64_t kChanged = uint64_t{NS_BUF_CHANGED} << 48;
constexpr uint64_t kMore = uint64_t{NS_MOREFRAG} << 48;

struct Sent {
  uint64_t frames = 0, bytes = 0;
  uint32_t end = 0;  // the slot after the last whole frame
  bool fragments = false;
};

// What a look at many slots finds, with no branch that depends on one of them.
struct Looked {
  uint64_t flags = 0, bytes = 0;
  bool bad = false;  // a slot that names no buffer, or more than it holds
};

#if defined(__x86_64__) && !defined(VALE_TSAN)
// Four slots a turn, their words side by side: each is looked at while it is in a register.
Looked copy_and_look(const netmap_slot* source, netmap_slot* target, uint32_t count,
                     uint32_t buffers, uint32_t buf_size) {
  const __m128i first = _mm_set_epi32(0, 0, 0, 2);
  const __m128i length = _mm_set_epi32(0, 0, 0xffff, -1);
  const __m128i most = _mm_set_epi32(INT32_MAX, INT32_MAX, static_cast<int>(buf_size),
                                     static_cast<int>(buffers) - 1);
  __m128i seen = _mm_setzero_si128(), over = seen, sum = seen;
  const auto one = [&](uint32_t i) {
    const __m128i slot = _mm_load_si128(reinterpret_cast<const __m128i*>(source + i));
    _mm_store_si128(reinterpret_cast<__m128i*>(target + i), slot);
    const __m128i words = _mm_and_si128(slot, length);
    const __m128i nth = _mm_sub_epi32(words, first);
    seen = _mm_or_si128(seen, slot);
    // Signed: what is far too large is negative, and so is what comes before the first buffer.
    over = _mm_or_si128(over, _mm_or_si128(nth, _mm_cmpgt_epi32(nth, most)));
    sum = _mm_add_epi32(sum, words);
  };
  uint32_t i = 0;
  for (; i + 4 <= count; i += 4) {
    prefetch_for_write(target + i + kPrefetch);
    one(i);
    one(i + 1);
    one(i + 2);
    one(i + 3);
  }
  for (; i < count; i++) one(i);
  Looked out;
  out.flags = static_cast<uint64_t>(_mm_cvtsi128_si64(seen));
  out.bytes = static_cast<uint64_t>(_mm_cvtsi128_si64(sum)) >> 32;
  out.bad = (_mm_movemask_ps(_mm_castsi128_ps(over)) & 3) != 0;
  return out;
}
#else
Looked copy_and_look(const netmap_slot* source, netmap_slot* target, uint32_t count,
                     uint32_t buffers, uint32_t buf_size) {
  Looked out;
  uint32_t bad = 0;
  for (uint32_t i = 0; i < count; i++) {
    if ((i & 3) == 0) prefetch_for_write(target + i + kPrefetch);
    const Words v = load_slot(source + i);
    const uint32_t length = v.low >> 32 & 0xffff;
    out.flags |= v.low;
    bad |= (static_cast<uint32_t>(v.low) - 2 >= buffers) | (length > buf_size);
    out.bytes += length;
    store_slot(target + i, v);
  }
  out.bad = bad != 0;
  return out;
}
#endif

// `count` slots as they are, when all of them are whole frames that name a buffer; false when one is
// not, and nothing counts then.
bool copy_plain(const PipeRing& pipe, uint32_t from, uint32_t count, uint64_t* bytes) {
  netmap_slot* const source = pipe.from->slot + from;
  netmap_slot* const target = pipe.to->slot + from;
  const Looked looked =
      copy_and_look(source, target, count, pipe.tx->buf_bound.load(std::memory_order_relaxed) - 2,
                    pipe.tx->buf_size);
  if (looked.bad || (looked.flags & kMore) != 0) return false;
  if ((looked.flags & kChanged) != 0) {
    for (netmap_slot* ring : {source, target}) {
      for (uint32_t i = 0; i < count; i++)
        ring[i].flags = static_cast<uint16_t>(ring[i].flags & ~NS_BUF_CHANGED);
    }
  }
  *bytes = looked.bytes;
  return true;
}

// Slots [from, head) into the other ring. One the receiver could not use becomes empty.
Sent copy_any(PipeRing& pipe, uint32_t n, uint32_t from, uint32_t head) {
  const uint32_t bound = pipe.tx->buf_bound.load(std::memory_order_relaxed);
  const uint32_t buf_size = pipe.tx->buf_size;
  const OffsetRule rule = OffsetRule::of(*pipe.tx);
  netmap_slot* const source = pipe.from->slot;
  netmap_slot* const target = pipe.to->slot;
  Sent sent;
  sent.end = from;
  uint64_t bytes = 0;
  for (uint32_t i = from; i != head;) {
    Words v = load_slot(&source[i]);
    const uint32_t index = static_cast<uint32_t>(v.low), length = v.low >> 32 & 0xffff;
    const uint32_t offset = rule.offset(v.ptr);
    if (rule.any()) v.ptr = (v.ptr & ~rule.mask) | offset;
    if (index - 2 >= bound - 2 || length > buf_size - offset) [[unlikely]] {
      const bool bad = index - 2 >= bound - 2;
      v.low = (v.low & 0xffff'0000'0000'0000u) | (bad ? 0 : index);
    }
    if (v.low & kChanged) {
      source[i].flags = static_cast<uint16_t>(source[i].flags & ~NS_BUF_CHANGED);
      v.low &= ~kChanged;
    }
    store_slot(&target[i], v);
    bytes += v.low >> 32 & 0xffff;
    if (++i == n) i = 0;
    if (v.low & kMore) [[unlikely]] {
      sent.fragments = true;
      continue;
    }
    sent.frames++;
    sent.bytes = bytes;
    sent.end = i;
  }
  // A frame as long as the whole ring will never be whole: it passes as it is.
  if (sent.end == from && head != from && (head + 1 == n ? 0 : head + 1) == from) {
    sent.bytes = bytes;
    sent.end = head;
  }
  return sent;
}

void note_fragments(PipeRing& pipe, uint32_t n, uint32_t from, const Sent& sent) {
  RxRing& r = *pipe.rx;
  // Before the bits: they are all clear while multi is 0, also after a death in here.
  if (sent.fragments) r.multi.store(1, std::memory_order_release);
  for (uint32_t i = from; i != sent.end;) {
    set_more(*pipe.more, i, (pipe.to->slot[i].flags & NS_MOREFRAG) != 0);
    if (++i == n) i = 0;
  }
}

// The receiver may have slots [from, end) now.
void show(Runtime& rt, PipeRing& pipe, uint32_t n, uint32_t from, uint32_t end, uint64_t frames,
          uint64_t bytes) {
  TxRing& t = *pipe.tx;
  RxRing& r = *pipe.rx;
  const bool sent = t.monitors.load(std::memory_order_relaxed) != 0;
  const bool arriving = r.monitors.load(std::memory_order_relaxed) != 0;
  if (sent || arriving) [[unlikely]] {
    const WatchedSlots moved = {pipe.to->slot,
                                n,
                                from,
                                end,
                                pipe.bufs,
                                r.buf_size,
                                r.buf_bound.load(std::memory_order_relaxed),
                                OffsetRule::of(r)};
    if (sent) watch_sent(rt, *pipe.watched, t, moved);
    if (arriving) watch_arriving(rt, *pipe.watched, r, moved);
  }
  commit(r, end, [&](RxStat& s) {
    s.frames += frames;
    s.bytes += bytes;
  });
}

// What is plain from `from` on, some slots at a time, so that the receiver reads the first while the next
// are copied. Returns where it ended: at head, or before slots that need a closer look.
uint32_t send_plain(Runtime& rt, PipeRing& pipe, uint32_t n, uint32_t from, uint32_t head) {
  if (OffsetRule::of(*pipe.tx).any() || pipe.rx->multi.load(std::memory_order_relaxed) != 0)
    return from;
  while (from != head) {
    const uint32_t room = (head > from ? head : n) - from;
    const uint32_t count = room < kShown ? room : kShown;
    uint64_t bytes = 0;
    if (!copy_plain(pipe, from, count, &bytes)) return from;
    const uint32_t end = from + count == n ? 0 : from + count;
    show(rt, pipe, n, from, end, count, bytes);
    from = end;
  }
  return head;
}

// Slots of any kind, up to the last whole frame; returns where that ended.
uint32_t send_any(Runtime& rt, PipeRing& pipe, uint32_t n, uint32_t from, uint32_t head) {
  const Sent sent = copy_any(pipe, n, from, head);
  if (sent.fragments || pipe.rx->multi.load(std::memory_order_relaxed) != 0)
    note_fragments(pipe, n, from, sent);
  if (sent.end != from) show(rt, pipe, n, from, sent.end, sent.frames, sent.bytes);
  return sent.end;
}

// Buffers that the receiver swapped in slots [from, to) become the sender's.
void give_back(PipeRing& pipe, uint32_t from, uint32_t to, uint32_t bound) {
  netmap_slot* const mine = pipe.to->slot;
  uint32_t flags = 0;
  for (uint32_t i = from; i < to; i++) flags |= mine[i].flags;
  if ((flags & NS_BUF_CHANGED) == 0) [[likely]]
    return;
  for (uint32_t i = from; i < to; i++) {
    netmap_slot& slot = mine[i];
    if ((slot.flags & NS_BUF_CHANGED) == 0) continue;
    const uint32_t index = __atomic_load_n(&slot.buf_idx, __ATOMIC_RELAXED);
    if (index - 2 < bound - 2) {
      __atomic_store_n(&pipe.from->slot[i].buf_idx, index, __ATOMIC_RELAXED);
      pipe.from->slot[i].flags |= NS_BUF_CHANGED;
    }
    slot.flags = static_cast<uint16_t>(slot.flags & ~NS_BUF_CHANGED);
  }
}

template <class Ring>
void wake(Runtime& rt, Ring& ring, uint32_t* rung) {
  const uint64_t bits = sleepers(ring.wake);
  if (bits != 0 && slept_since(ring.wake_epoch, rung)) rt.doorbells->ring(ring.port, bits);
}

}  // namespace

void pipe_send(Runtime& rt, PipeRing& pipe, uint64_t me) {
  TxRing& t = *pipe.tx;
  RxRing& r = *pipe.rx;
  netmap_ring* const ring = pipe.from;
  const Locked locked = lock_or_skip(rt, t.lock, me, &pipe.busy);
  if (!is_locked(locked)) return;
  if (locked == Locked::taken) recover_tx(rt, pipe.tx_index);
  const uint32_t n = t.num_slots;
  const uint32_t from = word_position(r.tail_copy.load(std::memory_order_relaxed));
  // What the receiver released last time is enough for a check; it is looked at again only when the
  // sender is about to run out, since that line is written by the other core.
  uint32_t released = r.hwcur_seen;
  uint32_t limit = released == 0 ? n - 1 : released - 1;
  uint32_t head;
  const bool idle = __atomic_load_n(&ring->head, __ATOMIC_RELAXED) == from;
  if (idle || !in_range(ring->head, from, limit)) {
    released = r.hwcur.load(std::memory_order_acquire);
    limit = released == 0 ? n - 1 : released - 1;
  }
  if (!tx_head(ring, n, from, limit, &head)) {
    reset_ring(ring, n, from, limit, t.buf_bound.load(std::memory_order_relaxed), t.buf_size);
    pipe.put_back = true;
    unlock(t.lock);
    return;
  }
  uint32_t end = from;  // up to where frames went
  if (head != from) {
    end = send_plain(rt, pipe, n, from, head);
    if (end != head) end = send_any(rt, pipe, n, end, head);
    const uint32_t room = limit >= head ? limit - head : limit + n - head;
    if (room < n / 2) {
      released = r.hwcur.load(std::memory_order_acquire);
      limit = released == 0 ? n - 1 : released - 1;
    }
  }
  const uint32_t z = t.zcopy.load(std::memory_order_acquire);
  if (z != 0) [[unlikely]] {
    released = r.hwcur.load(std::memory_order_acquire);
    limit = released == 0 ? n - 1 : released - 1;
  }
  const uint32_t seen = r.hwcur_seen;
  r.hwcur_seen = released;
  if (z != 0 && seen != released) [[unlikely]]
    watch_released(
        rt, *pipe.watched, z, t.port,
        {reinterpret_cast<char*>(ring) - t.ring_ofs, t.ring_ofs, n, seen, released, true});
  if (ring->tail != limit) __atomic_store_n(&ring->tail, limit, __ATOMIC_RELEASE);
  if (end == from) {
    unlock(t.lock);
    return;
  }
  t.lock.exchange(0, std::memory_order_seq_cst);
  wake(rt, r, &pipe.rung);
}

void pipe_receive(Runtime& rt, PipeRing& pipe, uint64_t me) {
  TxRing& t = *pipe.tx;
  RxRing& r = *pipe.rx;
  netmap_ring* const ring = pipe.to;
  const uint32_t n = r.num_slots;
  {  // Nothing new and nothing to release: no lock for that.
    const uint32_t tail = word_position(r.tail.load(std::memory_order_acquire));
    const uint32_t from = r.hwcur.load(std::memory_order_relaxed);
    if (tail == __atomic_load_n(&ring->tail, __ATOMIC_RELAXED) &&
        from == __atomic_load_n(&ring->head, __ATOMIC_RELAXED) &&
        in_range(__atomic_load_n(&ring->cur, __ATOMIC_RELAXED), from, tail))
      return;
  }
  if (!is_locked(lock_or_skip(rt, r.sync_lock, me, &pipe.busy))) return;
  const uint32_t tail = word_position(r.tail.load(std::memory_order_acquire));
  const uint32_t from = r.hwcur.load(std::memory_order_relaxed);
  const uint32_t bound = r.buf_bound.load(std::memory_order_relaxed);
  uint32_t head;
  if (!rx_head(ring, n, from, tail, &head)) {
    reset_ring(ring, n, from, tail, bound, r.buf_size);
    pipe.put_back = true;
    unlock(r.sync_lock);
    return;
  }
  if (const uint32_t z = r.zcopy.load(std::memory_order_acquire); z != 0 && head != from)
      [[unlikely]]
    watch_released(rt, *pipe.watched, z, r.port,
                   {reinterpret_cast<char*>(ring) - r.ring_ofs, r.ring_ofs, n, from, head, false});
  if (head >= from) {
    give_back(pipe, from, head, bound);
  } else {
    give_back(pipe, from, n, bound);
    give_back(pipe, 0, head, bound);
  }
  r.hwcur.store(head, std::memory_order_release);
  if (tail != ring->tail || (ring->flags & NR_TIMESTAMP)) {
    stamp(ring, pipe.clock);
  }
  __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
  if (head == from) {
    unlock(r.sync_lock);
    return;
  }
  r.sync_lock.exchange(0, std::memory_order_seq_cst);
  wake(rt, t, &pipe.rung);
}

}  // namespace vale
