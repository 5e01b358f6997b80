// SPDX-License-Identifier: BSD-2-Clause
#include "switch/direct.h"

#include "shm/owner_lock.h"
#include "switch/account.h"
#include "switch/forward.h"
#include "switch/recover.h"
#include "switch/sender.h"

namespace vale {

bool DirectSender::begin() {
  TxRing& t = *s_.tx;
  s_.identity = s_.rt->process.word(0);
  const Locked locked = lock_or_skip(*s_.rt, t.lock, s_.me(), &s_.busy);
  if (!is_locked(locked)) return false;
  if (locked == Locked::taken) [[unlikely]]
    recover_tx(*s_.rt, s_.tx_index);
  s_.now = now_seconds();
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

bool DirectSender::commit(const Way& way, const RingView& view, uint32_t frames, uint64_t bytes) {
  TxRing& t = *s_.tx;
  RxRing& r = s_.rt->control().rx(way.rx_index);
  const Locked locked = lock_bounded(*s_.rt, r.lock, s_.me(), &s_.stalled[way.rx_index]);
  if (!is_locked(locked)) return false;
  if (locked == Locked::taken) [[unlikely]]
    recover_rx(*s_.rt, way.rx_index);
  const bool good = s_.is_at(r, way.dest, way.member) && open_to(r) && empty(way, view);
  if (good) {
    take(t, word_position(t.take_word.load(std::memory_order_relaxed)), [&](TakeStat& s) {
      s.frames += frames;
      s.bytes += bytes;
      s.copies += frames;
    });
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

void DirectSender::end() { unlock(s_.tx->lock); }

}  // namespace vale
