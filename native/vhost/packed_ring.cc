// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/packed_ring.h"

#include <algorithm>
#include <atomic>

namespace vale::vhost {
namespace {

constexpr uint32_t kEventBytes = 4;

uint32_t bytes_of(uint64_t word) { return static_cast<uint32_t>(word); }
uint16_t id_of(uint64_t word) { return static_cast<uint16_t>(word >> 32); }
uint16_t flags_of(uint64_t word) { return static_cast<uint16_t>(word >> 48); }
bool used_mark(uint64_t word) { return (flags_of(word) & kUsed) != 0; }
uint64_t make_word(uint32_t bytes, uint16_t id, uint16_t flags) {
  return bytes | uint64_t{id} << 32 | uint64_t{flags} << 48;
}

}  // namespace

const char* PackedRing::place(const RingAddress& a, uint32_t size, GuestMemory* memory,
                              bool events) {
  RingParts parts = {kDescriptorBytes * size, kEventBytes, kEventBytes};
  if (const char* wrong = parts.find(a, *memory, 4)) return wrong;
  memory_ = memory;
  address_ = a;
  size_ = size;
  events_ = events;
  guests_event_ = reinterpret_cast<uint32_t*>(parts.available);
  own_event_ = reinterpret_cast<uint32_t*>(parts.used);
  descriptors_ = reinterpret_cast<PackedDescriptor*>(parts.descriptors);
  return nullptr;
}

const char* PackedRing::begin(uint32_t base) {
  uint32_t at = base & (kLap - 1u);
  if (at >= size_) return "a ring position that cannot be";
  if ((base & kLap) == 0) at += size_;
  recover(&at);
  next_ = seen_ = shown_ = at;
  done_.clear();
  done_.reserve(size_);
  told_ = false;
  kicks_ = false;  // whatever the one before has left there
  return nullptr;
}

// False when the marks are no such thing: a device that does not mark all of a chain has served the ring, and *at
// stays what was told.
bool PackedRing::recover(uint32_t* at) const {
  const auto used = [this](uint32_t i) {
    return used_mark(__atomic_load_n(word(i), __ATOMIC_ACQUIRE));
  };
  // Where the marks change, or at the ring's start; of a chain in the midst of being marked they change thrice.
  unsigned changes = 0;
  for (uint32_t i = 0; i < size_ && changes <= 4; i++) {
    if (i != 0 && used(i) == used(i - 1)) continue;
    changes++;
    const uint32_t here = used(i) ? i + size_ : i;
    if (!unused_from(here)) continue;
    *at = here;
    return true;
  }
  return false;
}

// Whether nothing is used from this place on through a lap, but for some behind the first of the chain here: of
// those, the first ones were marked when the device died.
bool PackedRing::unused_from(uint32_t at) const {
  const auto flags = [&](uint32_t i) {
    return flags_of(__atomic_load_n(word(index(after(at, i))), __ATOMIC_RELAXED));
  };
  const auto used = [&](uint32_t i) {
    return ((flags(i) & kUsed) != 0) == (lap(after(at, i)) != 0);
  };
  uint32_t i = 1;
  while (i < size_ && used(i) && (flags(i - 1) & kNext) != 0) i++;
  while (i < size_ && !used(i)) i++;
  return i == size_ && !used(0);
}

Take PackedRing::take(ChainReader& reader, Chain* out) {
  seen_ = next_;
  if (!available(next_)) return Take::none;
  if (!walk(reader, out)) return Take::broken;
  seen_ = next_ = after(next_, out->slots);
  return Take::chain;
}

bool PackedRing::walk(ChainReader& reader, Chain* out) {
  ChainReader::begin(out);
  // Those that were taken and are not used yet have their places still.
  const uint32_t room = size_ - distance(shown_, next_);
  for (uint32_t slots = 0; slots < room; slots++) {
    const uint32_t at = index(after(next_, slots));
    const uint64_t w = __atomic_load_n(word(at), __ATOMIC_ACQUIRE);
    const uint64_t address = __atomic_load_n(&descriptors_[at].address, __ATOMIC_RELAXED);
    const uint16_t flags = flags_of(w);
    if ((flags & kIndirectTable) != 0) {
      if (slots != 0) return reader.broken("an indirect descriptor within a chain");
      if (!walk_table(reader, address, w, out)) return false;
    } else if (!reader.piece(address, bytes_of(w), flags, out)) {
      return false;
    }
    if ((flags & kNext) != 0) continue;
    out->id = id_of(w);
    out->slots = static_cast<uint16_t>(slots + 1);
    return true;
  }
  return reader.broken("a chain that is longer than its ring");
}

bool PackedRing::walk_table(ChainReader& reader, uint64_t address, uint64_t first, Chain* out) {
  uint32_t count;
  const char* const table = reader.table(address, bytes_of(first), flags_of(first), &count);
  if (table == nullptr) return false;
  const uint64_t* const words = reinterpret_cast<const uint64_t*>(table);
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t at = __atomic_load_n(&words[2 * i], __ATOMIC_RELAXED);
    const uint64_t w = __atomic_load_n(&words[2 * i + 1], __ATOMIC_RELAXED);
    if ((flags_of(w) & kIndirectTable) != 0)
      return reader.broken("an indirect descriptor within a table");
    if (!reader.piece(at, bytes_of(w), flags_of(w), out)) return false;
  }
  return true;
}

