// SPDX-License-Identifier: BSD-2-Clause
#include "switch/direct.h"

#include <algorithm>

#include "shm/machine_clock.h"
#include "shm/owner_lock.h"
#include "switch/account.h"
#include "switch/forward.h"
#include "switch/recover.h"
#include "switch/rx_slots.h"
#include "switch/sender.h"

namespace vale {

bool DirectSender::begin() {
  TxRing& t = *s_.tx;
  s_.identity = s_.rt->process.word(0);
  const Locked locked = lock_or_skip(*s_.rt, t.lock, s_.me(), &s_.busy);
  if (!is_locked(locked)) return false;
  if (locked == Locked::taken) [[unlikely]]
    recover_tx(*s_.rt, s_.tx_index);
  s_.now = machine_seconds();
  refused_ = false;
  const uint32_t from = word_position(t.take_word.load(std::memory_order_relaxed));
  const bool waits = __atomic_load_n(&s_.own_ring->head, __ATOMIC_ACQUIRE) != from;
  if (!is_watched(t) && !waits && on_switch(s_)) return true;
  unlock(t.lock);
  return false;
}

bool DirectSender::open_to(const RxRing& r) const {
  return r.monitors.load(std::memory_order_relaxed) == 0 &&
         r.zcopy.load(std::memory_order_acquire) == 0;
}

DirectSender::Where DirectSender::way(const char* addresses, Way* way) {
  const uint16_t dest = s_.resolve(load_mac(addresses), load_mac(addresses + 6), true);
  if (dest == kFlood) return Where::everywhere;
  if (dest == s_.self) return Where::nowhere;
  const uint64_t member = s_.sw->member[dest].load(std::memory_order_relaxed);
  if (dest == way->dest && member == way->member && member != 0) [[likely]]
    return Where::port;
  *way = {dest, 0, 0};
  if (member == 0) return Where::nowhere;
  if (member_kind(member) != header_code(s_.header)) return Where::port;
  const uint32_t rx_index = member_rx_base(member) + s_.ring_number % member_rx_count(member);
  if (!open_to(s_.rt->control().rx(rx_index))) return Where::port;
  way->member = member;
  way->rx_index = rx_index;
  return Where::port;
}

bool DirectSender::empty(const Way& way, const RingView& view) const {
  const RxRing& r = s_.rt->control().rx(way.rx_index);
  return view.head() == word_position(r.tail.load(std::memory_order_acquire));
}

// True with the ring's lock held, and the way still what it was.
bool DirectSender::lock(const Way& way) {
  RxRing& r = s_.rt->control().rx(way.rx_index);
  const Locked locked = lock_bounded(*s_.rt, r.lock, s_.me(), &s_.stalled[way.rx_index]);
  if (!is_locked(locked)) return false;
  if (locked == Locked::taken) [[unlikely]]
    recover_rx(*s_.rt, way.rx_index);
  if (s_.is_at(r, way.dest, way.member) && open_to(r)) [[likely]]
    return true;
  unlock(r.lock);
  return false;
}

// They never were in the tx ring, whose position stays.
void DirectSender::take(uint32_t frames, uint64_t bytes) {
  TxRing& t = *s_.tx;
  vale::take(t, word_position(t.take_word.load(std::memory_order_relaxed)), [&](TakeStat& s) {
    s.frames += frames;
    s.bytes += bytes;
    s.copies += frames;
  });
}

bool DirectSender::commit(const Way& way, const RingView& view, uint32_t frames, uint64_t bytes) {
  TxRing& t = *s_.tx;
  RxRing& r = s_.rt->control().rx(way.rx_index);
  if (!lock(way)) return false;
  const bool good = empty(way, view);
  if (good) {
    take(frames, bytes);
    s_.intend(r, way.rx_index, frames);
    r.intent_frames.store(frames, std::memory_order_release);
    // What has arrived is read already: the tail stays where it is.
    vale::commit(r, word_position(r.tail_copy.load(std::memory_order_relaxed)), [&](RxStat& s) {
      s.frames += frames;
      s.bytes += bytes;
    });
    settle(t, [&](SettleStat& s) { s.delivered += frames; });
  }
  unlock(r.lock);
  return good;
}

bool DirectSender::reserve(const Way& way, uint32_t count, uint64_t bytes, uint32_t longest,
                           SlotTarget* to, uint32_t* room) {
  RxRing& r = s_.rt->control().rx(way.rx_index);
  if (!lock(way)) return false;
  reserved_ = s_.rt->mapper->region(r.region, r.region_gen);
  if (reserved_ == nullptr || longest > r.buf_size || OffsetRule::of(r).any()) [[unlikely]] {
    unlock(r.lock);
    return false;
  }
  const uint32_t tail = word_position(r.tail_copy.load(std::memory_order_relaxed));
  prefetch_slots(slots_of(r, reserved_), r.num_slots, tail, count);
  take(count, bytes);
  s_.intend(r, way.rx_index, count);
  if (known_space(r, tail) < count) r.hwcur_seen = r.hwcur.load(std::memory_order_acquire);
  *room = std::min(count, known_space(r, tail));
  read_targets(r, reserved_, tail, *room, to);
  return true;
}

void DirectSender::deliver(const Way& way, const SlotTarget* filled, uint32_t room,
                           uint32_t count) {
  const Control& c = s_.rt->control();
  RxRing& r = c.rx(way.rx_index);
  const uint32_t from = word_position(r.tail_copy.load(std::memory_order_relaxed));
  const uint32_t tail = write_targets(r, reserved_, c.more(way.rx_index), from, room, filled);
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < room; i++) bytes += filled[i].length;
  r.intent_frames.store(room, std::memory_order_release);
  vale::commit(r, tail, [&](RxStat& s) {
    s.frames += room;
    s.bytes += bytes;
    s.ring_full += count - room;
  });
  settle(*s_.tx, [&](SettleStat& s) {
    s.delivered += room;
    s.dest_dropped += count - room;
  });
  unlock(r.lock);
  if (room != 0) s_.touch(way.rx_index);
  refused_ = refused_ || room != count;
}

void DirectSender::end() {
  if (s_.touched_count == 0) {
    unlock(s_.tx->lock);
  } else {
    // An exchange is a full fence, which wake() needs between the tails and the sleepers' bits.
    s_.tx->lock.exchange(0, std::memory_order_seq_cst);
    s_.wake();
  }
  // Who could make room may be waiting for this processor.
  if (refused_) [[unlikely]]
    sched_yield();
}

}  // namespace vale
