// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A batch for many destinations, a frame or a few for each. One destination after the other,
//   every one of them would wait for its control lines, then its slot, then its buffer; here each
//   step is done for all, and asks for the lines that the next step needs:
//   1. count the frames for each destination.
//   2. lock each destination, check it, see where its frames go.
//   3. read the buffer indices of those slots.
//   4. copy all payloads; 5. write all descriptors.
//   6. for each destination: journal, commit, settle, unlock.
//
// Owns. The locks of all these rings at once, so none of them is waited for: a destination that is not
//   free at once, or needs more than a copy, is left for deliver(), after the locks are released.
// Invariants. Those of deliver.cc: nothing is visible before a destination's tail moves, and what is
//   delivered under way is journaled before that.
// Not here. Floods, fragments, buffers smaller than the sender's.
#include <algorithm>

#include "shm/owner_lock.h"
#include "switch/account.h"
#include "switch/copy.h"
#include "switch/forward.h"
#include "switch/rx_slots.h"

namespace vale {
namespace {

constexpr uint32_t kManyDestinations = 3;
constexpr uint32_t kAhead = 8;  // destinations, or frames

struct Plan {
  RxRing* ring;
  char* buffers;
  netmap_slot* slots;
  uint64_t bytes;
  uint32_t index;  // of `ring`
  uint32_t at;     // next slot to fill
  uint32_t num_slots, stride, bound;
  uint16_t left;     // frames that still fit
  uint16_t wanted;   // frames for it
  uint16_t planned;  // of these, how many fit; meaningless while !open
  bool open;         // its lock is ours
};

struct Target {
  char* data;  // nullptr: no room, or not ours to deliver
  netmap_slot* slot;
  uint32_t index;
};

}  // namespace

// Locks the ring of `plan` if that needs no waiting and its frames need no more than a copy.
bool Sender::open_plan(uint32_t dest, uint64_t member, uint32_t rx_index, char** base) {
  RxRing& r = rt->control().rx(rx_index);
  if (!try_lock(r.lock, me())) return false;
  if (is_at(r, dest, member) && member_kind(member) == header_code(header) &&
      r.buf_size >= buf_size && r.multi.load(std::memory_order_relaxed) == 0 &&
      r.monitors.load(std::memory_order_relaxed) == 0) {
    *base = rt->mapper->region(r.region, r.region_gen);
    if (*base != nullptr) return true;
  }
  unlock(r.lock);
  return false;
}

bool Sender::scatter() {
  const Control& c = rt->control();
  const Batch& b = batch;
  uint16_t wanted[kDropped + 1] = {};
  uint16_t order[kDropped + 1];
  uint32_t destinations = 0;
  for (uint32_t i = 0; i < b.count; i++) {
    const uint16_t d = b.frame[i].dest;
    order[destinations] = d;
    destinations += wanted[d] == 0 && d != kDropped;
    wanted[d]++;
  }
  if (destinations < kManyDestinations) return false;

  Plan plan[256];
  uint8_t plan_of[256];
  const auto ring_of = [&](uint16_t d, uint64_t* member) {
    *member = sw->member[d].load(std::memory_order_relaxed);
    const uint32_t rings = member_rx_count(*member);
    if (rings == 0) return member_rx_base(*member);
    return member_rx_base(*member) + (ring_number < rings ? ring_number : ring_number % rings);
  };
  const auto ask = [&](uint32_t i) {
    uint64_t member;
    const char* lines = reinterpret_cast<const char*>(&c.rx(ring_of(order[i], &member)));
    for (size_t line = 0; line < sizeof(RxRing); line += 64) prefetch_for_write(lines + line);
  };
  for (uint32_t i = 0; i < std::min(destinations, kAhead); i++) ask(i);
  bool all = true;
  for (uint32_t i = 0; i < destinations; i++) {
    if (i + kAhead < destinations) ask(i + kAhead);
    const uint16_t d = order[i];
    Plan& p = plan[i];
    plan_of[d] = static_cast<uint8_t>(i);
    p.wanted = wanted[d];
    p.left = 0;
    p.bytes = 0;
    uint64_t member;
    char* base;
    p.index = ring_of(d, &member);
    p.open = member != 0 && open_plan(d, member, p.index, &base);
    all = all && p.open;
    if (!p.open) continue;
    RxRing& r = c.rx(p.index);
    p.ring = &r;
    p.slots = slots_of(r, base);
    p.buffers = base + r.buf_ofs;
    p.stride = r.buf_size;
    p.bound = r.buf_bound.load(std::memory_order_relaxed);
    p.num_slots = r.num_slots;
    p.at = word_position(r.tail_copy.load(std::memory_order_relaxed));
    uint32_t space = known_space(r, p.at);
    if (space < p.wanted) {
      r.hwcur_seen = r.hwcur.load(std::memory_order_acquire);
      space = known_space(r, p.at);
    }
    p.left = p.planned = static_cast<uint16_t>(std::min<uint32_t>(space, p.wanted));
    prefetch_slots(p.slots, p.num_slots, p.at, p.left);
  }

  Target target[kMaxFrames];
  for (uint32_t i = 0; i < b.count; i++) {
    const Frame& f = b.frame[i];
    target[i].data = nullptr;
    if (f.dest == kDropped) continue;
    Plan& p = plan[plan_of[f.dest]];
    if (p.left == 0) continue;
    p.left--;
    p.bytes += f.length;
    netmap_slot* const slot = &p.slots[p.at];
    if (++p.at == p.num_slots) p.at = 0;
    const uint32_t index = __atomic_load_n(&slot->buf_idx, __ATOMIC_RELAXED);
    target[i].slot = slot;
    target[i].index = index < p.bound ? index : 0;  // a wrong index hurts only the ring's owner
    target[i].data = p.buffers + static_cast<size_t>(target[i].index) * p.stride;
    prefetch_for_write(target[i].data);
  }
  for (uint32_t i = 0; i < b.count; i++) {
    if (target[i].data != nullptr) copy_payload(target[i].data, b.frame[i].data, b.frame[i].length);
  }
  for (uint32_t i = 0; i < b.count; i++) {
    if (target[i].data != nullptr)
      store_slot(target[i].slot, target[i].index, b.frame[i].length, 1u << 8);
  }

  for (uint32_t i = 0; i < destinations; i++) {
    Plan& p = plan[i];
    if (!p.open) continue;
    RxRing& r = *p.ring;
    const uint32_t full = p.wanted - p.planned;
    intend(r, p.index, p.wanted);
    r.intent_frames.store(p.planned, std::memory_order_release);
    commit(r, p.at, [&](RxStat& s) {
      s.frames += p.planned;
      s.bytes += p.bytes;
      s.ring_full += full;
    });
    settle(*tx, [&](SettleStat& s) {
      s.delivered += p.planned;
      s.dest_dropped += full;
    });
    unlock(r.lock);
    reached(p.index, p.planned != 0, full != 0);
  }
  for (uint32_t i = 0; i < destinations && !all; i++) {
    if (plan[i].open) continue;
    uint16_t frames[kMaxFrames];
    uint32_t count = 0;
    for (uint32_t k = 0; k < b.count; k++) {
      if (b.frame[k].dest == order[i]) frames[count++] = static_cast<uint16_t>(k);
    }
    if (const uint64_t member = sw->member[order[i]].load(std::memory_order_relaxed)) {
      deliver(order[i], member, ring_number, frames, count);
    } else {
      settle(*tx, [&](SettleStat& s) { s.not_open += count; });
    }
  }
  return true;
}

}  // namespace vale
