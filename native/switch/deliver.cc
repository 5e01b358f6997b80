// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "shm/owner_lock.h"
#include "switch/account.h"
#include "switch/copy.h"
#include "switch/forward.h"
#include "switch/recover.h"
#include "switch/rx_slots.h"

namespace vale {
namespace {

// So few that the tail's line, asked for before the copy, is still here after it.
constexpr uint32_t kFewFrames = 4;

// From here on copying a frame takes so long that its receiver has read the last ones before the next are there, and what
// counts is how rarely the two cores need each other's lines.
constexpr uint32_t kLarge = 1024;

// How many frames like this one are copied before they are published. A part of the ring, so that its receiver can
// release some while others come.
uint32_t frames_at_a_time(uint32_t length, uint32_t slots) {
  return length < kLarge ? kDeliverFrames : std::clamp(slots / 4, kDeliverFrames, kDeliverLarge);
}

struct Piece {
  const char* data;
  uint32_t length;
};
// Frames of a batch, in its order or in the order of a list.
struct FrameSource {
  const Frame* frame;
  const uint16_t* order;
  Piece operator[](uint32_t i) const {
    const Frame& f = frame[order != nullptr ? order[i] : i];
    return {f.data, f.length};
  }
};
// Frames of a run, as the words of their slots.
struct RunSource {
  const uint64_t* word;
  const char* bufs;
  size_t stride;
  Piece operator[](uint32_t i) const {
    return {bufs + static_cast<uint32_t>(word[i]) * stride,
            static_cast<uint32_t>(word[i] >> 32 & 0xffff)};
  }
};

// `count` single fragments into the slots from `tail` on, all known to fit; `next` more may follow.
// Returns the slot after them.
template <class Source>
[[gnu::noinline]] uint32_t copy_simple(const RxRing& r, char* base, MoreBits& more, uint32_t tail,
                                       const Source& source, uint32_t first, uint32_t count,
                                       uint32_t next, uint64_t* bytes) {
  SlotTarget target[kDeliverLarge];
  read_targets(r, base, tail, count, target);
  const uint32_t n = r.num_slots;
  prefetch_slots(slots_of(r, base), n, tail + count < n ? tail + count : tail + count - n, next);
  uint64_t sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Piece f = source[first + i];
    target[i].length = f.length;
    sum += f.length;
    copy_payload(target[i].data, f.data, f.length);
  }
  *bytes = sum;
  return write_targets(r, base, more, tail, count, target);
}

// The same for a few, which are not worth three passes.
template <class Source>
inline uint32_t copy_few(const RxRing& r, char* base, MoreBits& more, uint32_t tail,
                         const Source& source, uint32_t first, uint32_t count, uint64_t* bytes) {
  netmap_slot* const ring = slots_of(r, base);
  char* const buffers = base + r.buf_ofs;
  const uint32_t bound = r.buf_bound.load(std::memory_order_relaxed);
  const bool multi = r.multi.load(std::memory_order_relaxed) != 0;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Piece f = source[first + i];
    const uint32_t b = __atomic_load_n(&ring[tail].buf_idx, __ATOMIC_RELAXED);
    const uint32_t index = b < bound ? b : 0;
    copy_payload(buffers + static_cast<size_t>(index) * r.buf_size, f.data, f.length);
    store_slot(&ring[tail], index, f.length, 1u << 8);
    if (multi) [[unlikely]]
      set_more(more, tail, false);
    sum += f.length;
    if (++tail == r.num_slots) tail = 0;
  }
  *bytes = sum;
  return tail;
}

// How many slots from `slot` on the frame takes where each has room of its own; `keep` when it stays in
// the fragments that it has. More than kMaxFragments: it does not fit.
uint32_t slots_with_offsets(const RxRing& r, const OffsetRule& rule, const netmap_slot* ring,
                            uint32_t slot, const Fragment* frag, uint32_t fragments,
                            uint32_t length, bool* keep) {
  const auto room = [&](uint32_t i) {
    return room_in(r, rule, &ring[(slot + i) % r.num_slots]).size;
  };
  *keep = true;
  for (uint32_t k = 0; k < fragments; k++) *keep = *keep && frag[k].length <= room(k);
  if (*keep) return fragments;
  uint32_t needed = 0;
  for (uint32_t left = length; left != 0 && needed <= kMaxFragments; needed++)
    left -= std::min(left, room(needed));
  return needed;
}

}  // namespace

void Sender::touch(uint32_t rx_index) {
  if (touched_count != 0 && touched[touched_count - 1] == rx_index) return;
  if (touched_count == std::size(touched)) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    wake();
  }
  touched[touched_count++] = rx_index;
}

