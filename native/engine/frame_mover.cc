// SPDX-License-Identifier: BSD-2-Clause
#include "engine/frame_mover.h"

#include <algorithm>
#include <cstring>

namespace vale {
namespace {

struct Extent {
  uint32_t slots = 0;
  uint32_t bytes = 0;
  uint32_t longest = 0;  // fragment
  bool whole = false;
};

Extent measure(const RingView& ring, uint32_t head, uint32_t tail) {
  Extent frame;
  for (uint32_t i = head; i != tail && !frame.whole; i = ring.after(i)) {
    const netmap_slot slot = ring.slot(i);
    frame.slots++;
    frame.bytes += slot.len;
    frame.longest = std::max<uint32_t>(frame.longest, slot.len);
    frame.whole = (slot.flags & NS_MOREFRAG) == 0;
  }
  return frame;
}

// In rx slots the high byte of the flags is the number of fragments; in tx slots it would name a
// destination port.
uint16_t tx_flags(uint16_t rx_flags) { return rx_flags & NS_MOREFRAG; }

void swap_slots(const RingView& from, uint32_t out, const RingView& to, uint32_t in,
                uint32_t slots) {
  for (; slots != 0; slots--, out = from.after(out), in = to.after(in)) {
    netmap_slot& rx = from.at(out);
    netmap_slot& tx = to.at(in);
    std::swap(rx.buf_idx, tx.buf_idx);
    std::swap(rx.ptr, tx.ptr);
    tx.len = rx.len;
    tx.flags = static_cast<uint16_t>(NS_BUF_CHANGED | tx_flags(rx.flags));
    rx.flags |= NS_BUF_CHANGED;
  }
}

void fill(netmap_slot& tx, uint32_t bytes, uint16_t flags) {
  tx.len = static_cast<uint16_t>(bytes);
  tx.flags = flags;
  tx.ptr = 0;
}

void copy_slots(const RingView& from, uint32_t out, const RingView& to, uint32_t in,
                uint32_t slots) {
  for (; slots != 0; slots--, out = from.after(out), in = to.after(in)) {
    const netmap_slot rx = from.slot(out);
    netmap_slot& tx = to.at(in);
    const uint32_t bytes = std::min<uint32_t>(rx.len, to.buf_size());
    std::memcpy(to.buffer(tx.buf_idx), from.buffer(rx.buf_idx), bytes);
    fill(tx, bytes, tx_flags(rx.flags));
  }
}

// Where fragments are longer than the other ring's buffers: fills those one after the other. `slots` of
// the frame become `needed`.
void reslice(const RingView& from, uint32_t out, uint32_t slots, const RingView& to, uint32_t in,
             uint32_t needed) {
  netmap_slot rx = from.slot(out);
  uint32_t taken = 0;  // of that slot
  for (; needed != 0; needed--, in = to.after(in)) {
    netmap_slot& tx = to.at(in);
    char* const data = to.buffer(tx.buf_idx);
    uint32_t filled = 0;
    while (filled < to.buf_size() && slots != 0) {
      const uint32_t n = std::min<uint32_t>(rx.len - taken, to.buf_size() - filled);
      std::memcpy(data + filled, from.buffer(rx.buf_idx) + taken, n);
      filled += n;
      taken += n;
      if (taken == rx.len && --slots != 0) {
        out = from.after(out);
        rx = from.slot(out);
        taken = 0;
      }
    }
    fill(tx, filled, needed != 1 ? NS_MOREFRAG : 0);
  }
}

}  // namespace

Moved move_frames(const RingView& from, const RingView& to, uint32_t most, bool swap) {
  Moved moved;
  const uint32_t filled = from.tail(), free_end = to.tail();
  uint32_t out = from.head();
  uint32_t in = to.head();
  bool incomplete = false;
  while (moved.frames < most && out != filled) {
    const Extent frame = measure(from, out, filled);
    if (!frame.whole && frame.slots + 1 < from.slots()) {
      incomplete = true;
      break;
    }
    const bool cut = !swap && frame.longest > to.buf_size();
    const uint32_t needed = cut ? (frame.bytes + to.buf_size() - 1) / to.buf_size() : frame.slots;
    // Empty slots are padding, not frames.
    const bool unfit = !frame.whole || needed > to.slots() - 1;
    if (!unfit && frame.bytes != 0) {
      if (needed > to.distance(in, free_end)) {
        moved.blocked = true;
        break;
      }
      if (swap) {
        swap_slots(from, out, to, in, frame.slots);
      } else if (cut) {
        reslice(from, out, frame.slots, to, in, needed);
      } else {
        copy_slots(from, out, to, in, frame.slots);
      }
      in = (in + needed) % to.slots();
      moved.frames++;
      moved.bytes += frame.bytes;
    }
    moved.unfit += unfit ? 1 : 0;
    out = (out + frame.slots) % from.slots();
  }
  from.release(out, incomplete || moved.blocked ? filled : out);
  to.release(in, moved.blocked ? free_end : in);
  return moved;
}

}  // namespace vale
