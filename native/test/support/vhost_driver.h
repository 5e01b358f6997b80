// SPDX-License-Identifier: BSD-2-Clause
// The driver's side of a virtqueue, split or packed, written from the documents alone.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "vhost/protocol.h"

namespace master {

using namespace vale::vhost;

struct Driver {  // of one queue
  uint32_t index = 0, size = 0;
  bool packed = false, events = false;
  SplitDescriptor* descriptors = nullptr;
  AvailableRing* available = nullptr;
  UsedRing* used = nullptr;
  uint64_t buffers = 0;  // offset of its buffers in the memory
  uint32_t buffer_bytes = 0;
  uint16_t next = 0;           // to be made available
  uint16_t seen = 0;           // of what is used
  std::vector<uint16_t> free;  // descriptors, or of a packed ring buffers
  int kick = -1, call = -1;
  uint64_t kicks = 0;

  // Of a packed ring: positions count through two laps.
  uint32_t free_slots = 0;
  std::vector<uint16_t> slots_of;  // of a buffer

  PackedDescriptor* slot(uint32_t at) const {
    return reinterpret_cast<PackedDescriptor*>(descriptors) + at % size;
  }
  uint16_t marks(uint32_t at, bool is_used) const {
    const bool one = at < size;
    if (is_used) return one ? kAvailable | kUsed : 0;
    return one ? kAvailable : kUsed;
  }
  PackedEvent* own_event() const { return reinterpret_cast<PackedEvent*>(available); }
  uint32_t kicks_at() const { return __atomic_load_n(reinterpret_cast<uint32_t*>(used), 5); }

  // How many more chains of so many descriptors there may be now.
  bool has_room(size_t descriptors_needed) const {
    if (!packed) return free.size() >= descriptors_needed;
    return !free.empty() && free_slots >= descriptors_needed;
  }
  // A chain of these, whose links are made here; its id.
  uint16_t offer(std::vector<SplitDescriptor> chain) {
    if (packed) return offer_packed(chain);
    std::vector<uint16_t> taken(free.end() - static_cast<long>(chain.size()), free.end());
    free.resize(free.size() - chain.size());
    for (size_t i = 0; i < chain.size(); i++) {
      const bool last = i + 1 == chain.size();
      chain[i].flags = static_cast<uint16_t>(chain[i].flags | (last ? 0 : kNext));
      chain[i].next = last ? uint16_t{0} : taken[i + 1];
      descriptors[taken[i]] = chain[i];
    }
    offer(taken[0]);
    return taken[0];
  }
  // The buffer that the next chain will have.
  uint16_t next_id(size_t chain) const { return packed ? free.back() : free[free.size() - chain]; }
  // Raw, for what no driver would do. Of a split ring.
  void offer(uint16_t head) {
    available->ring[next % size] = head;
    const uint16_t before = next++;
    __atomic_store_n(&available->index, next, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    bool wanted = (__atomic_load_n(&used->flags, __ATOMIC_RELAXED) & kNoKick) == 0;
    if (events) {
      const uint16_t event =
          __atomic_load_n(reinterpret_cast<const uint16_t*>(&used->ring[size]), __ATOMIC_RELAXED);
      wanted = static_cast<uint16_t>(next - event - 1) < static_cast<uint16_t>(next - before);
    }
    if (wanted) ring_bell();
  }
  void ring_bell() {
    const uint64_t one = 1;
    kicks++;
    if (write(kick, &one, sizeof one) != sizeof one) std::abort();
  }

  bool has_used() const {
    if (!packed) return seen != __atomic_load_n(&used->index, __ATOMIC_ACQUIRE);
    const uint16_t flags = __atomic_load_n(&slot(seen)->flags, __ATOMIC_ACQUIRE);
    return (flags & (kAvailable | kUsed)) == marks(seen, true);
  }
  // has_used() was true. Its buffer is free again unless it is to be done with by the caller.
  UsedElement take_used() {
    if (!packed) return used->ring[seen++ % size];
    const UsedElement one = {slot(seen)->id, slot(seen)->bytes};
    if (one.id >= size) return one;
    seen = static_cast<uint16_t>((seen + slots_of[one.id]) % (2 * size));
    free_slots += slots_of[one.id];
    return one;
  }
  void want_interrupt() {
    if (!packed) return __atomic_store_n(&available->ring[size], seen, __ATOMIC_SEQ_CST);
    const uint32_t place = seen % size | (seen < size ? kLap : 0u);
    const uint32_t event = events ? place | uint32_t{kTellAtPlace} << 16 : 0;
    __atomic_store_n(reinterpret_cast<uint32_t*>(available), event, __ATOMIC_SEQ_CST);
  }

 private:
  uint16_t offer_packed(const std::vector<SplitDescriptor>& chain) {
    const uint16_t id = free.back();
    free.pop_back();
    const uint32_t first = next;
    for (size_t i = chain.size(); i-- > 0;) {
      const uint32_t at = static_cast<uint32_t>(first + i) % (2 * size);
      const uint16_t flags = static_cast<uint16_t>(chain[i].flags | marks(at, false) |
                                                   (i + 1 == chain.size() ? 0 : kNext));
      slot(at)->address = chain[i].address;
      slot(at)->bytes = chain[i].bytes;
      slot(at)->id = id;
      __atomic_store_n(&slot(at)->flags, flags, __ATOMIC_RELEASE);
    }
    slots_of[id] = static_cast<uint16_t>(chain.size());
    free_slots -= slots_of[id];
    next = static_cast<uint16_t>((first + chain.size()) % (2 * size));
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    const uint32_t event = kicks_at(), how = event >> 16;
    bool wanted = how != kTellNever;
    if (how == kTellAtPlace) {
      const uint32_t at = (event & (kLap - 1u)) + ((event & kLap) != 0 ? 0 : size);
      wanted = (at + 2 * size - first) % (2 * size) < chain.size();
    }
    if (wanted) ring_bell();
    return id;
  }
};

}  // namespace master