void Sender::wake_each() {
  const Control& c = rt->control();
  for (uint32_t i = 0; i < touched_count; i++) {
    RxRing& r = c.rx(touched[i]);
    const uint64_t bits = sleepers(r.wake);
    if (bits != 0 && slept_since(r.wake_epoch, &rung[touched[i]]))
      rt->doorbells->ring(r.port, bits);
  }
  touched_count = 0;
}

// True with the lock held and the destination still what the lookup said; else the copies are settled.
bool Sender::lock_destination(RxRing& r, uint32_t rx_index, uint32_t dest, uint64_t member,
                              uint32_t count) {
  const uint64_t word = me();
  if (!try_lock(r.lock, word)) [[unlikely]] {
    const Locked l = lock_bounded(*rt, r.lock, word, &stalled[rx_index]);
    if (!is_locked(l)) {
      settle(*tx, [&](SettleStat& s) { s.peer_stalled += count; });
      return false;
    }
    if (l == Locked::taken) recover_rx(*rt, rx_index);
  }
  if (!is_at(r, dest, member)) [[unlikely]] {
    settle(*tx, [&](SettleStat& s) { s.not_open += count; });
    unlock(r.lock);
    return false;
  }
  return true;
}

// Frames of several fragments, or for smaller buffers than the sender's. Fragment boundaries are kept
// where they fit and moved where they do not.
template <class Source>
Sender::Copied Sender::copy_general(RxRing& r, uint32_t rx_index, char* base, uint32_t tail,
                                    uint32_t space, const Source& source, uint32_t first,
                                    uint32_t count) {
  netmap_slot* const ring = slots_of(r, base);
  char* const buffers = base + r.buf_ofs;
  const uint32_t stride = r.buf_size;
  const OffsetRule rule = OffsetRule::of(r);
  MoreBits& more = rt->control().more(rx_index);
  Copied done;
  uint32_t slot = tail;
  for (uint32_t i = 0; i < count; i++) {
    const Piece whole = source[first + i];
    const Fragment one{whole.data, whole.length};
    const Fragment* frag = &one;
    uint32_t fragments = 1;
    if constexpr (std::is_same_v<Source, FrameSource>) {
      const Frame& f = source.frame[source.order != nullptr ? source.order[first + i] : first + i];
      fragments = f.fragments;
      if (fragments > 1) frag = &batch.fragment[f.first_fragment];
    }
    bool keep = true;
    for (uint32_t k = 0; k < fragments; k++) keep = keep && frag[k].length <= stride;
    uint32_t needed = keep ? fragments : (whole.length + stride - 1) / stride;
    if (rule.any()) {
      needed = slots_with_offsets(r, rule, ring, slot, frag, fragments, whole.length, &keep);
    }
    if (needed > kMaxFragments || needed > r.num_slots - 1) {
      done.too_big++;
      continue;
    }
    if (needed > space - done.slots) {
      done.ring_full++;  // a shorter one may still fit: nothing depends on where batches are cut
      continue;
    }
    // Before the bits: they are all clear while multi is 0, also after a death in here.
    if (needed > 1) r.multi.store(1, std::memory_order_release);
    uint32_t k = 0, offset = 0;
    for (uint32_t j = 0; j < needed; j++) {
      const Room room = room_in(r, rule, &ring[slot]);
      char* to = buffers + static_cast<size_t>(room.index) * stride + room.offset;
      uint32_t length = 0;
      if (keep) {
        length = std::min(frag[j].length, room.size);
        std::memcpy(to, frag[j].data, length);
      } else {
        while (length < room.size && k < fragments) {
          const uint32_t part = std::min(room.size - length, frag[k].length - offset);
          std::memcpy(to + length, frag[k].data + offset, part);
          length += part;
          offset += part;
          if (offset == frag[k].length) {
            k++;
            offset = 0;
          }
        }
      }
      const bool last = j + 1 == needed;
      store_slot(&ring[slot], room.index, length, needed << 8 | (last ? 0u : unsigned{NS_MOREFRAG}),
                 room.ptr);
      set_more(more, slot, !last);
      if (++slot == r.num_slots) slot = 0;
    }
    done.frames++;
    done.slots += needed;
    done.bytes += whole.length;
  }
  return done;
}

// The ports' header lengths differ: deliver_converted.cc. Not inlined, out of the others' way.
template <class Source>
[[gnu::noinline]] void Sender::convert_from(RxRing& r, uint32_t rx_index, char* base, uint32_t to,
                                            const Source& source, uint32_t total) {
  for (uint32_t first = 0; first < total; first += kDeliverFrames) {
    const uint32_t count = std::min(kDeliverFrames, total - first);
    Fragment one[kDeliverFrames];
    Whole whole[kDeliverFrames];
    for (uint32_t i = 0; i < count; i++) {
      const Piece p = source[first + i];
      one[i] = {p.data, p.length};
      whole[i] = {&one[i], 1, p.length};
      if constexpr (std::is_same_v<Source, FrameSource>) {
        const Frame& f =
            source.frame[source.order != nullptr ? source.order[first + i] : first + i];
        if (f.fragments > 1) whole[i] = {&batch.fragment[f.first_fragment], f.fragments, f.length};
      }
    }
    deliver_converted(r, rx_index, base, to, whole, count);
  }
}

