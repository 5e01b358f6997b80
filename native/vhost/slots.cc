// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/slots.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <cstring>

namespace vale::vhost {

bool SlotWriter::put(const char* frame, uint32_t bytes, Counts* counts) {
  const uint32_t slots = (bytes + ring_.buf_size() - 1) / ring_.buf_size();
  const bool never = slots > NETMAP_MAX_FRAGS || slots > ring_.slots() - 1;
  if (never || bytes < ETH_HLEN) {
    counts->drop(never ? Drop::too_big : Drop::runt);
    return true;
  }
  if (slots > room_) return false;
  frames_++;
  bytes_ += bytes;
  room_ -= slots;
  for (uint32_t left = bytes; left != 0;) {
    netmap_slot& slot = ring_.at(head_);
    const uint32_t n = std::min(left, ring_.buf_size());
    std::memcpy(ring_.buffer(slot.buf_idx), frame, n);
    frame += n;
    left -= n;
    slot.len = static_cast<uint16_t>(n);
    slot.flags = left != 0 ? NS_MOREFRAG : 0;
    slot.ptr = 0;
    head_ = ring_.after(head_);
  }
  return true;
}

void SlotWriter::done(Counts* counts) {
  ring_.release(head_);
  counts->rx_frames.add(frames_);
  counts->rx_bytes.add(bytes_);
}

unsigned gather(const RingView& ring, unsigned lead, iovec* parts, unsigned most_parts,
                Gathered* frames, unsigned most_frames) {
  unsigned used = 0, count = 0;
  const uint32_t tail = ring.tail();
  for (uint32_t at = ring.head(); at != tail && count < most_frames;) {
    unsigned next = used + lead;
    uint32_t bytes = 0;
    bool more = true;
    while (more && at != tail && next < most_parts) {
      const netmap_slot slot = ring.slot(at);
      parts[next++] = {ring.buffer(slot.buf_idx), slot.len};
      bytes += slot.len;
      more = (slot.flags & NS_MOREFRAG) != 0;
      at = ring.after(at);
    }
    if (more) break;  // not all of it is there, or it goes next time
    frames[count++] = {used, next - used, bytes, at};
    used = next;
  }
  return count;
}

bool discard(const RingView& ring, uint32_t header, Counts* counts) {
  uint32_t frames = 0;
  uint64_t bytes = 0;
  const uint32_t tail = ring.tail();
  for (uint32_t i = ring.head(); i != tail; i = ring.after(i)) {
    const netmap_slot slot = ring.slot(i);
    frames += (slot.flags & NS_MOREFRAG) == 0;
    bytes += slot.len;
  }
  ring.release(tail);
  if (frames == 0) return false;
  counts->tx_frames.add(frames);
  counts->tx_bytes.add(bytes - std::min<uint64_t>(bytes, uint64_t{frames} * header));
  counts->drop_sent(Drop::link_down, frames);
  return true;
}

}  // namespace vale::vhost
