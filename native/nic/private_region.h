// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. create() lays out one port's netmap rings in memory of this process, and its buffers there
//   too, or takes buffers of another port's region for them.
//
// Owns. The memory, until destruction.
//
// Invariants. The layout of abi/netmap.h: a tx and an rx ring for the interface and for the host's
//   side, as far as asked for, every slot with a buffer of its own. Rings that are not bound have
//   offset 0; the netmap_if always names one host ring a direction. Buffers of its own are numbered
//   from 2 on, with extra ones linked from ni_bufs_head.
//
// Not here. Memory that other processes see (shm/).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "abi/netmap.h"
#include "nic/mapping.h"
#include "ring_view.h"
#include "status.h"

namespace vale {

// Buffers that rings can hold: buffer i is at `zero` + i * buf_size.
struct Buffers {
  char* zero = nullptr;
  uint32_t buf_size = 0;
  uint32_t limit = 0;          // indices from 2 to below this are buffers
  std::vector<uint32_t> free;  // in nobody's ring; the last is taken first

  bool valid(uint32_t index) const { return index >= 2 && index < limit; }
  char* at(uint32_t index) const { return zero + uint64_t{index} * buf_size; }
  uint32_t take() {
    const uint32_t index = free.back();
    free.pop_back();
    return index;
  }
};

struct PrivateRegionWish {
  const char* name;
  uint32_t tx_slots, rx_slots;
  uint32_t buf_size;  // bytes, a multiple of 64 below 65536; of shared buffers, theirs
  uint32_t extra_bufs;
  bool nic, host;  // which pairs of rings
  bool bind_tx, bind_rx;
  uint32_t spare = 0;               // buffers beside the rings', for whoever drives them
  const Buffers* shared = nullptr;  // whose free ones are used instead of own; must be enough
};

struct RingPair {
  RingView tx, rx;  // exist whether or not they are bound
};

class PrivateRegion {
 public:
  static Status create(const PrivateRegionWish& wish, std::unique_ptr<PrivateRegion>* out);
  PrivateRegion(const PrivateRegion&) = delete;
  PrivateRegion& operator=(const PrivateRegion&) = delete;

  char* base() const { return memory_.data(); }
  uint64_t bytes() const { return memory_.bytes(); }
  netmap_if* nifp() const { return nifp_; }
  const RingPair& nic() const { return pairs_[0]; }
  const RingPair& host() const { return pairs_[1]; }
  Buffers& buffers() { return buffers_; }

 private:
  PrivateRegion() = default;
  RingView place_ring(uint64_t offset, uint32_t slots, uint16_t id, uint16_t dir);

  Mapping memory_;
  Buffers buffers_;
  std::atomic<uint32_t> bound_{0};
  netmap_if* nifp_ = nullptr;
  RingPair pairs_[2];
};

}  // namespace vale
