// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <cstring>

#include "switch/account.h"
#include "switch/rx_slots.h"
#include "switch/sender.h"

namespace vale {
namespace {

// Fills the slots of one rx ring from `slot` on.
class Writer {
 public:
  Writer(RxRing& r, MoreBits& more, char* base, uint32_t slot)
      : ring_(r),
        more_(more),
        slots_(slots_of(r, base)),
        buffers_(base + r.buf_ofs),
        bound_(r.buf_bound.load(std::memory_order_relaxed)),
        slot_(slot) {}
  uint32_t slot() const { return slot_; }

  // One frame, into slots that are known to be free.
  void put(Converter::Pieces frame) {
    const uint32_t size = ring_.buf_size, slots = (frame.bytes + size - 1) / size;
    // Before the bits: they are all clear while multi is 0, also after a death in here.
    if (slots > 1) ring_.multi.store(1, std::memory_order_release);
    const Fragment* piece = frame.piece;
    uint32_t taken = 0;  // of that piece
    for (uint32_t i = 0, left = frame.bytes; i < slots; i++) {
      const uint32_t b = __atomic_load_n(&slots_[slot_].buf_idx, __ATOMIC_RELAXED);
      const uint32_t index = b < bound_ ? b : 0;  // a wrong index hurts only the ring's owner
      char* to = buffers_ + static_cast<size_t>(index) * size;
      const uint32_t here = std::min(left, size);
      for (uint32_t filled = 0; filled < here;) {
        const uint32_t n = std::min(here - filled, piece->length - taken);
        std::memcpy(to + filled, piece->data + taken, n);
        filled += n;
        taken += n;
        if (taken == piece->length) {
          piece++;
          taken = 0;
        }
      }
      left -= here;
      store_slot(&slots_[slot_], index, here,
                 slots << 8 | (left != 0 ? unsigned{NS_MOREFRAG} : 0u));
      set_more(more_, slot_, left != 0);
      if (++slot_ == ring_.num_slots) slot_ = 0;
    }
  }

 private:
  RxRing& ring_;
  MoreBits& more_;
  netmap_slot* slots_;
  char* buffers_;
  uint32_t bound_, slot_;
};

}  // namespace

// Frames for a receiver whose virtio-net header is `to` bytes, not `header`. A frame is delivered with
// all that it becomes, or not at all.
void Sender::deliver_converted(RxRing& r, uint32_t rx_index, char* base, uint32_t to,
                               const Whole* whole, uint32_t count) {
  intend(r, rx_index, count);
  if (converter == nullptr) converter.reset(new (std::nothrow) Converter);
  const uint32_t n = r.num_slots;
  const uint32_t tail = word_position(r.tail_copy.load(std::memory_order_relaxed));
  r.hwcur_seen = r.hwcur.load(std::memory_order_acquire);
  const uint32_t used = tail >= r.hwcur_seen ? tail - r.hwcur_seen : tail + n - r.hwcur_seen;
  uint32_t space = n - 1 - used;
  Writer writer(r, rt->control().more(rx_index), base, tail);
  Copied done;
  uint32_t whole_delivered = 0, malformed = 0, impossible = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Whole& w = whole[i];
    using Verdict = Converter::Verdict;
    const Verdict verdict = converter == nullptr
                                ? Verdict::impossible
                                : converter->start(w.fragment, w.fragments, w.length, header, to);
    if (verdict != Verdict::good) {
      (verdict == Verdict::malformed ? malformed : impossible)++;
      continue;
    }
    const uint64_t needed = converter->slots(r.buf_size);
    if (needed > n - 1) {
      done.too_big++;
      continue;
    }
    if (needed > space) {
      done.ring_full++;  // a shorter one may still fit
      continue;
    }
    space -= static_cast<uint32_t>(needed);
    whole_delivered++;
    for (uint32_t left = converter->frames(); left != 0; left--) {
      const Converter::Pieces one = converter->next();
      writer.put(one);
      done.frames++;
      done.bytes += one.bytes;
    }
  }
  if (done.frames != whole_delivered) split(*tx, done.frames - whole_delivered);
  if (r.monitors.load(std::memory_order_relaxed) != 0) [[unlikely]]
    show(r, base, writer.slot());
  r.intent_frames.store(done.frames, std::memory_order_release);
  commit(r, writer.slot(), [&](RxStat& s) {
    s.frames += done.frames;
    s.bytes += done.bytes;
    s.ring_full += done.ring_full;
    s.too_big += done.too_big;
    s.header_mismatch += impossible;
    s.bad_header += malformed;
  });
  settle(*tx, [&](SettleStat& s) {
    s.delivered += done.frames;
    s.dest_dropped += count - whole_delivered;
  });
  if (done.frames != 0) touch(rx_index);
}

}  // namespace vale
