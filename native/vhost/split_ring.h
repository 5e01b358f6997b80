// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A split virtqueue (virtio 1.2, section 2.7), as queue.h has it: a table of descriptors, a ring by
//   which the guest makes chains of them available, and one by which they are used.
// Owns. Positions in the rings. Not the memory.
// Invariants. Those of queue.h. What is used is in the used ring at once, and shown by publish(): of one
//   who dies in between, the next one begins at what was shown.
// Not here. What queues of both kinds do alike (queue.h), descriptors (chain.h).
#pragma once

#include "vhost/chain.h"

namespace vale::vhost {

class SplitRing {
 public:
  // Null: good. Also for the same places again, after the memory was mapped anew.
  const char* place(const RingAddress& address, uint32_t size, GuestMemory* memory, bool events);
  // Null: good. base: what set_vring_base told.
  const char* begin(uint32_t base);
  uint32_t base() const { return next_; }

  bool more() const { return __atomic_load_n(&available_->index, __ATOMIC_ACQUIRE) != seen_; }
  Take take(ChainReader& reader, Chain* out);
  uint32_t cursor() const { return next_; }
  void rewind(uint32_t to) { next_ = static_cast<uint16_t>(to); }
  void use(uint16_t id, uint32_t written);
  uint32_t look(const ChainReader& reader, bool writable, Plain* out, uint32_t most) const;
  void finish(const Plain* chains, uint32_t count, bool writable);
  // Whether the guest wants an interrupt for it.
  bool publish();
  void want_kicks(bool wanted);
  void set_logging(const RingAddress& address) { address_ = address; }

 private:
  bool walk(ChainReader& reader, uint16_t head, Chain* out);
  bool wants_interrupt(uint16_t before, uint16_t now) const;
  void log(uint64_t offset, uint64_t bytes);

  GuestMemory* memory_ = nullptr;
  RingAddress address_ = {};
  uint32_t size_ = 0;
  bool events_ = false;
  SplitDescriptor* descriptors_ = nullptr;
  AvailableRing* available_ = nullptr;
  UsedRing* used_ = nullptr;
  uint16_t next_ = 0;        // to be taken
  uint16_t seen_ = 0;        // what the guest had made available when that was last looked at
  uint16_t used_index_ = 0;  // of the next element of the used ring
  uint16_t shown_ = 0;       // as the guest sees it
  bool told_ = false;        // an interrupt was considered since the start
  bool kicks_ = false;       // was told that they are wanted
};

}  // namespace vale::vhost
