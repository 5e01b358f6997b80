// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "switch/account.h"
#include "switch/sender.h"
#include "switch/tx_slots.h"

namespace vale {
namespace {

// Plain frames are looked up so many at a time: their buffers are fetched while the chunk before is at
// work, their addresses' entries while the rest of the chunk is read. Whether an address, or a port, differs
// from the frame's before is asked of a chunk and not of a frame, since nobody could predict it.
constexpr uint32_t kChunk = 32;

}  // namespace

// One batch being classified.
struct Sender::Classifier {
  Sender& s;
  Batch& b;
  uint64_t copies = 0, bytes = 0, drops[6] = {};

  explicit Classifier(Sender& sender) : s(sender), b(sender.batch) {
    b.count = b.fragments = b.staged = b.steady = 0;
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
    f.dest = lost(why);
    copies++;
    b.uniform = false;
  }

  // Frame::dest of a frame for `where`, which is counted as one copy: more of a flood are added here, and where
  // nobody would get it that one is a drop.
  uint16_t place(uint16_t where) {
    if (where == kFlood) {
      if (b.flood_count == 0) return lost(Drop::no_destination);
      b.floods = true;
      copies += b.flood_count - 1;
    } else if (where == s.self) {
      return lost(Drop::same_port);
    }
    return where;
  }
  uint16_t lost(Drop why) {
    drops[static_cast<unsigned>(why)]++;
    return kDropped;
  }

  uint16_t destination(FdbSet* home, Mac48 mac) const;
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

// Nothing is read there, so that whatever the application has written as an index does no harm.
void Sender::Classifier::fetch_buffers(uint32_t slot, uint32_t head) const {
  const auto bufs = reinterpret_cast<uintptr_t>(s.bufs);
  const size_t stride = s.buf_size;
  const uint32_t count = std::min(kChunk, (head >= slot ? head : s.num_slots) - slot);
  for (const netmap_slot *at = s.slots + slot, *end = at + count; at != end; at++) {
    const uint32_t index = __atomic_load_n(&at->buf_idx, __ATOMIC_RELAXED);
    __builtin_prefetch(reinterpret_cast<const void*>(bufs + index * stride));
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

// Up to kChunk plain frames; none where frames begin at offsets. Returns the slot after them.
uint32_t Sender::Classifier::plain(uint32_t slot, uint32_t head) {
  if (s.offsets.any()) return slot;
  const PlainSlot plain_slot = s.plain_slots();
  const uint32_t skip = s.header;
  const size_t stride = s.buf_size;
  const char* const bufs = s.bufs;
  const netmap_slot* const from = s.slots + slot;
  const Fdb fdb = s.fdb;
  const uint32_t most =
      std::min({kChunk, kMaxFrames - b.count, (head > slot ? head : s.num_slots) - slot});
  Frame* const frame = b.frame + b.count;
  Addresses of[kChunk];

  uint32_t count = 0, length = 0;
  uint64_t flags = 0, differ_dest = 0, differ_source = 0;
  for (; count < most; count++) {
    const uint64_t w = load_slot(from[count]);
    if (!plain_slot(w)) break;
    const char* const data = bufs + static_cast<uint32_t>(w) * stride;
    Frame& f = frame[count];
    f.data = data;
    f.length = slot_length(w);
    f.fragments = 1;
    flags |= w;
    length += slot_length(w);
    Addresses& a = of[count];
    a.read(data + skip);
    differ_dest |= a.dest ^ of[0].dest;
    differ_source |= a.source ^ of[0].source;
    a.home = fdb.home(a.dest);
    __builtin_prefetch(a.home);
  }
  if (count == 0) return slot;
  slot = slot + count == s.num_slots ? 0 : slot + count;
  fetch_buffers(slot, head);
  s.seen |= flags;
  bytes += length;
  const bool sources = differ_source << 16 != 0;
  if (differ_dest << 16 == 0 && !sources) b.steady += count;

  FdbSet* home[kChunk];
  for (uint32_t i = 0; sources && i < count; i++) {
    home[i] = fdb.home(of[i].source);
    __builtin_prefetch(home[i]);
  }
  if (!sources && !is_group(of[0].source)) s.learn(of[0].source & kMacMask);
  uint32_t others = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (sources && !is_group(of[i].source)) s.learn(home[i], of[i].source & kMacMask);
    const Mac48 dest = of[i].dest;
    uint16_t to = is_group(dest) ? uint16_t{kFlood} : destination(of[i].home, dest);
    if (to == kFlood || to == s.self) [[unlikely]]
      to = place(to);
    frame[i].dest = to;
    others |= to ^ b.frame[0].dest;
  }
  if (others != 0) b.uniform = false;
  copies += count;
  b.count += count;
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
    } else if (f.dest != kFlood && s.sw->member[f.dest].load(std::memory_order_relaxed) == 0) {
      drop(f, Drop::no_destination);
    } else {
      copies++;
      f.dest = place(f.dest);
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
