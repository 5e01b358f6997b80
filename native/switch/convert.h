// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A frame between ports whose virtio-net headers have different lengths (0, 10 or 12 bytes):
//   1. start(): look at the sender's header; decide what the frame becomes.
//      header → header  the first 10 bytes stay, the other 2 are zero; the frame is not touched
//      none → header    a header of zeros goes in front
//      header → none    the header goes; a checksum left half-made is completed, a super-frame is cut
//                       into as many frames as its header says, each complete
//   2. frames(), slots(): what the receiver needs room for, before anything is written.
//   3. next(), frames() times: the pieces of one frame.
//
// Owns. Headers that it makes, and a copy of frames whose bytes change. All else stays where it is.
//
// Invariants. Bytes of the sender are only read, and within what the fragments say, even if they
//   change meanwhile. What start() promised is what next() yields.
//
// Not here. Rings and counters (deliver_converted.cc); how segments are made (offload/segment.h).
#pragma once

#include <memory>

#include "offload/segment.h"
#include "offload/vnet_header.h"
#include "switch/batch.h"

namespace vale {

class Converter {
 public:
  enum class Verdict {
    good,
    malformed,   // the header says what is not so
    impossible,  // of a kind that cannot be had without a header
  };
  struct Pieces {
    const Fragment* piece;
    uint32_t count, bytes;
  };

  // A frame in `count` fragments (at most kMaxFragments) of `bytes` bytes altogether, at least `from`
  // of which are its header, in the first fragment; `from` and `to` differ.
  Verdict start(const Fragment* fragment, uint32_t count, uint32_t bytes, uint32_t from,
                uint32_t to);
  uint32_t frames() const { return cutting_ ? segmenter_.left() : 1; }
  // How many slots all its frames take in buffers of `size` bytes; kNever if one has more fragments
  // than a frame may have.
  uint64_t slots(uint32_t size) const;
  static constexpr uint64_t kNever = UINT64_MAX;
  // The next frame; valid until the next call.
  Pieces next();

 private:
  bool complete(const VnetHeader& header);
  bool join();
  void skip(const Fragment* fragment, uint32_t count, uint32_t bytes);

  static constexpr uint32_t kJoined = 128 << 10;  // the longest frame whose bytes may change

  Segmenter segmenter_;
  bool cutting_ = false;
  Fragment piece_[kMaxFragments + 1];
  uint32_t pieces_ = 0, bytes_ = 0;
  char header_[12];
  std::unique_ptr<char[]> joined_;
};

}  // namespace vale
