// SPDX-License-Identifier: BSD-2-Clause
#include <linux/if_ether.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "nic/xdp.h"

namespace vale {
namespace {

constexpr uint32_t kTag = 4;  // bytes of a VLAN tag, which may come on top of the MTU

}  // namespace

int XdpPort::txsync() {
  if (removed_.load(std::memory_order_relaxed)) return ENODEV;
  if (!sends() || tx_busy_.test_and_set(std::memory_order_acquire)) return 0;
  const RingView& ring = tx();
  tx_handed_ = 0;
  collect(ring);
  push(ring);
  if (socket_.to_kick()) kick();
  collect(ring);
  const uint32_t before = tx_waiting_.load(std::memory_order_relaxed);
  tx_waiting_.store(socket_.waiting(), std::memory_order_relaxed);
  tx_delivered_.add(before + tx_handed_ - socket_.waiting());
  show_tail(ring, ring.before(tx_done_));
  tx_busy_.clear(std::memory_order_release);
  return removed_.load(std::memory_order_relaxed) ? ENODEV : 0;
}

// Slots whose buffers the kernel has done with are the application's again, in the ring's order.
void XdpPort::collect(const RingView& ring) {
  uint64_t done[kBatch];
  for (uint32_t n; (n = socket_.sent(done, kBatch)) != 0;) {
    for (uint32_t i = 0; i < n; i++) {
      uint32_t& slot = tx_slot_[buffers_.at_start(done[i])];
      if (slot != kNowhere) tx_pending_[slot] = 0;
      slot = kNowhere;
    }
  }
  while (tx_done_ != tx_hwcur_ && tx_pending_[tx_done_] == 0) {
    ring.at(tx_done_).flags &= static_cast<uint16_t>(~NS_BUF_CHANGED);
    tx_done_ = ring.after(tx_done_);
  }
}

// Of the frame at `at`, before head.
void XdpPort::measure(const RingView& ring, uint32_t at, uint32_t head, Outgoing* out) const {
  bool more = true;
  out->count = out->bytes = 0;
  out->why = Drop::count_;
  for (; more && at != head; at = ring.after(at)) {
    const netmap_slot slot = ring.as_written(at);
    more = (slot.flags & NS_MOREFRAG) != 0;
    const bool good = ring.has_buffer(slot.buf_idx) && slot.len <= ring.buf_size() &&
                      tx_slot_[slot.buf_idx] == kNowhere && !out->has(slot.buf_idx);
    if (out->count < NETMAP_MAX_FRAGS) out->slots[out->count] = slot;
    out->count++;
    out->bytes += slot.len;
    if (!good || ((slot.flags & NS_INDIRECT) != 0 && !fetch_indirect(ring, slot))) {
      out->why = Drop::bad_slot;
    }
  }
  if (out->why != Drop::count_) return;
  if (out->count > NETMAP_MAX_FRAGS) {
    out->why = Drop::too_long;
  } else if (out->bytes < ETH_HLEN) {
    out->why = Drop::runt;
  } else if (out->bytes > parts_.interface.mtu + ETH_HLEN + kTag ||
             (out->count > 1 && !socket_.fragments())) {
    out->why = Drop::too_big;
  } else if (down_) {
    out->why = Drop::link_down;
  }
}

// The kernel only reads the UMEM: the payload comes into the slot's own buffer. False: unreadable.
bool XdpPort::fetch_indirect(const RingView& ring, const netmap_slot& slot) const {
  const iovec to = {ring.buffer(slot.buf_idx), slot.len};
  const iovec from = {reinterpret_cast<void*>(slot.ptr), slot.len};
  return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == static_cast<ssize_t>(slot.len);
}

void XdpPort::push(const RingView& ring) {
  uint32_t head;
  if (!taken_head(ring, tx_hwcur_, ring.before(tx_done_), &head)) return;
  uint64_t frames = 0, bytes = 0;
  Outgoing frame;
  while (tx_hwcur_ != head) {
    measure(ring, tx_hwcur_, head, &frame);
    const bool goes = frame.why == Drop::count_;
    if (goes && socket_.tx_room() < frame.count) {
      kick();
      collect(ring);
      if (socket_.tx_room() < frame.count) break;
    }
    if (goes) {
      tx_handed_++;
    } else {
      drop(frame.why);
    }
    frames++;
    bytes += frame.bytes;
    for (uint32_t i = 0; i < frame.count; i++, tx_hwcur_ = ring.after(tx_hwcur_)) {
      if (!goes) continue;
      const netmap_slot& slot = frame.slots[i];
      tx_slot_[slot.buf_idx] = tx_hwcur_;
      tx_pending_[tx_hwcur_] = 1;
      socket_.send(buffers_.address(slot.buf_idx), slot.len, i + 1 < frame.count);
    }
  }
  tx_frames_.add(frames);
  tx_bytes_.add(bytes);
}

void XdpPort::kick() {
  for (;;) {
    const int err = socket_.kick();
    if (err == EBUSY) {  // the driver has thrown one away: no carrier, or its queue is full
      drop(Drop::link_down);
      tx_handed_--;
      if (socket_.to_kick()) continue;
    } else if (err == ENETDOWN || err == ENXIO) {
      down_ = true;
      look_for_removal();
    }
    return;
  }
}

}  // namespace vale
