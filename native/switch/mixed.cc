// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "switch/account.h"
#include "switch/sender.h"
#include "switch/tx_slots.h"

namespace vale {
namespace {

// Plain frames are looked up so many at a time: their buffers are fetched while the chunk before is at
// work, their addresses' entries while the rest of the chunk is read.
constexpr uint32_t kChunk = 16;

}  // namespace

// One batch being classified.
struct Sender::Classifier {
  Sender& s;
  Batch& b;
  uint64_t copies = 0, bytes = 0, drops[6] = {};
  // The frame before, where it went, and what that means for each frame that goes there.
  Mac48 dest = ~Mac48{0}, source = ~Mac48{0};
  uint16_t to = kDropped;
  uint16_t placed = kDropped;          // Frame::dest
  uint32_t each = 0;                   // copies
  Drop reason = Drop::no_destination;  // when placed is kDropped

  explicit Classifier(Sender& sender) : s(sender), b(sender.batch) {
    b.count = b.fragments = b.staged = 0;
    b.uniform = b.simple = true;
    b.floods = false;
    b.flood_count = 0;
    if (s.offsets.any()) b.simple = false;  // copies of whole lines would leave the buffer
    for (unsigned i = 0; i < 4; i++) {
      b.flood[i] = s.sw->flood[i].load(std::memory_order_relaxed);
      if (s.self / 64 == i) b.flood[i] &= ~(uint64_t{1} << (s.self % 64));
      b.flood_count += static_cast<uint32_t>(__builtin_popcountll(b.flood[i]));
    }
  }

  void drop(Frame& f, Drop why) {
    f.dest = kDropped;
    drops[static_cast<unsigned>(why)]++;
    copies++;
    b.uniform = false;
  }

  // From here on frames go to `where`.
  void turn_to(uint16_t where) {
    to = placed = where;
    each = 1;
    if (where == kFlood) {
      if (b.flood_count != 0) {
        b.floods = true;
        each = b.flood_count;
      } else {
        drop_as(Drop::no_destination);
      }
    } else if (where == s.self) {
      drop_as(Drop::same_port);
    } else if (where >= kPortsPerSwitch ||
               s.sw->member[where].load(std::memory_order_relaxed) == 0) {
      drop_as(Drop::no_destination);
    }
  }
  void drop_as(Drop why) {
    placed = kDropped;
    reason = why;
  }
  void place(Frame& f) {
    f.dest = placed;
    copies += each;
    if (placed == kDropped) drops[static_cast<unsigned>(reason)]++;
    if (placed != b.frame[0].dest) b.uniform = false;
  }

