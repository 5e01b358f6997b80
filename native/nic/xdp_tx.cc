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
  netmap_ring* ring = tx();
  collect(ring);
  push(ring);
  if (socket_.to_kick()) kick();
  collect(ring);
  __atomic_store_n(&ring->tail, tx_done_ == 0 ? ring->num_slots - 1 : tx_done_ - 1,
                   __ATOMIC_RELEASE);
  tx_busy_.clear(std::memory_order_release);
  return removed_.load(std::memory_order_relaxed) ? ENODEV : 0;
}

// Slots whose buffers the kernel has done with are the application's again, in the ring's order.
void XdpPort::collect(netmap_ring* ring) {
  uint64_t done[kBatch];
  for (uint32_t n; (n = socket_.sent(done, kBatch)) != 0;) {
    for (uint32_t i = 0; i < n; i++) tx_pending_[tx_slot_[buffers_.at_start(done[i])]] = 0;
  }
  while (tx_done_ != tx_hwcur_ && tx_pending_[tx_done_] == 0) {
    ring->slot[tx_done_].flags &= static_cast<uint16_t>(~NS_BUF_CHANGED);
    tx_done_ = after(ring, tx_done_);
  }
}

uint32_t XdpPort::measure(netmap_ring* ring, uint32_t at, uint32_t head, uint32_t* bytes,
                          Drop* why) const {
  const Buffers& buffers = parts_.region->buffers();
  uint32_t slots = 0;
  bool more = true;
  *bytes = 0;
  *why = Drop::count_;
  while (more && at != head) {
    const netmap_slot slot = ring->slot[at];
    more = (slot.flags & NS_MOREFRAG) != 0;
    slots++;
    *bytes += slot.len;
    const bool good = buffers.valid(slot.buf_idx) && slot.len <= ring->nr_buf_size;
    if (!good || ((slot.flags & NS_INDIRECT) != 0 && !fetch_indirect(ring, slot))) {
      *why = Drop::bad_slot;
    }
    at = after(ring, at);
  }
  if (*why != Drop::count_) return slots;
  if (slots > NETMAP_MAX_FRAGS) {
    *why = Drop::too_long;
  } else if (*bytes < ETH_HLEN) {
    *why = Drop::runt;
  } else if (*bytes > parts_.interface.mtu + ETH_HLEN + kTag ||
             (slots > 1 && !socket_.fragments())) {
    *why = Drop::too_big;
  } else if (down_) {
    *why = Drop::link_down;
  }
  return slots;
}

// The kernel only reads the UMEM: the payload comes into the slot's own buffer. False: unreadable.
bool XdpPort::fetch_indirect(netmap_ring* ring, const netmap_slot& slot) const {
  const iovec to = {NETMAP_BUF(ring, slot.buf_idx), slot.len};
  const iovec from = {reinterpret_cast<void*>(slot.ptr), slot.len};
  return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == static_cast<ssize_t>(slot.len);
}

void XdpPort::push(netmap_ring* ring) {
  const uint32_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
  const uint32_t cur = __atomic_load_n(&ring->cur, __ATOMIC_RELAXED);
  const uint32_t tail = tx_done_ == 0 ? ring->num_slots - 1 : tx_done_ - 1;
  if (head >= ring->num_slots || cur >= ring->num_slots ||
      distance(ring, tx_hwcur_, head) > distance(ring, tx_hwcur_, tail) ||
      distance(ring, head, cur) > distance(ring, head, tail)) {
    ring->head = ring->cur = tx_hwcur_;
    return;
  }
  uint64_t frames = 0, bytes = 0, delivered = 0;
  while (tx_hwcur_ != head) {
    uint32_t length = 0;
    Drop why = Drop::count_;
    uint32_t slots = measure(ring, tx_hwcur_, head, &length, &why);
    if (why == Drop::count_) {
      if (socket_.tx_room() < slots) {
        kick();
        collect(ring);
        if (socket_.tx_room() < slots) break;
      }
      delivered++;
    } else {
      drop(why);
    }
    frames++;
    bytes += length;
    for (; slots != 0; slots--, tx_hwcur_ = after(ring, tx_hwcur_)) {
      if (why != Drop::count_) continue;
      const netmap_slot& slot = ring->slot[tx_hwcur_];
      tx_slot_[slot.buf_idx] = tx_hwcur_;
      tx_pending_[tx_hwcur_] = 1;
      socket_.send(buffers_.address(slot.buf_idx), slot.len, slots > 1);
    }
  }
  tx_frames_.add(frames);
  tx_bytes_.add(bytes);
  tx_delivered_.add(delivered);
}

void XdpPort::kick() {
  for (;;) {
    const int err = socket_.kick();
    if (err == EBUSY) {  // the driver has thrown one away: no carrier, or its queue is full
      drop(Drop::link_down);
      tx_delivered_.add(~uint64_t{0});
      if (socket_.to_kick()) continue;
    } else if (err == ENETDOWN || err == ENXIO) {
      down_ = true;
      look_for_removal();
    }
    return;
  }
}

}  // namespace vale
