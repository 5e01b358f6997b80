// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "switch/account.h"
#include "switch/sender.h"

namespace vale {
namespace {

constexpr uint32_t kEthernetHeader = 14;
constexpr uint32_t kPrefetch = 6;  // frames ahead
constexpr uint32_t kLookup = 4;    // of these, how far ahead the addresses' entries are asked for

constexpr uint64_t kSpecial =
    static_cast<uint64_t>(NS_MOREFRAG | NS_INDIRECT | NS_NO_LEARN | NS_PORT_MASK) << 48;

inline uint64_t load_slot(const netmap_slot& s) {
  return __atomic_load_n(reinterpret_cast<const uint64_t*>(&s), __ATOMIC_RELAXED);
}

}  // namespace

void Sender::learn(Mac48 source) {
  if (source == last_source && source_ref.entry != nullptr &&
      source_ref.entry->load(std::memory_order_relaxed) == source_ref.word) {
    if (source_ref.seen->load(std::memory_order_relaxed) != now && !fdb_static(source_ref.word)) {
      source_ref.seen->store(now, std::memory_order_relaxed);
    }
    return;
  }
  source_ref = fdb.learn(*sw, source, self, self_gen, now);
  last_source = source;
  if (port->learned == 0) __atomic_store_n(&port->learned, 1, __ATOMIC_RELAXED);
}

// Where a frame goes: a port index (maybe our own), or kFlood.
uint16_t Sender::resolve(Mac48 dest, Mac48 source, bool want_learn) {
  if (want_learn && !is_group(source)) learn(source);
  if (is_group(dest)) return kFlood;
  if (dest != last_dest || dest_ref.entry == nullptr ||
      dest_ref.entry->load(std::memory_order_relaxed) != dest_ref.word ||
      !Fdb::valid(*sw, dest_ref.word, dest_ref.seen->load(std::memory_order_relaxed), now)) {
    dest_ref = fdb.find(*sw, dest, now);
    last_dest = dest;
  }
  return dest_ref.entry == nullptr ? uint16_t{kFlood}
                                   : static_cast<uint16_t>(fdb_port(dest_ref.word));
}

// Copies memory of this process that may not be readable.
bool Sender::stage(uint64_t pointer, uint32_t length, const char** data) {
  if (batch.staging == nullptr) batch.staging.reset(new (std::nothrow) char[kStagingBytes]);
  if (batch.staging == nullptr || batch.staged + length > kStagingBytes) return false;
  char* to = batch.staging.get() + batch.staged;
  iovec local{to, length};
  iovec remote{reinterpret_cast<void*>(pointer), length};
  ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  if (n < 0 && errno != EFAULT) {
    // Some sandboxes forbid that call; our own memory file reads the same.
    if (mem_fd < 0) mem_fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    n = pread(mem_fd, to, length, static_cast<off_t>(pointer));
  }
  if (n != static_cast<ssize_t>(length)) return false;
  batch.staged += (length + 63) / 64 * 64;  // copies read whole 64-byte units
  *data = to;
  return true;
}

// A frame with several fragments, an indirect payload or a flag for the switch. Returns the slot after
// it; frame->dest is kDropped with the reason in frame->reserved when it cannot be sent.
uint32_t Sender::read_slow(uint32_t slot, uint32_t head, Frame* f) {
  f->first_fragment = batch.fragments;
  f->fragments = 0;
  f->length = 0;
  f->dest = 0;
  Drop reason = Drop::count_;
  uint32_t total = 0, flags0 = 0, flags;
  do {
    const uint64_t w = load_slot(slots[slot]);
    const uint32_t index = static_cast<uint32_t>(w), length = w >> 32 & 0xffff;
    seen |= w;
    flags = static_cast<uint32_t>(w >> 48);
    if (total == 0) flags0 = flags;
    total++;
    if (total > kMaxFragments) reason = Drop::too_long;
    if (reason == Drop::count_) {
      Fragment& g = batch.fragment[batch.fragments];
      g.length = length;
      bool good;
      if (flags & NS_INDIRECT) {  // ptr is one or the other
        good = !offsets.any() &&
               stage(__atomic_load_n(&slots[slot].ptr, __ATOMIC_RELAXED), length, &g.data);
      } else {
        const uint32_t offset = offsets.any() ? offset_in(slot) : 0;
        good = index >= 2 && index < buf_bound && length <= buf_size - offset;
        g.data = bufs + static_cast<size_t>(index) * buf_size + offset;
      }
      if (good) {
        batch.fragments++;
        f->fragments++;
        f->length += length;
      } else {
        reason = Drop::bad_slot;
      }
    }
    if (++slot == num_slots) slot = 0;
  } while ((flags & NS_MOREFRAG) && slot != head);

  if (reason == Drop::count_) {
    // The Ethernet header follows the virtio-net header, in the same fragment or in the next one.
    const Fragment* g = &batch.fragment[f->first_fragment];
    f->data = g->data;
    uint32_t skip = header;
    if (f->fragments > 1 && g->length == skip) {
      g++;
      skip = 0;
    }
    if (g->length < skip + kEthernetHeader) {
      reason = Drop::runt;
    } else {
      const uint32_t hint = flags0 >> NS_PORT_SHIFT;
      const Mac48 source = load_mac(g->data + skip + 6);
      const bool want_learn = (flags0 & NS_NO_LEARN) == 0;
      if (hint != 0) {
        if (want_learn && !is_group(source)) learn(source);
        f->dest = static_cast<uint16_t>(hint);
      } else {
        f->dest = resolve(load_mac(g->data + skip), source, want_learn);
      }
    }
  }
  if (reason != Drop::count_) {
    f->dest = kDropped;
    f->reserved = static_cast<uint8_t>(reason);
    batch.fragments = f->first_fragment;
  }
  return slot;
}

// Length of the run that begins at `slot`, at most kRunFrames; its slot words are in `run`. 0 when the
// first frame needs classify().
uint32_t Sender::scan_run(uint32_t slot, uint32_t head, uint16_t* dest, uint64_t* bytes) {
  const netmap_slot* const ring = slots;
  const char* const base = bufs;
  const size_t stride = buf_size;
  const uint32_t n = num_slots, bound = buf_bound, skip = header;
  const uint32_t shortest = skip + kEthernetHeader, range = buf_size - shortest;
  const uint32_t left = head >= slot ? head - slot : head + n - slot;
  const uint32_t most = std::min(left, kRunFrames);
  auto fits = [&](uint64_t w) {
    const uint32_t length = w >> 32 & 0xffff;
    return (w & kSpecial) == 0 && static_cast<uint32_t>(w) - 2 < bound - 2 &&
           length - shortest <= range;
  };
  uint64_t w = load_slot(ring[slot]);
  if (!fits(w)) return 0;
  const char* p = base + static_cast<uint32_t>(w) * stride + skip;
  uint64_t first;
  uint32_t second;
  std::memcpy(&first, p, 8);
  std::memcpy(&second, p + 8, 4);
  run[0] = w;
  uint64_t sum = w >> 32 & 0xffff, flags = w;
  uint32_t ahead = slot + kPrefetch >= n ? slot + kPrefetch - n : slot + kPrefetch;
  uint32_t count = 1;
  for (; count < most; count++) {
    if (++slot == n) slot = 0;
    if (++ahead == n) ahead = 0;
    w = load_slot(ring[slot]);
    const uint32_t next = __atomic_load_n(&ring[ahead].buf_idx, __ATOMIC_RELAXED);
    __builtin_prefetch(base + (next < bound ? next : 0) * stride);
    if (!fits(w)) break;
    p = base + static_cast<uint32_t>(w) * stride + skip;
    uint64_t a;
    uint32_t b;
    std::memcpy(&a, p, 8);
    std::memcpy(&b, p + 8, 4);
    if (a != first || b != second) break;
    run[count] = w;
    flags |= w;
    sum += w >> 32 & 0xffff;
  }
  seen |= flags;
  const Mac48 source = first >> 48 | static_cast<uint64_t>(second) << 16;
  *dest = resolve(first & kMacMask, source, true);
  *bytes = sum;
  return count;
}

void Sender::classify(uint32_t slot, uint32_t head) {
  Batch& b = batch;
  b.count = b.fragments = b.staged = 0;
  b.uniform = b.simple = true;
  b.floods = false;
  b.flood_count = 0;
  for (unsigned i = 0; i < 4; i++) {
    b.flood[i] = sw->flood[i].load(std::memory_order_relaxed);
    if (self / 64 == i) b.flood[i] &= ~(uint64_t{1} << (self % 64));
    b.flood_count += static_cast<uint32_t>(std::popcount(b.flood[i]));
  }

  uint64_t copies = 0, bytes = 0, drops[6] = {};
  Mac48 dest = ~Mac48{0}, source = ~Mac48{0};
  uint16_t to = kDropped, first_to = kDropped;
  auto drop = [&](Frame& f, Drop reason) {
    f.dest = kDropped;
    drops[static_cast<unsigned>(reason)]++;
    copies++;
    b.uniform = false;
  };

  const uint64_t special = offsets.any() ? ~uint64_t{0} : kSpecial;
  if (offsets.any()) b.simple = false;  // copies of whole lines would leave the buffer
  uint32_t ahead = slot, lookup = slot;
  for (uint32_t i = 0; i < kPrefetch && ahead != head; i++) {
    if (++ahead == num_slots) ahead = 0;
    if (i < kLookup) lookup = ahead;
  }
  while (slot != head && b.count < kMaxFrames && b.fragments < kBatchFragments) {
    Frame& f = b.frame[b.count++];
    const uint64_t w = load_slot(slots[slot]);
    seen |= w;
    const uint32_t index = static_cast<uint32_t>(w), length = w >> 32 & 0xffff;
    if (ahead != head) {
      const uint32_t next = __atomic_load_n(&slots[ahead].buf_idx, __ATOMIC_RELAXED);
      if (next < buf_bound) __builtin_prefetch(bufs + static_cast<size_t>(next) * buf_size);
      if (++ahead == num_slots) ahead = 0;
    }
    if (lookup != head) {
      const uint32_t next = __atomic_load_n(&slots[lookup].buf_idx, __ATOMIC_RELAXED);
      const char* p = bufs + static_cast<size_t>(next < buf_bound ? next : 0) * buf_size + header;
      fdb.prefetch(load_mac(p));
      const Mac48 from = load_mac(p + 6);
      if (from != last_source) fdb.prefetch(from);
      if (++lookup == num_slots) lookup = 0;
    }
    if (w & special) [[unlikely]] {
      if (b.staged + kMaxFragments * 65536u > kStagingBytes && b.count > 1) {
        b.count--;
        break;  // the next batch has an empty staging area again
      }
      slot = read_slow(slot, head, &f);
      ahead = lookup = slot;
      b.uniform = false;
      if (f.fragments != 1 || f.length > buf_size || f.dest == kDropped) b.simple = false;
      bytes += f.length;
      if (f.dest == kDropped) {
        drop(f, static_cast<Drop>(f.reserved));
        continue;
      }
      to = f.dest;
      dest = source = ~Mac48{0};
    } else {
      if (++slot == num_slots) slot = 0;
      f.length = length;
      f.fragments = 1;
      f.data = bufs + static_cast<size_t>(index) * buf_size;
      bytes += length;
      if (index - 2 >= buf_bound - 2 || length > buf_size) [[unlikely]] {
        bytes -= length;
        drop(f, Drop::bad_slot);
        continue;
      }
      if (length < header + kEthernetHeader) [[unlikely]] {
        drop(f, Drop::runt);
        continue;
      }
      uint64_t d, s;
      std::memcpy(&d, f.data + header, 8);
      std::memcpy(&s, f.data + header + 6, 8);
      d &= kMacMask;
      s &= kMacMask;
      if (d != dest || s != source) {
        dest = d;
        source = s;
        to = resolve(d, s, true);
      }
    }
    f.dest = to;
    if (b.count == 1) {
      first_to = to;
    } else if (to != first_to) {
      b.uniform = false;
    }
    if (to == kFlood) {
      if (b.flood_count == 0) {
        f.dest = kDropped;
        drops[static_cast<unsigned>(Drop::no_destination)]++;
        copies++;
      } else {
        b.floods = true;
        copies += b.flood_count;
      }
    } else if (to == self) {
      drop(f, Drop::same_port);
    } else if (to >= kPortsPerSwitch || sw->member[to].load(std::memory_order_relaxed) == 0) {
      drop(f, Drop::no_destination);
    } else {
      copies++;
    }
  }
  b.next_slot = slot;
  take(*tx, slot, [&](TakeStat& t) {
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