  uint16_t destination(FdbSet* home, Mac48 mac) const;
  void learn(FdbSet* home, Mac48 mac);
  void fetch_buffers(uint32_t slot, uint32_t head) const;
  uint32_t plain(uint32_t slot, uint32_t head);
  uint32_t odd(uint32_t slot, uint32_t head);
  void count(uint32_t next_slot);
};

void Sender::classify(uint32_t slot, uint32_t head) {
  Classifier c(*this);
  c.fetch_buffers(slot, head);
  while (slot != head && batch.count < kMaxFrames && batch.fragments < kBatchFragments) {
    const uint32_t before = batch.count;
    slot = c.plain(slot, head);
    if (batch.count != before) continue;
    const uint32_t next = c.odd(slot, head);
    if (next == slot) break;  // the next batch has an empty staging area again
    slot = next;
  }
  c.count(slot);
}

void Sender::Classifier::fetch_buffers(uint32_t slot, uint32_t head) const {
  for (uint32_t i = 0; i < kChunk && slot != head; i++) {
    const uint32_t index = __atomic_load_n(&s.slots[slot].buf_idx, __ATOMIC_RELAXED);
    __builtin_prefetch(s.bufs + static_cast<size_t>(index < s.buf_bound ? index : 0) * s.buf_size);
    if (++slot == s.num_slots) slot = 0;
  }
}

// Where frames to `mac` go: a port index (maybe our own), or kFlood.
inline uint16_t Sender::Classifier::destination(FdbSet* home, Mac48 mac) const {
  FdbRef at = Fdb::peek(home, mac);
  if (at.word == 0 ||
      !Fdb::valid(*s.sw, at.word, at.seen->load(std::memory_order_relaxed), s.now)) {
    at = s.fdb.find(*s.sw, mac, s.now);
    if (at.word == 0) return kFlood;
  }
  return static_cast<uint16_t>(fdb_port(at.word));
}

inline void Sender::Classifier::learn(FdbSet* home, Mac48 mac) {
  const FdbRef at = Fdb::peek(home, mac);
  if (at.word != fdb_word(mac, false, s.self, s.self_gen)) {
    s.learn(mac);
  } else if (at.seen->load(std::memory_order_relaxed) != s.now) {
    at.seen->store(s.now, std::memory_order_relaxed);
  }
}

// Up to kChunk plain frames; none where frames begin at offsets. Returns the slot after them.
uint32_t Sender::Classifier::plain(uint32_t slot, uint32_t head) {
  const uint32_t skip = s.header, shortest = skip + kEthernetHeader;
  const uint32_t range = s.buf_size - shortest, bound = s.buf_bound, n = s.num_slots;
  const size_t stride = s.buf_size;
  const uint32_t most = std::min(kChunk, kMaxFrames - b.count);
  Frame* const frame = b.frame + b.count;
  struct Addresses {
    Mac48 dest, source;
    FdbSet *dest_home, *source_home;
  } of[kChunk];

  if (s.offsets.any()) return slot;
  uint32_t count = 0;
  for (; count < most && slot != head; count++) {
    const uint64_t w = load_slot(s.slots[slot]);
    if (!plain_slot(w, bound, shortest, range)) break;
    s.seen |= w;
    const char* data = s.bufs + static_cast<uint32_t>(w) * stride;
    frame[count] = {data, slot_length(w), 0, 1, 0, 0};
    bytes += slot_length(w);
    Addresses& a = of[count];
    a.dest = load_mac(data + skip);
    a.source = load_mac(data + skip + 6);
    a.dest_home = s.fdb.home(a.dest);
    a.source_home = s.fdb.home(a.source);
    __builtin_prefetch(a.dest_home);
    __builtin_prefetch(a.source_home);
    if (++slot == n) slot = 0;
  }
  fetch_buffers(slot, head);
  b.count += count;
  for (uint32_t i = 0; i < count; i++) {
    const Addresses& a = of[i];
    if (a.source != source) {
      source = a.source;
      if (!is_group(source)) learn(a.source_home, source);
    }
    if (a.dest != dest) {
      dest = a.dest;
      const uint16_t where = is_group(dest) ? uint16_t{kFlood} : destination(a.dest_home, dest);
      if (where != to) turn_to(where);
    }
    place(frame[i]);
  }
  return slot;
}

// One frame that is not plain. Returns the slot after it; `slot` itself when its indirect payloads may not
// fit into the staging area any more.
uint32_t Sender::Classifier::odd(uint32_t slot, uint32_t head) {
  Frame& f = b.frame[b.count];
  const uint64_t w = load_slot(s.slots[slot]);
  if ((w & kSpecialSlot) != 0 || s.offsets.any()) {
    if (b.staged + kMaxFragments * 65536u > kStagingBytes && b.count != 0) return slot;
    b.count++;
    slot = s.read_slow(slot, head, &f);
    b.uniform = false;
    if (f.fragments != 1 || f.length > s.buf_size || f.dest == kDropped) b.simple = false;
    bytes += f.length;
    if (f.dest == kDropped) {
      drop(f, static_cast<Drop>(f.reserved));
    } else {
      dest = ~Mac48{0};
      turn_to(f.dest);
      place(f);
    }
    return slot;
  }
  b.count++;
  s.seen |= w;
  const uint32_t index = static_cast<uint32_t>(w), length = slot_length(w);
  f = {nullptr, length, 0, 1, 0, 0};
  if (index - 2 >= s.buf_bound - 2 || length > s.buf_size) {
    drop(f, Drop::bad_slot);
  } else {
    bytes += length;
    drop(f, Drop::runt);
  }
  return slot + 1 == s.num_slots ? 0 : slot + 1;
}

void Sender::Classifier::count(uint32_t next_slot) {
  b.next_slot = next_slot;
  take(*s.tx, next_slot, [&](TakeStat& t) {
    t.frames += b.count;
    t.bytes += bytes;
    t.copies += copies;
    t.no_destination += drops[static_cast<unsigned>(Drop::no_destination)];
    t.same_port += drops[static_cast<unsigned>(Drop::same_port)];
    t.bad_slot += drops[static_cast<unsigned>(Drop::bad_slot)];
    t.runt += drops[static_cast<unsigned>(Drop::runt)];
    t.too_long += drops[static_cast<unsigned>(Drop::too_long)];
  });
}

}  // namespace vale
