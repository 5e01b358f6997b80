// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One frame in a sync, as whoever asks and answers sends: what forward.h describes, with everything
//   left out that only several frames need.
//   1. what was found for the frame before still holds for this one: its addresses, their entries.
//   2. take, lock, check; 3. intent, copy, descriptor, commit, settle; unlock.
//
// Owns. Nothing of its own.
// Invariants. Until the take nothing has changed, and the frame may be left to the general way; after it,
//   deliver_run() does what is left.
// Not here. Flags, fragments, offsets, floods, other buffer sizes, converted headers, monitors.
#include "shm/owner_lock.h"
#include "switch/account.h"
#include "switch/copy.h"
#include "switch/forward.h"
#include "switch/rx_slots.h"
#include "switch/tx_slots.h"

namespace vale {
namespace {

// Whether an answer of the FDB is what it would answer now.
bool holds(const FdbRef& ref) {
  return ref.entry != nullptr && ref.entry->load(std::memory_order_relaxed) == ref.word;
}

}  // namespace

// False, and nothing has changed, when it takes more than a copy.
[[gnu::always_inline]] inline bool Sender::deliver_one(RxRing& r, uint32_t rx_index, uint32_t dest,
                                                       uint64_t member, const char* data,
                                                       uint32_t length) {
  if (!try_lock(r.lock, me())) return false;
  const uint32_t tail = word_position(r.tail_copy.load(std::memory_order_relaxed));
  char* to = nullptr;
  if (is_at(r, dest, member) && r.buf_size >= buf_size && known_space(r, tail) != 0 &&
      r.monitors.load(std::memory_order_relaxed) == 0)
    to = rt->mapper->region(r.region, r.region_gen);
  if (to == nullptr) {
    unlock(r.lock);
    return false;
  }
  prefetch_for_write(&r.tail);
  intend(r, rx_index, 1);
  netmap_slot* const ring_slots = slots_of(r, to);
  const uint32_t b = __atomic_load_n(&ring_slots[tail].buf_idx, __ATOMIC_RELAXED);
  // A wrong index hurts only the ring's owner.
  const uint32_t index = b < r.buf_bound.load(std::memory_order_relaxed) ? b : 0;
  copy_payload(to + r.buf_ofs + index * static_cast<size_t>(r.buf_size), data, length);
  store_slot(&ring_slots[tail], index, length, 1u << 8);
  if (r.multi.load(std::memory_order_relaxed) != 0) [[unlikely]]
    set_more(rt->control().more(rx_index), tail, false);
  r.intent_frames.store(1, std::memory_order_release);
  commit(r, tail + 1 == r.num_slots ? 0 : tail + 1, [&](RxStat& s) {
    s.frames++;
    s.bytes += length;
  });
  settle(*tx, [&](SettleStat& s) { s.delivered++; });
  unlock(r.lock);
  last_rx = &r;
  last_slots = ring_slots;
  touched[0] = rx_index;
  touched_count = 1;
  return true;
}

bool Sender::send_one(uint32_t slot, uint32_t head) {
  const uint64_t w = load_slot(slots[slot]);
  if (!plain_slots()(w) || (w & uint64_t{NS_BUF_CHANGED} << 48) != 0) return false;
  const char* const data = bufs + static_cast<uint32_t>(w) * static_cast<size_t>(buf_size);
  if (load_mac(data + header) != last_dest || load_mac(data + header + 6) != last_source)
    return false;
  if (!holds(source_ref) || !holds(dest_ref)) return false;
  if (source_ref.seen->load(std::memory_order_relaxed) != now && !fdb_static(source_ref.word))
    return false;
  if (!Fdb::valid(*sw, dest_ref.word, dest_ref.seen->load(std::memory_order_relaxed), now))
    return false;
  const uint32_t dest = fdb_port(dest_ref.word);
  const uint64_t member = sw->member[dest].load(std::memory_order_relaxed);
  if (dest == self || ring_number >= member_rx_count(member) ||
      member_kind(member) != header_code(header))
    return false;

  const uint32_t length = slot_length(w);
  take(*tx, head, [&](TakeStat& t) {
    t.frames++;
    t.bytes += length;
    t.copies++;
  });
  const uint32_t rx_index = member_rx_base(member) + ring_number;
  RxRing& r = rt->control().rx(rx_index);
  if (!deliver_one(r, rx_index, dest, member, data, length)) [[unlikely]] {
    run[0] = w;
    more_slots = 0;
    deliver_run(dest, member, ring_number, 1);
  }
  return true;
}

}  // namespace vale
