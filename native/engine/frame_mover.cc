// SPDX-License-Identifier: BSD-2-Clause
#include "engine/frame_mover.h"

#include <algorithm>
#include <cstring>

namespace vale {
namespace {

uint32_t after(const netmap_ring* ring, uint32_t i) { return i + 1 == ring->num_slots ? 0 : i + 1; }

uint32_t distance(const netmap_ring* ring, uint32_t from, uint32_t to) {
  return to >= from ? to - from : to + ring->num_slots - from;
}

struct Extent {
  uint32_t slots = 0;
  uint32_t bytes = 0;
  uint32_t longest = 0;  // fragment
  bool whole = false;
};

Extent measure(const netmap_ring* ring, uint32_t head) {
  Extent frame;
  for (uint32_t i = head; i != ring->tail && !frame.whole; i = after(ring, i)) {
    const netmap_slot& slot = ring->slot[i];
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

void swap_slots(netmap_ring* from, uint32_t out, netmap_ring* to, uint32_t in, uint32_t slots) {
  for (; slots != 0; slots--, out = after(from, out), in = after(to, in)) {
    netmap_slot& rx = from->slot[out];
    netmap_slot& tx = to->slot[in];
    std::swap(rx.buf_idx, tx.buf_idx);
    std::swap(rx.ptr, tx.ptr);
    tx.len = rx.len;
    tx.flags = static_cast<uint16_t>(NS_BUF_CHANGED | tx_flags(rx.flags));
    rx.flags |= NS_BUF_CHANGED;
  }
}

void copy_slots(netmap_ring* from, uint32_t out, netmap_ring* to, uint32_t in, uint32_t slots) {
  for (; slots != 0; slots--, out = after(from, out), in = after(to, in)) {
    const netmap_slot& rx = from->slot[out];
    netmap_slot& tx = to->slot[in];
    std::memcpy(NETMAP_BUF(to, tx.buf_idx), NETMAP_BUF(from, rx.buf_idx), rx.len);
    tx.len = rx.len;
    tx.flags = tx_flags(rx.flags);
    tx.ptr = 0;
  }
}

// Where fragments are longer than the other ring's buffers: fills those one after the other.
void reslice(netmap_ring* from, uint32_t out, netmap_ring* to, uint32_t in, uint32_t bytes) {
  uint32_t taken = 0;
  while (bytes != 0) {
    netmap_slot& tx = to->slot[in];
    uint32_t filled = 0;
    while (filled < to->nr_buf_size && bytes != 0) {
      const netmap_slot& rx = from->slot[out];
      const uint32_t n = std::min(rx.len - taken, to->nr_buf_size - filled);
      std::memcpy(NETMAP_BUF(to, tx.buf_idx) + filled, NETMAP_BUF(from, rx.buf_idx) + taken, n);
      filled += n;
      taken += n;
      bytes -= n;
      if (taken == rx.len) {
        out = after(from, out);
        taken = 0;
      }
    }
    tx.len = static_cast<uint16_t>(filled);
    tx.flags = bytes != 0 ? NS_MOREFRAG : 0;
    tx.ptr = 0;
    in = after(to, in);
  }
}

}  // namespace

Moved move_frames(netmap_ring* from, netmap_ring* to, uint32_t most, bool swap) {
  Moved moved;
  uint32_t out = from->head;
  uint32_t in = to->head;
  bool incomplete = false;
  while (moved.frames < most && out != from->tail) {
    const Extent frame = measure(from, out);
    if (!frame.whole && frame.slots + 1 < from->num_slots) {
      incomplete = true;
      break;
    }
    const bool cut = !swap && frame.longest > to->nr_buf_size;
    const uint32_t needed =
        cut ? (frame.bytes + to->nr_buf_size - 1) / to->nr_buf_size : frame.slots;
    // Empty slots are padding, not frames.
    const bool unfit = !frame.whole || needed > to->num_slots - 1;
    if (!unfit && frame.bytes != 0) {
      if (needed > distance(to, in, to->tail)) {
        moved.blocked = true;
        break;
      }
      if (swap) {
        swap_slots(from, out, to, in, frame.slots);
      } else if (cut) {
        reslice(from, out, to, in, frame.bytes);
      } else {
        copy_slots(from, out, to, in, frame.slots);
      }
      in = (in + needed) % to->num_slots;
      moved.frames++;
      moved.bytes += frame.bytes;
    }
    moved.unfit += unfit ? 1 : 0;
    out = (out + frame.slots) % from->num_slots;
  }
  from->head = out;
  from->cur = incomplete || moved.blocked ? from->tail : out;
  to->head = in;
  to->cur = moved.blocked ? to->tail : in;
  return moved;
}

}  // namespace vale
