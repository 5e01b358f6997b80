// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. create() lays out one port's netmap rings and buffers in memory of this process.
//
// Owns. The memory, until destruction.
//
// Invariants. The layout of abi/netmap.h: one tx and one rx ring, every slot with a buffer of its
//   own, buffers from index 2 on, extra buffers linked from ni_bufs_head. Rings that are not bound
//   have offset 0, as have the host rings, of which the netmap_if always names one a direction.
//
// Not here. Memory that other processes see (shm/).
#pragma once

#include <cstdint>
#include <memory>

#include "abi/netmap.h"
#include "status.h"

namespace vale {

struct PrivateRegionWish {
  const char* name;
  uint32_t tx_slots, rx_slots;
  uint32_t buf_size;  // bytes, a multiple of 64 below 65536
  uint32_t extra_bufs;
  bool bind_tx, bind_rx;
};

class PrivateRegion {
 public:
  static Status create(const PrivateRegionWish& wish, std::unique_ptr<PrivateRegion>* out);
  ~PrivateRegion();
  PrivateRegion(const PrivateRegion&) = delete;
  PrivateRegion& operator=(const PrivateRegion&) = delete;

  char* base() const { return base_; }
  uint64_t bytes() const { return bytes_; }
  netmap_if* nifp() const { return nifp_; }
  // Exist whether or not they are bound.
  netmap_ring* tx() const { return tx_; }
  netmap_ring* rx() const { return rx_; }
  bool valid_buffer(uint32_t index) const { return index >= 2 && index < buffers_; }

 private:
  PrivateRegion() = default;
  netmap_ring* place_ring(uint64_t offset, uint32_t slots, uint16_t dir, uint32_t* next_buffer);

  char* base_ = nullptr;
  uint64_t bytes_ = 0;
  uint64_t buffers_offset_ = 0;
  uint32_t buf_size_ = 0;
  uint32_t buffers_ = 0;  // including the two reserved ones
  netmap_if* nifp_ = nullptr;
  netmap_ring* tx_ = nullptr;
  netmap_ring* rx_ = nullptr;
};

}  // namespace vale
