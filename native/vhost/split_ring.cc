// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/split_ring.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "switch/prefetch.h"

namespace vale::vhost {
namespace {

constexpr uint32_t kUsedInLine = 64 / sizeof(UsedElement);

uint16_t load(const uint16_t* p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
void store(uint16_t* p, uint16_t value) { __atomic_store_n(p, value, __ATOMIC_RELEASE); }

// Once, into memory of ours: the guest may change its own meanwhile.
SplitDescriptor read_descriptor(const SplitDescriptor* from) {
  const uint64_t* words = reinterpret_cast<const uint64_t*>(from);
  const uint64_t copy[2] = {__atomic_load_n(&words[0], __ATOMIC_RELAXED),
                            __atomic_load_n(&words[1], __ATOMIC_RELAXED)};
  SplitDescriptor d;
  std::memcpy(&d, copy, sizeof d);
  return d;
}

}  // namespace

const char* SplitRing::place(const RingAddress& a, uint32_t size, GuestMemory* memory,
                             bool events) {
  if ((size & (size - 1)) != 0) return "a ring of an impossible size";
  RingParts parts = {kDescriptorBytes * size, available_bytes(size), used_bytes(size)};
  if (const char* wrong = parts.find(a, *memory, 2)) return wrong;
  memory_ = memory;
  address_ = a;
  size_ = size;
  events_ = events;
  available_ = reinterpret_cast<AvailableRing*>(parts.available);
  used_ = reinterpret_cast<UsedRing*>(parts.used);
  descriptors_ = reinterpret_cast<SplitDescriptor*>(parts.descriptors);
  return nullptr;
}

const char* SplitRing::begin(uint32_t base) {
  if (base > UINT16_MAX) return "a ring position that cannot be";
  seen_ = next_ = static_cast<uint16_t>(base);
  used_index_ = shown_ = load(&used_->index);
  told_ = false;
  kicks_ = false;  // whatever the one before has left there
  return nullptr;
}

Take SplitRing::take(ChainReader& reader, Chain* out) {
  seen_ = load(&available_->index);
  const uint16_t there = static_cast<uint16_t>(seen_ - next_);
  if (there == 0) return Take::none;
  const uint16_t head = __atomic_load_n(&available_->ring[next_ & (size_ - 1)], __ATOMIC_RELAXED);
  if (there > size_) {
    reader.broken("more buffers than its ring has room for");
    return Take::broken;
  }
  if (!walk(reader, head, out)) return Take::broken;
  next_++;
  return Take::chain;
}

bool SplitRing::walk(ChainReader& reader, uint16_t head, Chain* out) {
  ChainReader::begin(out);
  out->id = head;
  out->slots = 1;
  const SplitDescriptor* from = descriptors_;
  uint32_t count = size_, at = head;
  for (uint32_t steps = 0;; steps++) {
    if (at >= count) return reader.broken("a descriptor beyond its table");
    if (steps >= count) return reader.broken("a chain of descriptors that is a loop");
    const SplitDescriptor d = read_descriptor(&from[at]);
    if ((d.flags & kIndirectTable) != 0) {
      if (from != descriptors_) return reader.broken("an indirect descriptor within a table");
      const char* const table = reader.table(d.address, d.bytes, d.flags, &count);
      if (table == nullptr) return false;
      from = reinterpret_cast<const SplitDescriptor*>(table);
      at = 0;
      steps = UINT32_MAX;  // from 0 again
      continue;
    }
    if (!reader.piece(d.address, d.bytes, d.flags, out)) return false;
    if ((d.flags & kNext) == 0) return true;
    at = d.next;
  }
}

void SplitRing::use(uint16_t id, uint32_t written) {
  const uint32_t at = used_index_ & (size_ - 1);
  used_->ring[at] = {id, written};
  log(4 + 8 * at, 8);
  used_index_++;
}

uint32_t SplitRing::look(const ChainReader& reader, bool writable, Plain* out,
                         uint32_t most) const {
  const uint16_t there = static_cast<uint16_t>(load(&available_->index) - next_);
  if (there > size_) return 0;
  const uint32_t count = std::min<uint32_t>(there, most), mask = size_ - 1;
  // The guest's processor has them.
  for (uint32_t i = 0; i < count; i += kUsedInLine)
    prefetch_for_write(&used_->ring[(used_index_ + i) & mask]);
  for (uint32_t i = 0; i < count; i++) {
    const uint16_t head = __atomic_load_n(&available_->ring[(next_ + i) & mask], __ATOMIC_RELAXED);
    if (head >= size_) return i;
    SplitDescriptor d = read_descriptor(&descriptors_[head]);
    if ((d.flags & kIndirectTable) != 0) [[unlikely]] {
      uint64_t words[2];
      if (!reader.only(d.address, d.bytes, d.flags, words)) return i;
      std::memcpy(&d, words, sizeof d);
    }
    if (!reader.plain(d.address, d.bytes, d.flags, writable, &out[i])) return i;
    out[i].id = head;
  }
  return count;
}

void SplitRing::finish(const Plain* chains, uint32_t count, bool writable) {
  next_ = static_cast<uint16_t>(next_ + count);
  if (memory_->logs()) [[unlikely]] {
    for (uint32_t i = 0; i < count; i++) use(chains[i].id, writable ? chains[i].bytes : 0);
    return;
  }
  const uint32_t mask = size_ - 1, written = writable ? ~0u : 0;
  uint16_t at = used_index_;
  UsedElement* const ring = used_->ring;
  for (uint32_t i = 0; i < count; i++, at++)
    ring[at & mask] = {chains[i].id, chains[i].bytes & written};
  used_index_ = at;
}

bool SplitRing::publish() {
  if (used_index_ == shown_) return false;
  const uint16_t before = shown_;
  store(&used_->index, used_index_);
  shown_ = used_index_;
  log(2, 2);
  const bool wanted = wants_interrupt(before, used_index_);
  told_ = true;
  return wanted;
}

bool SplitRing::wants_interrupt(uint16_t before, uint16_t now) const {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // the index is seen before this looks
  if (!events_) return (load(&available_->flags) & kNoInterrupt) == 0;
  const uint16_t at = load(&available_->ring[size_]);
  // Whether it is among those just shown: [before, now).
  return !told_ || static_cast<uint16_t>(now - at - 1) < static_cast<uint16_t>(now - before);
}

void SplitRing::want_kicks(bool wanted) {
  if (kicks_ == wanted && !(wanted && events_)) return;
  kicks_ = wanted;
  if (events_) {
    // What it was set to last lies behind the guest: no kick until 65536 buffers later.
    if (!wanted) return;
    uint16_t* const event = reinterpret_cast<uint16_t*>(&used_->ring[size_]);
    store(event, seen_);
    log(4 + 8 * uint64_t{size_}, 2);
  } else {
    store(&used_->flags, wanted ? uint16_t{0} : kNoKick);
    log(0, 2);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);  // before the last look
}

void SplitRing::log(uint64_t offset, uint64_t bytes) {
  if (memory_->logs() && (address_.flags & kRingLogged) != 0) [[unlikely]]
    memory_->log(address_.log + offset, bytes);
}

}  // namespace vale::vhost
