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
  const RingView& ring = rx();
  const uint32_t before = rx_hwtail_;
  release(ring);
  fill(ring);
  if (rx_hwtail_ != before || (ring.ring()->flags & NR_TIMESTAMP))
    gettimeofday(&ring.ring()->ts, nullptr);
  show_tail(ring, rx_hwtail_);
  // One that never sleeps would not hear of it otherwise.
  if (rx_hwtail_ != before) {
    idle_syncs_ = 0;
  } else if (++idle_syncs_ % kIdleLook == 0) {
    look_for_removal();
  }
  rx_busy_.clear(std::memory_order_release);
  return removed_.load(std::memory_order_relaxed) ? ENODEV : 0;
}

bool WirePort::taken_head(const RingView& ring, uint32_t from, uint32_t to, uint32_t* head) {
  netmap_ring* shown = ring.ring();
  const uint32_t h = __atomic_load_n(&shown->head, __ATOMIC_ACQUIRE);
  const uint32_t cur = __atomic_load_n(&shown->cur, __ATOMIC_RELAXED);
  if (h >= ring.slots() || cur >= ring.slots() ||
      ring.distance(from, h) > ring.distance(from, to) ||
      ring.distance(h, cur) > ring.distance(h, to)) {
    ring.release(from);
    return false;
  }
  *head = h;
  return true;
}

// Takes back the slots that the application has done with.
void WirePort::release(const RingView& ring) {
  uint32_t head;
  if (!taken_head(ring, rx_hwcur_, rx_hwtail_, &head)) return;
  uint64_t frames = 0;
  for (; rx_hwcur_ != head; rx_hwcur_ = ring.after(rx_hwcur_)) {
    frames += rx_ends_[rx_hwcur_];
    ring.at(rx_hwcur_).flags &= static_cast<uint16_t>(~NS_BUF_CHANGED);
  }
  if (frames != 0) rx_read_.add(frames);
}

}  // namespace vale