void PackedRing::use(uint16_t id, uint16_t slots, uint32_t written) {
  done_.push_back({id, slots, written});
}

uint32_t PackedRing::look(const ChainReader& reader, bool writable, Plain* out,
                          uint32_t most) const {
  const uint32_t count = std::min(most, size_ - distance(shown_, next_));
  for (uint32_t i = 0, at = next_; i < count; i++, at = after(at, 1)) {
    uint64_t w = __atomic_load_n(word(index(at)), __ATOMIC_ACQUIRE);
    if (!available(at, w)) return i;
    uint64_t address = __atomic_load_n(&descriptors_[index(at)].address, __ATOMIC_RELAXED);
    const uint16_t id = id_of(w);
    if ((flags_of(w) & kIndirectTable) != 0) [[unlikely]] {
      uint64_t words[2];
      if (!reader.only(address, bytes_of(w), flags_of(w), words)) return i;
      address = words[0];
      w = words[1] & ~(uint64_t{kNext} << 48);  // within a table all follow one another anyway
    }
    if (!reader.plain(address, bytes_of(w), flags_of(w), writable, &out[i])) return i;
    out[i].id = id;
  }
  return count;
}

void PackedRing::finish(const Plain* chains, uint32_t count, bool writable) {
  for (uint32_t i = 0; i < count; i++)
    done_.push_back({chains[i].id, 1, writable ? chains[i].bytes : 0});
  next_ = after(next_, count);
}

bool PackedRing::publish() {
  if (done_.empty()) return false;
  const uint32_t before = shown_;
  for (const Done& done : done_) show(done);
  done_.clear();
  const bool wanted = wants_interrupt(before, shown_);
  told_ = true;
  return wanted;
}

void PackedRing::show(const Done& done) {
  for (uint32_t i = 1; i < done.slots; i++) {
    const uint32_t at = after(shown_, i);
    uint64_t* const w = word(index(at));
    const uint64_t mark = uint64_t{kUsed} << 48, now = __atomic_load_n(w, __ATOMIC_RELAXED);
    __atomic_store_n(w, lap(at) != 0 ? now | mark : now & ~mark, __ATOMIC_RELEASE);
    log(address_.descriptors + kDescriptorBytes * index(at), kDescriptorBytes);
  }
  const uint16_t marks = lap(shown_) != 0 ? kAvailable | kUsed : 0;
  const uint16_t flags = static_cast<uint16_t>(marks | (done.written != 0 ? kWritable : 0));
  __atomic_store_n(word(index(shown_)), make_word(done.written, done.id, flags), __ATOMIC_RELEASE);
  log(address_.descriptors + kDescriptorBytes * index(shown_), kDescriptorBytes);
  shown_ = after(shown_, done.slots);
}

bool PackedRing::wants_interrupt(uint32_t before, uint32_t now) const {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // marks are seen before this looks
  const uint32_t event = __atomic_load_n(guests_event_, __ATOMIC_ACQUIRE);
  const uint16_t flags = static_cast<uint16_t>(event >> 16);
  if (!events_ || flags != kTellAtPlace) return flags != kTellNever;
  const uint32_t place = event & (kLap - 1u);
  if (!told_ || place >= size_) return true;
  const uint32_t at = (event & kLap) != 0 ? place : place + size_;
  // Whether it is among those just shown: [before, now).
  return distance(before, at) < distance(before, now);
}

void PackedRing::want_kicks(bool wanted) {
  if (kicks_ == wanted && !(wanted && events_)) return;
  kicks_ = wanted;
  uint32_t event = uint32_t{wanted ? kTellAlways : kTellNever} << 16;
  if (wanted && events_) event = mark(seen_) | uint32_t{kTellAtPlace} << 16;
  __atomic_store_n(own_event_, event, __ATOMIC_RELEASE);
  log(address_.used, kEventBytes);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // before the last look
}

// The guest's address of a ring is told of its last part alone; that of the others is looked up.
void PackedRing::log(uint64_t user, uint64_t bytes) {
  if (memory_->logs() && (address_.flags & kRingLogged) != 0) [[unlikely]]
    memory_->log_user(user, bytes);
}

}  // namespace vale::vhost