// Steps: lock, check, then for every piece: journal, intent, copy, descriptors, commit, settle; unlock.
template <class Source>
inline void Sender::deliver_from(uint32_t dest, uint64_t member, uint32_t ring,
                                 const Source& source, bool simple, uint32_t total) {
  const Control& c = rt->control();
  const uint32_t rings = member_rx_count(member);
  const uint32_t rx_index = member_rx_base(member) + (ring < rings ? ring : ring % rings);
  RxRing& r = c.rx(rx_index);
  TxRing& t = *tx;
  if (!lock_destination(r, rx_index, dest, member, total)) return;
  char* base = rt->mapper->region(r.region, r.region_gen);
  if (base == nullptr) [[unlikely]] {
    settle(t, [&](SettleStat& s) { s.unmappable += total; });
    unlock(r.lock);
    return;
  }
  const bool as_it_is = member_kind(member) == header_code(header);
  if (!as_it_is && member_header(member) != header_code(header)) [[unlikely]] {
    convert_from(r, rx_index, base, header_of_code(member_header(member)), source, total);
    unlock(r.lock);
    return;
  }
  const uint32_t n = r.num_slots;
  const bool plain = simple && as_it_is && r.buf_size >= buf_size;
  const uint32_t step = plain ? frames_at_a_time(source[0].length, n) : kDeliverFrames;
  uint32_t tail = word_position(r.tail_copy.load(std::memory_order_relaxed));
  if (total > kFewFrames) prefetch_slots(slots_of(r, base), n, tail, std::min(step, total));
  bool delivered = false, refused = false;
  for (uint32_t first = 0; first < total; first += step) {
    const uint32_t count = std::min(step, total - first);
    if (count <= kFewFrames) prefetch_for_write(&r.tail);
    intend(r, rx_index, count);
    uint32_t space = known_space(r, tail);
    if (space < count || !plain) {
      r.hwcur_seen = r.hwcur.load(std::memory_order_acquire);
      space = known_space(r, tail);
    }
    Copied done;
    if (plain) {
      done.frames = done.slots = std::min(count, space);
      done.ring_full = count - done.frames;
      if (done.frames != 0) {
        const uint32_t next = std::min(step, total - first - count + more_slots);
        tail = count <= kFewFrames ? copy_few(r, base, c.more(rx_index), tail, source, first,
                                              done.frames, &done.bytes)
                                   : copy_simple(r, base, c.more(rx_index), tail, source, first,
                                                 done.frames, next, &done.bytes);
      }
    } else {
      done = copy_general(r, rx_index, base, tail, space, source, first, count);
      tail += done.slots;
      if (tail >= n) tail -= n;
    }
    if (r.monitors.load(std::memory_order_relaxed) != 0) [[unlikely]]
      show(r, base, tail);
    r.intent_frames.store(done.frames, std::memory_order_release);
    commit(r, tail, [&](RxStat& s) {
      s.frames += done.frames;
      s.bytes += done.bytes;
      s.ring_full += done.ring_full;
      s.too_big += done.too_big;
    });
    settle(t, [&](SettleStat& s) {
      s.delivered += done.frames;
      s.dest_dropped += count - done.frames;
    });
    delivered = delivered || done.frames != 0;
    refused = refused || done.ring_full != 0;
  }
  unlock(r.lock);
  last_rx = &r;
  last_slots = slots_of(r, base);
  reached(rx_index, delivered, refused);
}

// Whoever watches the ring sees the slots up to `tail` before its owner does.
void Sender::show(const RxRing& r, char* base, uint32_t tail) {
  const uint32_t from = word_position(r.tail_copy.load(std::memory_order_relaxed));
  watch_arriving(*rt, watched, r,
                 {slots_of(r, base), r.num_slots, from, tail, base + r.buf_ofs, r.buf_size,
                  r.buf_bound.load(std::memory_order_relaxed), OffsetRule::of(r)});
}

void Sender::deliver(uint32_t dest, uint64_t member, uint32_t ring, const uint16_t* order,
                     uint32_t count) {
  deliver_from(dest, member, ring, FrameSource{batch.frame, order}, batch.simple, count);
}

void Sender::deliver_run(uint32_t dest, uint64_t member, uint32_t ring, uint32_t count) {
  deliver_from(dest, member, ring, RunSource{run, bufs, buf_size}, true, count);
}

}  // namespace vale
