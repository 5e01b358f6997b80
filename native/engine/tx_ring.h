// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One tx ring as a sender sees it. put() writes a frame into the next slots, repeat() sends
//   what the slots hold already; after the port's txsync, settle() says how many frames it took.
// Owns. What it knows of the ring: which buffers hold what. With `indirect`, the payloads as well.
// Invariants. head and cur only ever pass whole frames. A buffer is written only where it differs
//   from what it holds. No more frames are said to be taken than were put here, whatever another program
//   writes into the ring.
// Not here. The sync itself, waiting, what frames are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "ring_view.h"

namespace vale {

// Frames are copied in units of so many bytes, which takes no branch and no call: what they are copied from is
// readable to the end of its last unit, and buffers of other lengths than multiples of it are copied into as usual.
constexpr uint32_t kCopyUnit = 64;

// How frames are cut into slots.
struct SlotPlan {
  uint32_t fragments = 1;     // slots a frame at least
  uint32_t max_fragment = 0;  // bytes a slot at most, 0 = the buffer's size
  uint32_t first_bytes = 14;  // what the first slot holds at least: headers a switch looks at
  bool indirect = false;      // payloads outside the buffers, by NS_INDIRECT
  bool rubbish = false;       // do not write payloads
  bool rewrite = false;       // write every byte of every frame

  // Sizes of the slots of a frame of `bytes`: first, then `longer` of base + 1, then base.
  struct Cut {
    uint32_t slots, first, base, longer;
  };
  Cut cut(uint32_t bytes, uint32_t buffer_bytes) const;
};

class TxRing {
 public:
  // pipe: the port takes frames at once, and gives slots back only when the other end has read them.
  TxRing(const RingView& ring, const SlotPlan& plan, bool pipe);

  uint32_t space() const;  // free slots

  // Which bytes of a frame may differ from those of the frames put before. They are copied in words of eight bytes
  // from the first on, as they were written (frame.h kGrid). Nothing: {0, 0}.
  struct Varying {
    uint32_t from, to;
  };
  // data: `bytes` bytes, the same as in every other frame put here (up to the shorter) but for those that vary;
  // from `data + bytes` to `data + whole` is what longer ones go on with. false when there is no room.
  bool put(const uint8_t* data, uint32_t bytes, Varying varying, uint32_t whole) {
    if (bytes > plain_bytes_) return put_cut(data, bytes, varying, whole);
    const uint32_t i = ring_.head();
    if (i == ring_.tail()) return false;
    if (holds_[i] == 1) {
      copy_words(ring_.buffer(ring_.at(i).buf_idx), data, varying.from,
                 std::min(varying.to, bytes));
    } else {
      fill(i, data, 0, bytes, varying, whole);
    }
    put_whole(i, bytes, varying.to != 0);
    return true;
  }
  // A frame like no other. Readable up to kCopyUnit bytes beyond its end.
  bool put(const uint8_t* data, uint32_t bytes) {
    if (bytes > plain_bytes_) return put_cut(data, bytes, {0, bytes}, bytes);
    const uint32_t i = ring_.head();
    if (i == ring_.tail()) return false;
    holds_[i] = 0;
    char* const buffer = ring_.buffer(ring_.at(i).buf_idx);
    for (uint32_t at = 0; at < bytes; at += kCopyUnit)
      std::memcpy(buffer + at, data + at, kCopyUnit);
    put_whole(i, bytes, true);
    return true;
  }

  // Copies a received frame, slot by slot, from slots `first` on of an rx ring. false when there is
  // no room, or a slot of it is longer than the buffers here.
  bool copy(const RingView& from, uint32_t first, uint32_t slots);

  // Whether all slots hold the one frame of `bytes` that put() has always been given.
  bool uniform(uint32_t bytes) const {
    return filled_ == ring_.slots() && bytes == uniform_ && !plan_.rewrite;
  }
  // Sends up to `frames` of those; how many there was room for. Costs the same for one and for all.
  uint32_t repeat(uint32_t frames);
  // The frame put last was the last of its batch.
  void end_batch();

  // Before waiting for room: wake only when there is more of it than now.
  void want_more() { ring_.ring()->cur = ring_.tail(); }
  // How many more frames the port has taken since the last call. After a txsync.
  uint32_t settle();
  // Slots that the port has not given back, of frames it has taken or not.
  uint32_t pending() const { return ring_.distance(ring_.after(ring_.tail()), ring_.head()); }

  const RingView& ring() const { return ring_; }
  // What `slot` sends: the payload outside the buffers where it is there.
  const char* data(uint32_t slot) const;

 private:
  static void copy_words(char* to, const uint8_t* from, uint32_t at, uint32_t end) {
    for (; at < end; at += 8) {
      const uint64_t word =
          __atomic_load_n(reinterpret_cast<const uint64_t*>(from + at), __ATOMIC_RELAXED);
      std::memcpy(to + at, &word, sizeof word);
    }
  }
  bool put_cut(const uint8_t* data, uint32_t bytes, Varying varying, uint32_t whole);
  void fill(uint32_t slot, const uint8_t* data, uint32_t offset, uint32_t bytes, Varying varying,
            uint32_t whole);
  void put_whole(uint32_t i, uint32_t bytes, bool varies) {
    netmap_slot& slot = ring_.at(i);
    slot.len = static_cast<uint16_t>(bytes);
    slot.flags = 0;
    ring_.release(ring_.after(i));
    count(bytes, varies, 1);
  }
  // A frame was put.
  void count(uint32_t bytes, bool varies, uint32_t slots) {
    put_++;
    multi_ = multi_ || slots > 1;
    if (uniform_ == kMixed) return;
    if (uniform_ == 0) uniform_ = bytes;
    if (uniform_ != bytes || varies || slots > 1) uniform_ = kMixed;
    if (filled_ < ring_.slots()) filled_++;
  }

  // What varies, and a word more, is always within a buffer of this size.
  static constexpr uint32_t kLeastBuffer = 256;
  static constexpr uint32_t kMixed = ~0u;

  RingView ring_;
  SlotPlan plan_;
  bool pipe_;
  uint32_t plain_bytes_;  // frames up to here take one slot and nothing special
  uint32_t settled_;      // first slot not known to be taken
  uint64_t put_ = 0;      // frames from there on
  bool multi_ = false;    // some frame was longer than a slot
  uint32_t uniform_ = 0;  // bytes of all frames so far, 0 = none, kMixed = different ones
  uint32_t filled_ = 0;   // slots that were given such a frame
  std::vector<uint32_t>
      holds_;  // by slot: 1 + offset in the frame of what its buffer holds, 0 = nothing
  std::vector<char> payloads_;  // indirect: a buffer's bytes a slot
};

}  // namespace vale
