// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. An engine asks a Port for the view of a ring once and uses it for as long as the Port lives:
//   1. head() and tail() say which slots are the engine's; slot() reads one of them.
//   2. buffer() is where its bytes are, at most buf_size of them.
//   3. release() hands slots over, before the sync.
//
// Owns. Nothing: pointers into the port's mapping, and sizes kept where no other process writes them.
// Invariants. Whatever stands in the region at any moment, head() and tail() are slots of the ring, and
//   buffer() is a place in the mapping with buf_size bytes behind it. The fields that netmap_ring holds for
//   applications (num_slots, nr_buf_size, buf_ofs) are never read: who may write the region may write
//   them too.
// Not here. What frames mean (engine/), syncs (device/device.h).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "abi/netmap.h"

namespace vale {

class RingView {
 public:
  RingView() = default;
  // zero: where buffer 0 is; buffers below *bound exist, 0 and 1 among them.
  RingView(netmap_ring* ring, uint32_t slots, char* zero, uint32_t buf_size,
           const std::atomic<uint32_t>* bound)
      : ring_(ring), zero_(zero), bound_(bound), slots_(slots), buf_size_(buf_size) {}

  netmap_ring* ring() const { return ring_; }
  uint32_t slots() const { return slots_; }
  uint32_t buf_size() const { return buf_size_; }

  uint32_t head() const { return index(&ring_->head); }
  uint32_t cur() const { return index(&ring_->cur); }
  uint32_t tail() const { return index(&ring_->tail); }
  // From head to tail: to be read of an rx ring, free in a tx ring.
  uint32_t available() const { return distance(head(), tail()); }

  uint32_t after(uint32_t slot) const { return slot + 1 == slots_ ? 0 : slot + 1; }
  uint32_t before(uint32_t slot) const { return slot == 0 ? slots_ - 1 : slot - 1; }
  uint32_t distance(uint32_t from, uint32_t to) const {
    return to >= from ? to - from : to + slots_ - from;
  }

  netmap_slot& at(uint32_t slot) const { return ring_->slot[slot]; }
  // A copy that stays as it is, with a length that its buffer has.
  netmap_slot slot(uint32_t i) const {
    netmap_slot copy = as_written(i);
    if (copy.len > buf_size_) copy.len = static_cast<uint16_t>(buf_size_);
    return copy;
  }
  // A copy for who looks at the length itself.
  netmap_slot as_written(uint32_t i) const {
    const uint64_t* from = reinterpret_cast<const uint64_t*>(&ring_->slot[i]);
    const uint64_t words[2] = {__atomic_load_n(from, __ATOMIC_RELAXED),
                               __atomic_load_n(from + 1, __ATOMIC_RELAXED)};
    netmap_slot copy;
    std::memcpy(&copy, words, sizeof copy);
    return copy;
  }
  bool has_buffer(uint32_t index) const {
    return index >= 2 && index < bound_->load(std::memory_order_relaxed);
  }
  // Of an index that names none: buffer 0, which is nobody's.
  char* buffer(uint32_t index) const {
    const uint32_t i = index < bound_->load(std::memory_order_relaxed) ? index : 0;
    return zero_ + uint64_t{i} * buf_size_;
  }

  // Slots before `head` are the port's; a wait ends when there is something beyond `cur`.
  void release(uint32_t head, uint32_t cur) const {
    ring_->head = head;
    ring_->cur = cur;
  }
  void release(uint32_t head) const { release(head, head); }

 private:
  uint32_t index(const uint32_t* field) const {
    const uint32_t i = __atomic_load_n(field, __ATOMIC_RELAXED);
    return i < slots_ ? i : 0;
  }

  netmap_ring* ring_ = nullptr;
  char* zero_ = nullptr;
  const std::atomic<uint32_t>* bound_ = nullptr;
  uint32_t slots_ = 0, buf_size_ = 0;
};

}  // namespace vale
