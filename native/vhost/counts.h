// SPDX-License-Identifier: BSD-2-Clause
// What passed between a guest and its port. rx is what came from the guest.
#pragma once

#include <atomic>

#include "types.h"

namespace vale::vhost {

// Written by one thread, read by any.
class Count {
 public:
  void add(uint64_t n) { n_.store(get() + n, std::memory_order_relaxed); }
  uint64_t get() const { return n_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> n_{0};
};

struct Counts {
  Count rx_frames, rx_bytes;
  // A super-frame that is cut for the guest is one frame and several copies.
  Count tx_frames, tx_bytes, tx_copies, tx_delivered;
  Count drops[kDropReasons];

  uint64_t frames() const { return rx_frames.get() + tx_frames.get(); }
  uint64_t bytes() const { return rx_bytes.get() + tx_bytes.get(); }

  // Each frame is one copy, and there.
  void sent(uint64_t frames, uint64_t bytes) {
    tx_frames.add(frames);
    tx_bytes.add(bytes);
    tx_copies.add(frames);
    tx_delivered.add(frames);
  }
  void drop(Drop why, uint64_t frames = 1) { drops[static_cast<unsigned>(why)].add(frames); }
  void drop_sent(Drop why, uint64_t frames = 1) {
    tx_copies.add(frames);
    drop(why, frames);
  }
  PortCounters read() const {
    PortCounters c;
    c.tx_frames = tx_frames.get();
    c.tx_bytes = tx_bytes.get();
    c.tx_copies = tx_copies.get();
    c.tx_delivered = tx_delivered.get();
    c.rx_frames = c.rx_read = rx_frames.get();
    c.rx_bytes = rx_bytes.get();
    for (unsigned i = 0; i < kDropReasons; i++) c.drops[i] = drops[i].get();
    return c;
  }
};

}  // namespace vale::vhost
