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
        rule_(OffsetRule::of(r)),
        size_(r.buf_size),
        slot_(slot) {}
  uint32_t slot() const { return slot_; }
  // The bytes that every one of the `space` slots from here on has room for.
  uint32_t size(uint32_t space) {
    for (uint32_t i = 0; i < space && rule_.any(); i++)
      size_ = std::min(size_, room_in(ring_, rule_, &slots_[(slot_ + i) % ring_.num_slots]).size);
    return size_;
  }

  // One frame, into slots that are known to be free.
  void put(Converter::Pieces frame) {
    const uint32_t slots = (frame.bytes + size_ - 1) / size_;
    // Before the bits: they are all clear while multi is 0, also after a death in here.
    if (slots > 1) ring_.multi.store(1, std::memory_order_release);
    const Fragment* piece = frame.piece;
    uint32_t taken = 0;  // of that piece
    for (uint32_t i = 0, left = frame.bytes; i < slots; i++) {
      const Room room = room_in(ring_, rule_, &slots_[slot_]);
      char* to = buffers_ + static_cast<size_t>(room.index) * ring_.buf_size + room.offset;
      const uint32_t here = std::min({left, size_, room.size});
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
      store_slot(&slots_[slot_], room.index, here,
                 slots << 8 | (i + 1 < slots ? unsigned{NS_MOREFRAG} : 0u), room.ptr);
      set_more(more_, slot_, i + 1 < slots);
      if (++slot_ == ring_.num_slots) slot_ = 0;
    }
  }

 private:
  RxRing& ring_;
  MoreBits& more_;
  netmap_slot* slots_;
  char* buffers_;
  OffsetRule rule_;
  uint32_t size_, slot_;
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
  const uint32_t room = writer.size(space);
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
    const uint64_t needed = room != 0 ? converter->slots(room) : n;
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
  reached(rx_index, done.frames != 0, done.ring_full != 0);
}

}  // namespace vale
