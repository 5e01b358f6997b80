// SPDX-License-Identifier: BSD-2-Clause
#include <linux/if_ether.h>

#include "nic/packet_batch.h"

namespace vale {
int PacketPort::txsync() {
  if (removed_.load(std::memory_order_relaxed)) return ENODEV;
  if (!sends() || tx_busy_.test_and_set(std::memory_order_acquire)) return 0;
  push(tx());
  tx_busy_.clear(std::memory_order_release);
  return removed_.load(std::memory_order_relaxed) ? ENODEV : 0;
}

void PacketPort::push(const RingView& ring) {
  uint32_t head;
  if (!taken_head(ring, tx_hwcur_, tx_hwtail_, &head)) return show_tail(ring, tx_hwtail_);
  tx_blocked_ = false;
  while (tx_hwcur_ != head) {
    if (!gather(ring, head)) {
      drop_taken(ring, 1, batch_->why);
    } else if (!send_batch(ring)) {
      break;
    }
  }
  tx_hwtail_ = ring.before(tx_hwcur_);
  show_tail(ring, tx_hwtail_);
}

// Fills the batch with whole frames. False: it holds a single one that must be dropped.
bool PacketPort::gather(const RingView& ring, uint32_t head) {
  Batch& batch = *batch_;
  batch.first = batch.frames = 0;
  unsigned used = 0;
  uint32_t at = tx_hwcur_;
  while (at != head && batch.frames < Batch::kFrames) {
    const unsigned begin = used;
    if (used == Batch::kParts) break;
    batch.parts[used++] = {&batch.header, sizeof batch.header};
    uint32_t bytes = 0;
    unsigned fragments = 0;
    bool bad = false, more = true, room = true;
    while (more && at != head) {
      const netmap_slot slot = ring.as_written(at);
      at = ring.after(at);
      more = (slot.flags & NS_MOREFRAG) != 0;
      bytes += slot.len;
      if (++fragments > NETMAP_MAX_FRAGS) continue;
      char* data = reinterpret_cast<char*>(slot.ptr);  // the kernel checks it
      if ((slot.flags & NS_INDIRECT) == 0) {
        if (!ring.has_buffer(slot.buf_idx) || slot.len > ring.buf_size()) {
          bad = true;
          continue;
        }
        data = ring.buffer(slot.buf_idx);
      }
      if (used == Batch::kParts) {
        room = false;
      } else {
        batch.parts[used++] = {data, slot.len};
      }
    }
    const bool too_long = fragments > NETMAP_MAX_FRAGS;
    const bool runt = bytes < ETH_HLEN;
    if ((!room || bad || too_long || runt) && batch.frames != 0) break;
    batch.ends[batch.frames] = at;
    batch.bytes[batch.frames] = bytes;
    if (bad || too_long || runt) {
      batch.why = bad ? Drop::bad_slot : too_long ? Drop::too_long : Drop::runt;
      return false;
    }
    mmsghdr& message = batch.messages[batch.frames++];
    message = {};
    message.msg_hdr.msg_iov = &batch.parts[begin];
    message.msg_hdr.msg_iovlen = used - begin;
  }
  return true;
}

// False when the kernel takes no more for now.
bool PacketPort::send_batch(const RingView& ring) {
  Batch& batch = *batch_;
  while (batch.first != batch.frames) {
    int error = 0;
    const unsigned sent =
        socket_->send(batch.messages + batch.first, batch.frames - batch.first, &error);
    if (sent == 0) {
      if (!refused(ring, error)) return false;
      continue;
    }
    uint64_t bytes = 0;
    for (unsigned i = 0; i < sent; i++) bytes += batch.bytes[batch.first + i];
    tx_frames_.add(sent);
    tx_bytes_.add(bytes);
    tx_delivered_.add(sent);
    taken(ring, sent);
  }
  return true;
}

// The kernel has refused the batch's first frame. True when it, or all, have been dropped.
bool PacketPort::refused(const RingView& ring, int error) {
  const unsigned all = batch_->frames - batch_->first;
  switch (error) {
    case EAGAIN:
      return false;
    case ENOBUFS:
    case ENOMEM: {  // the driver's queue is full, or there is no carrier
      Interface now;
      if (error == ENOMEM || (find_interface(parts_.interface.index, &now) == 0 && now.running)) {
        tx_blocked_ = true;
        return false;
      }
      drop_taken(ring, all, Drop::link_down);
      return true;
    }
    case EMSGSIZE:
      drop_taken(ring, 1, Drop::too_big);
      return true;
    case EFAULT:
    case EINVAL:
      drop_taken(ring, 1, Drop::bad_slot);
      return true;
    default:
      if (socket_->removed()) removed_.store(true, std::memory_order_relaxed);
      drop_taken(ring, all, Drop::link_down);
      return true;
  }
}

void PacketPort::drop_taken(const RingView& ring, unsigned frames, Drop why) {
  uint64_t bytes = 0;
  for (unsigned i = 0; i < frames; i++) bytes += batch_->bytes[batch_->first + i];
  tx_frames_.add(frames);
  tx_bytes_.add(bytes);
  drop(why, frames);
  taken(ring, frames);
}

// The batch's next frames have left their slots.
void PacketPort::taken(const RingView& ring, unsigned frames) {
  batch_->first += frames;
  const uint32_t end = batch_->ends[batch_->first - 1];
  while (tx_hwcur_ != end) {
    ring.at(tx_hwcur_).flags &= static_cast<uint16_t>(~NS_BUF_CHANGED);
    tx_hwcur_ = ring.after(tx_hwcur_);
  }
}

}  // namespace vale
