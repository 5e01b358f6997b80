// SPDX-License-Identifier: BSD-2-Clause
#include "switch/convert.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "offload/checksum.h"

namespace vale {

Converter::Verdict Converter::start(const Fragment* fragment, uint32_t count, uint32_t bytes,
                                    uint32_t from, uint32_t to) {
  cutting_ = false;
  pieces_ = 0;
  bytes_ = bytes - from + to;
  std::memset(header_, 0, sizeof header_);
  if (from != 0) std::memcpy(header_, fragment->data, sizeof(VnetHeader));
  if (to != 0) {
    piece_[pieces_++] = {header_, to};
    skip(fragment, count, from);
    return Verdict::good;
  }
  skip(fragment, count, from);
  VnetHeader header;
  std::memcpy(&header, header_, sizeof header);
  if ((header.flags & ~kVnetFlags) != 0) return Verdict::malformed;
  if (header.gso_type == kGsoNone) {
    if ((header.flags & kVnetNeedsChecksum) == 0) return Verdict::good;
    if (bytes_ > kJoined) return Verdict::impossible;
    return complete(header) ? Verdict::good : Verdict::malformed;
  }
  if (!Segmenter::knows(header.gso_type)) return Verdict::impossible;
  if (bytes_ > kJoined || (pieces_ > 1 && !join())) return Verdict::impossible;
  cutting_ = segmenter_.start(piece_[0].data, bytes_, header.gso_type, header.gso_size);
  return cutting_ ? Verdict::good : Verdict::malformed;
}

// What follows the first `bytes` bytes is the frame.
void Converter::skip(const Fragment* fragment, uint32_t count, uint32_t bytes) {
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t here = std::min(bytes, fragment[i].length);
    bytes -= here;
    if (here == fragment[i].length) continue;
    piece_[pieces_++] = {fragment[i].data + here, fragment[i].length - here};
  }
}

// The frame as one piece of memory of our own.
bool Converter::join() {
  if (joined_ == nullptr) joined_.reset(new (std::nothrow) char[kJoined]);
  if (joined_ == nullptr) return false;
  uint32_t at = 0;
  for (uint32_t i = 0; i < pieces_; i++) {
    std::memcpy(joined_.get() + at, piece_[i].data, piece_[i].length);
    at += piece_[i].length;
  }
  piece_[0] = {joined_.get(), at};
  pieces_ = 1;
  return true;
}

bool Converter::complete(const VnetHeader& header) {
  return join() && checksum_complete(joined_.get(), bytes_, header.csum_start, header.csum_offset);
}

uint64_t Converter::slots(uint32_t size) const {
  const uint32_t each = cutting_ ? segmenter_.next_bytes() : bytes_;
  const uint32_t last = cutting_ ? segmenter_.last_bytes() : bytes_;
  const uint32_t one = (each + size - 1) / size;
  if (one > kMaxFragments) return kNever;
  return uint64_t{frames() - 1} * one + (last + size - 1) / size;
}

Converter::Pieces Converter::next() {
  if (!cutting_) return {piece_, pieces_, bytes_};
  const Segment s = segmenter_.next();
  piece_[0] = {s.header, s.header_bytes};
  piece_[1] = {s.payload, s.payload_bytes};
  return {piece_, s.payload_bytes != 0 ? 2u : 1u, s.header_bytes + s.payload_bytes};
}

}  // namespace vale
