// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A packed virtqueue (virtio 1.2, section 2.8), as queue.h has it: one ring of descriptors, which are
//   made available and used in their places, lap after lap.
//   1. begin(): where the ring says that its device has come to.
//   2. take(): the chain at the next place, if the lap's marks say that it is available.
//   3. use() keeps what is done with; publish() writes that into the ring, in order.
// Owns. Positions in the ring. Not the memory.
// Invariants. Those of queue.h. A descriptor shows that it is used by one store, of the first of its chain;
//   the others of the chain got the same mark before. So the used marks are those of this lap up to a
//   place, and those of the lap before from there on: whoever serves the ring next, after one that
//   died at any moment, finds the place by looking.
// Not here. What queues of both kinds do alike (queue.h), descriptors (chain.h).
#pragma once

#include <vector>

#include "vhost/chain.h"

namespace vale::vhost {

class PackedRing {
 public:
  // Null: good. Also for the same places again, after the memory was mapped anew.
  const char* place(const RingAddress& address, uint32_t size, GuestMemory* memory, bool events);
  // Null: good. base: what set_vring_base told, which is older than the ring if a device died.
  const char* begin(uint32_t base);
  uint32_t base() const { return mark(next_) | mark(next_) << 16; }

  bool more() const { return available(seen_); }
  Take take(ChainReader& reader, Chain* out);
  // Positions are counted through two laps: the first is that of mark 1.
  uint32_t cursor() const { return next_; }
  void rewind(uint32_t to) { next_ = to; }
  void use(uint16_t id, uint16_t slots, uint32_t written);
  uint32_t look(const ChainReader& reader, bool writable, Plain* out, uint32_t most) const;
  void finish(const Plain* chains, uint32_t count, bool writable);
  // Whether the guest wants an interrupt for it.
  bool publish();
  void want_kicks(bool wanted);
  void set_logging(const RingAddress& address) { address_ = address; }

 private:
  struct Done {
    uint16_t id, slots;
    uint32_t written;
  };

  uint32_t index(uint32_t at) const { return at < size_ ? at : at - size_; }
  uint32_t lap(uint32_t at) const { return at < size_ ? 1 : 0; }
  uint32_t mark(uint32_t at) const { return index(at) | (lap(at) != 0 ? kLap : 0u); }
  // At most a lap later.
  uint32_t after(uint32_t at, uint32_t slots) const {
    const uint32_t sum = at + slots;
    return sum < 2 * size_ ? sum : sum - 2 * size_;
  }
  uint32_t distance(uint32_t from, uint32_t to) const {
    return to >= from ? to - from : to + 2 * size_ - from;
  }
  // Bytes, id and flags of a descriptor, which are read and written at once.
  uint64_t* word(uint32_t index) const {
    return reinterpret_cast<uint64_t*>(&descriptors_[index]) + 1;
  }
  bool available(uint32_t at) const {
    return available(at, __atomic_load_n(word(index(at)), __ATOMIC_ACQUIRE));
  }
  bool available(uint32_t at, uint64_t word) const {
    const uint16_t wanted = lap(at) != 0 ? kAvailable : kUsed;
    return (static_cast<uint16_t>(word >> 48) & (kAvailable | kUsed)) == wanted;
  }
  bool recover(uint32_t* at) const;
  bool unused_from(uint32_t at) const;
  bool walk(ChainReader& reader, Chain* out);
  bool walk_table(ChainReader& reader, uint64_t address, uint64_t first, Chain* out);
  void show(const Done& done);
  bool wants_interrupt(uint32_t before, uint32_t now) const;
  void log(uint64_t user, uint64_t bytes);

  GuestMemory* memory_ = nullptr;
  RingAddress address_ = {};
  uint32_t size_ = 0;
  bool events_ = false;
  PackedDescriptor* descriptors_ = nullptr;
  uint32_t *guests_event_ = nullptr, *own_event_ = nullptr;  // PackedEvents
  uint32_t next_ = 0;                                        // to be taken
  uint32_t seen_ = 0;   // where take() has not found a chain, or not looked yet
  uint32_t shown_ = 0;  // of the next to be used, as the guest sees it
  std::vector<Done> done_;
  bool told_ = false;   // an interrupt was considered since the start
  bool kicks_ = false;  // was told that they are wanted
};

}  // namespace vale::vhost
