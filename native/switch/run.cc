// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "switch/sender.h"
#include "switch/tx_slots.h"

namespace vale {
namespace {

// Frames of other addresses are looked up so many at a time: their addresses' entries are fetched while the
// rest of the chunk is read. Fewer at first: the run may be over.
constexpr uint32_t kFirstChunk = 8, kChunk = 64;

}  // namespace

// Length of the run that begins at `slot`: frames with the addresses of the first, then others that go to the
// same port; at most kRunFrames, and never beyond the end of the ring. Its slot words are in `run`. 0 when
// the first frame needs classify(). No buffer is asked for ahead: nothing in here waits for one, so the
// processor is some frames further on by itself.
uint32_t Sender::scan_run(uint32_t slot, uint32_t head, uint16_t* dest, uint64_t* bytes) {
  const netmap_slot* const from = slots + slot;
  const PlainSlot plain = plain_slots();
  const uint32_t most = std::min((head > slot ? head : num_slots) - slot, kRunFrames);
  const size_t stride = buf_size;
  const char* const base = bufs + header;
  uint64_t* const to = run;
  uint64_t w = load_slot(from[0]);
  if (!plain(w)) return 0;
  Addresses first, next;
  first.read(base + static_cast<uint32_t>(w) * stride);
  to[0] = w;
  uint64_t sum = slot_length(w), flags = w;
  uint32_t count = 1;
  for (; count < most; count++) {
    w = load_slot(from[count]);
    if (!plain(w, to[0])) break;
    next.read(base + static_cast<uint32_t>(w) * stride);
    if (next.dest_and_more != first.dest_and_more || next.more != first.more) break;
    to[count] = w;
    flags |= w;
    sum += slot_length(w);
  }
  seen |= flags;
  *bytes = sum;
  *dest = resolve(first.dest() & kMacMask, first.source(), true);
  return count == most || *dest == kFlood ? count : extend_run(from, count, most, bytes);
}

// What follows a run whose destination was found, as long as it goes there too. The new length.
uint32_t Sender::extend_run(const netmap_slot* from, uint32_t count, uint32_t most,
                            uint64_t* bytes) {
  const PlainSlot plain = plain_slots();
  const size_t stride = buf_size;
  const char* const base = bufs + header;
  const Fdb table = fdb;
  const uint64_t place = dest_ref.word % kFdbUnit;
  const uint32_t ageing = sw->ageing_s.load(std::memory_order_relaxed);
  const int32_t limit = ageing == 0 || fdb_static(place) ? INT32_MAX : static_cast<int32_t>(ageing);
  const uint32_t today = now;
  Addresses of[kChunk];
  uint64_t flags = 0;
  for (uint32_t size = kFirstChunk; count < most; size = kChunk) {
    const uint32_t end = std::min(most - count, size);
    uint64_t differ = 0, sum = 0;
    uint32_t differ_more = 0, n = 0;
    for (; n < end; n++) {
      const uint64_t w = load_slot(from[count + n]);
      if (!plain(w, run[0])) break;
      run[count + n] = w;
      sum += slot_length(w);
      flags |= w;
      Addresses& a = of[n];
      a.read(base + static_cast<uint32_t>(w) * stride);
      differ |= a.dest_and_more ^ last_source << 48;
      differ_more |= a.more ^ static_cast<uint32_t>(last_source >> 16);
      a.home = table.home(a.dest());
      __builtin_prefetch(a.home);
    }
    FdbSet* home[kChunk];
    const bool sources = differ >> 48 != 0 || differ_more != 0;
    for (uint32_t i = 0; sources && i < n; i++) {
      home[i] = table.home(of[i].source());
      __builtin_prefetch(home[i]);
    }
    uint32_t i = 0;
    for (; i < n; i++) {
      const Addresses& a = of[i];
      if (sources && !is_group(a.source())) learn(home[i], a.source());
      if (is_group(a.dest())) break;
      // The word that its entry has if it goes there.
      const uint64_t word = fdb_word(a.dest(), false, 0, 0) | place;
      const uint32_t way = Fdb::likely(*a.home, word);
      if (a.home->entry[way].load(std::memory_order_relaxed) != word ||
          static_cast<int32_t>(today - a.home->seen[way].load(std::memory_order_relaxed)) > limit) {
        const uint64_t other = table.find(*sw, a.dest(), today).word;
        if (other == 0 || fdb_port(other) != fdb_port(place)) break;
      }
    }
    *bytes += sum;
    for (uint32_t k = i; k < n; k++) *bytes -= slot_length(run[count + k]);
    count += i;
    if (i != end) break;
  }
  seen |= flags;  // of frames that others will look at again, too
  return count;
}

}  // namespace vale
