// SPDX-License-Identifier: BSD-2-Clause
#include <sys/time.h>

#include "nic/wire_port.h"

namespace vale {
namespace {

constexpr uint32_t kIdleLook = 4096;  // empty syncs between two looks for a removed interface

}  // namespace

int WirePort::rxsync() {
  if (removed_.load(std::memory_order_relaxed)) return ENODEV;
  if (!receives() || rx_busy_.test_and_set(std::memory_order_acquire)) return 0;
  netmap_ring* ring = rx();
  const uint32_t before = rx_hwtail_;
  release(ring);
  fill(ring);
  if (rx_hwtail_ != before || (ring->flags & NR_TIMESTAMP)) gettimeofday(&ring->ts, nullptr);
  __atomic_store_n(&ring->tail, rx_hwtail_, __ATOMIC_RELEASE);
  // One that never sleeps would not hear of it otherwise.
  if (rx_hwtail_ != before) {
    idle_syncs_ = 0;
  } else if (++idle_syncs_ % kIdleLook == 0) {
    look_for_removal();
  }
  rx_busy_.clear(std::memory_order_release);
  return removed_.load(std::memory_order_relaxed) ? ENODEV : 0;
}

// Takes back the slots that the application has done with.
void WirePort::release(netmap_ring* ring) {
  const uint32_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
  const uint32_t cur = __atomic_load_n(&ring->cur, __ATOMIC_RELAXED);
  const uint32_t filled = distance(ring, rx_hwcur_, rx_hwtail_);
  if (head >= ring->num_slots || cur >= ring->num_slots ||
      distance(ring, rx_hwcur_, head) > filled ||
      distance(ring, head, cur) > distance(ring, head, rx_hwtail_)) {
    ring->head = ring->cur = rx_hwcur_;
    return;
  }
  uint64_t frames = 0;
  for (; rx_hwcur_ != head; rx_hwcur_ = after(ring, rx_hwcur_)) {
    frames += rx_ends_[rx_hwcur_];
    ring->slot[rx_hwcur_].flags &= static_cast<uint16_t>(~NS_BUF_CHANGED);
  }
  if (frames != 0) rx_read_.add(frames);
}

}  // namespace vale
