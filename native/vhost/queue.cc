// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/queue.h"

#include <unistd.h>

#include <atomic>
#include <cstring>

namespace vale::vhost {
namespace {

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

bool aligned(const char* p, uintptr_t to) { return reinterpret_cast<uintptr_t>(p) % to == 0; }

bool apart(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes) {
  return a + a_bytes <= b || b + b_bytes <= a;
}

}  // namespace

const char* Queue::start(const QueueSetup& setup, GuestMemory* memory, uint64_t features) {
  const uint32_t n = setup.size;
  if (n == 0 || n > kMaxQueueSize || (n & (n - 1)) != 0) return "a ring of an impossible size";
  if (setup.base > UINT16_MAX) return "a ring position that cannot be";
  memory_ = memory;
  setup_ = setup;
  size_ = n;
  events_ = (features & kEventIndex) != 0;
  indirect_ = (features & kIndirect) != 0;
  if (const char* wrong = relocate()) return wrong;
  seen_ = next_ = static_cast<uint16_t>(setup.base);
  used_index_ = shown_ = load(&used_->index);
  told_ = false;
  kicks_ = true;
  want_kicks(true);
  return nullptr;
}

const char* Queue::relocate() {
  const RingAddress& a = setup_.address;
  const uint64_t table = kDescriptorBytes * size_, available = available_bytes(size_),
                 used = used_bytes(size_);
  descriptors_ = nullptr;
  char* const first = memory_->at_user(a.descriptors, table);
  char* const second = memory_->at_user(a.available, available);
  char* const third = memory_->at_user(a.used, used);
  if (first == nullptr || second == nullptr || third == nullptr)
    return "a ring outside the guest's memory";
  if (!aligned(first, 16) || !aligned(second, 2) || !aligned(third, 4))
    return "a ring that is not aligned";
  if (!apart(a.descriptors, table, a.available, available) ||
      !apart(a.descriptors, table, a.used, used) || !apart(a.available, available, a.used, used))
    return "a ring whose parts overlap";
  available_ = reinterpret_cast<AvailableRing*>(second);
  used_ = reinterpret_cast<UsedRing*>(third);
  descriptors_ = reinterpret_cast<SplitDescriptor*>(first);
  return nullptr;
}

uint32_t Queue::stop() {
  if (running()) publish();
  descriptors_ = nullptr;
  return next_;
}

bool Queue::more() const { return running() && load(&available_->index) != seen_; }

Take Queue::take(Chain* out) {
  if (!running()) return Take::none;
  seen_ = load(&available_->index);
  const uint16_t there = static_cast<uint16_t>(seen_ - next_);
  if (there == 0) return Take::none;
  const uint16_t head = __atomic_load_n(&available_->ring[next_ & (size_ - 1)], __ATOMIC_RELAXED);
  if (there > size_) {
    broken("more buffers than its ring has room for");
  } else if (walk(head, out)) {
    next_++;
    return Take::chain;
  }
  descriptors_ = nullptr;
  return Take::broken;
}

bool Queue::walk(uint16_t head, Chain* out) {
  out->id = head;
  out->readable = out->writable = out->readable_bytes = out->writable_bytes = 0;
  const SplitDescriptor* from = descriptors_;
  uint32_t count = size_, at = head;
  for (uint32_t steps = 0;; steps++) {
    if (at >= count) return broken("a descriptor beyond its table");
    if (steps >= count) return broken("a chain of descriptors that is a loop");
    const SplitDescriptor d = read_descriptor(&from[at]);
    if ((d.flags & kIndirectTable) != 0) {
      if (!indirect_) return broken("an indirect descriptor, which was not negotiated");
      if ((d.flags & kNext) != 0) return broken("an indirect descriptor within a chain");
      if (from != descriptors_) return broken("an indirect descriptor within a table");
      if (!table(d.address, d.bytes, &count, &from)) return false;
      at = 0;
      steps = UINT32_MAX;  // from 0 again
      continue;
    }
    if (!piece(d, out)) return false;
    if ((d.flags & kNext) == 0) return true;
    at = d.next;
  }
}

bool Queue::table(uint64_t address, uint64_t bytes, uint32_t* count, const SplitDescriptor** out) {
  if (bytes == 0 || bytes % kDescriptorBytes != 0 || bytes / kDescriptorBytes > Chain::kMost)
    return broken("an indirect table of an impossible size");
  char* const data = memory_->at(address, bytes);
  if (data == nullptr) return broken("an indirect table outside the guest's memory");
  if (!aligned(data, 8)) return broken("an indirect table that is not aligned");
  *count = static_cast<uint32_t>(bytes / kDescriptorBytes);
  *out = reinterpret_cast<const SplitDescriptor*>(data);
  return true;
}

// A buffer may lie across regions that are neighbours in the guest.
bool Queue::piece(const SplitDescriptor& d, Chain* out) {
  const bool writable = (d.flags & kWritable) != 0;
  if (!writable && out->writable != 0) return broken("a chain that is to be read after written");
  uint32_t& bytes = writable ? out->writable_bytes : out->readable_bytes;
  if (d.bytes > UINT32_MAX - bytes) return broken("a chain of an impossible length");
  uint64_t at = d.address;
  for (uint32_t left = d.bytes; left != 0;) {
    const uint32_t used = out->readable + out->writable;
    if (used == Chain::kMost) return broken("a chain of too many pieces");
    uint64_t here;
    char* const data = memory_->at_most(at, left, &here);
    if (data == nullptr) return broken("a buffer outside the guest's memory");
    out->piece[used] = {data, static_cast<uint32_t>(here), at};
    (writable ? out->writable : out->readable)++;
    at += here;
    left -= static_cast<uint32_t>(here);
  }
  bytes += d.bytes;
  return true;
}

void Queue::use(uint16_t id, uint32_t written) {
  const uint32_t at = used_index_ & (size_ - 1);
  used_->ring[at] = {id, written};
  log_used(4 + 8 * at, 8);
  used_index_++;
}

void Queue::publish() {
  if (used_index_ == shown_) return;
  const uint16_t before = shown_;
  store(&used_->index, used_index_);
  shown_ = used_index_;
  log_used(2, 2);
  if (call.valid() && wants_interrupt(before, used_index_)) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(call.fd(), &one, sizeof one);
  }
  told_ = true;
}

bool Queue::wants_interrupt(uint16_t before, uint16_t now) const {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // the index is seen before this looks
  if (!events_) return (load(&available_->flags) & kNoInterrupt) == 0;
  const uint16_t at = load(&available_->ring[size_]);
  // Whether it is among those just shown: [before, now).
  return !told_ || static_cast<uint16_t>(now - at - 1) < static_cast<uint16_t>(now - before);
}

void Queue::want_kicks(bool wanted) {
  if (!running() || (kicks_ == wanted && !(wanted && events_))) return;
  kicks_ = wanted;
  if (events_) {
    // What it was set to last lies behind the guest: no kick until 65536 buffers later.
    if (!wanted) return;
    uint16_t* const event = reinterpret_cast<uint16_t*>(&used_->ring[size_]);
    store(event, seen_);
    log_used(4 + 8 * uint64_t{size_}, 2);
  } else {
    store(&used_->flags, wanted ? uint16_t{0} : kNoKick);
    log_used(0, 2);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);  // before the last look
}

void Queue::log_used(uint64_t offset, uint64_t bytes) {
  if (memory_->logs() && (setup_.address.flags & kRingLogged) != 0) [[unlikely]]
    memory_->log(setup_.address.log + offset, bytes);
}

}  // namespace vale::vhost
