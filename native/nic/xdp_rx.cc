// SPDX-License-Identifier: BSD-2-Clause
#include <linux/if_ether.h>

#include "nic/xdp.h"
#include "offload/unfinished.h"

namespace vale {

void XdpPort::fill(const RingView& ring) {
  for (unsigned queue = 0; queue < socket_.queues(); queue++) {
    bool any = false;
    while (fill_from(ring, queue)) any = true;
    if (any) socket_.publish(queue);
  }
}

void XdpPort::give(unsigned queue, uint32_t buffer) {
  buffers_.lend(buffer);
  // One goes in for each that came out, so there is a place.
  socket_.give(queue, buffers_.address(buffer) - XdpSocket::kHeadroom);
}

// A batch of a queue's frames into slots; false when there was none, or no room.
bool XdpPort::fill_from(const RingView& ring, unsigned queue) {
  XdpSocket::Frame pieces[kBatch];
  const uint32_t room = rx_room();
  const uint32_t got = socket_.received(queue, pieces, kBatch < room ? kBatch : room);
  uint32_t taken = 0;
  for (uint32_t i = 0; i < got; i++) {
    if (pieces[i].more) continue;
    place(ring, pieces + taken, i + 1 - taken, queue);
    taken = i + 1;
  }
  if (taken == 0 && got == (kBatch < ring.slots() - 1 ? kBatch : ring.slots() - 1)) {
    // A frame of more pieces than any ring takes: given back piece by piece.
    take_back(pieces, got, queue);
    drop(Drop::too_big);
    taken = got;
  }
  socket_.taken(queue, taken);
  return taken != 0;
}

void XdpPort::take_back(const XdpSocket::Frame* pieces, uint32_t count, unsigned queue) {
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t buffer = buffers_.take_back(pieces[i].address, 0);
    if (buffer != 0) give(queue, buffer);
  }
}

void XdpPort::finish(const XdpSocket::Frame* pieces, uint32_t count) {
  FramePiece parts[kBatch];
  for (uint32_t i = 0; i < count; i++) parts[i] = {buffers_.at(pieces[i].address), pieces[i].bytes};
  finish_checksum(parts, count);
}

// At most kBatch pieces.
void XdpPort::place(const RingView& ring, const XdpSocket::Frame* pieces, uint32_t count,
                    unsigned queue) {
  uint32_t found[kBatch];
  uint64_t bytes = 0;
  bool good = true;
  for (uint32_t i = 0; i < count; i++) {
    bytes += pieces[i].bytes;
    found[i] = buffers_.take_back(pieces[i].address, pieces[i].bytes);
    good &= found[i] != 0;
  }
  if (!good || bytes < ETH_HLEN || count > NETMAP_MAX_FRAGS) {
    for (uint32_t i = 0; i < count; i++) {
      if (found[i] != 0) give(queue, found[i]);
    }
    drop(!good ? Drop::bad_slot : bytes < ETH_HLEN ? Drop::runt : Drop::too_big);
    return;
  }
  if (finish_checksums_) finish(pieces, count);
  for (uint32_t i = 0; i < count; i++) {
    netmap_slot& slot = ring.at(rx_hwtail_);
    const uint32_t old = slot.buf_idx;
    slot.buf_idx = found[i];
    slot.len = static_cast<uint16_t>(pieces[i].bytes);
    slot.ptr = 0;
    const bool last = i + 1 == count;
    slot.flags =
        static_cast<uint16_t>(count << NS_PORT_SHIFT | (last ? 0 : NS_MOREFRAG) | NS_BUF_CHANGED);
    rx_ends_[rx_hwtail_] = last ? 1 : 0;
    rx_hwtail_ = ring.after(rx_hwtail_);
    // What the application put there in place of a buffer is lost to the kernel.
    if (ring.has_buffer(old)) {
      give(queue, old);
    } else {
      drop(Drop::bad_slot);
    }
  }
  rx_frames_.add(1);
  rx_bytes_.add(bytes);
}

}  // namespace vale
