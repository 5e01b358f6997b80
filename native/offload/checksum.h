// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Internet checksums (RFC 1071): sum() pieces, then fold() and complement.
// Owns. Nothing.
// Invariants. Sums are in memory byte order, so a folded sum is stored as it is, without swapping.
//   A piece that is not the last one must have an even length.
// Not here. Which fields a checksum covers (segment.h, vnet_header.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace vale {

// One's-complement sum of `bytes` bytes added to `start`; unfolded.
inline uint64_t checksum_sum(const void* data, size_t bytes, uint64_t start = 0) {
  const char* p = static_cast<const char*>(data);
  uint64_t sum = start;
  while (bytes >= 16) {
    uint32_t word[4];
    std::memcpy(word, p, 16);
    sum += uint64_t{word[0]} + word[1] + word[2] + word[3];
    p += 16;
    bytes -= 16;
  }
  while (bytes >= 2) {
    uint16_t half;
    std::memcpy(&half, p, 2);
    sum += half;
    p += 2;
    bytes -= 2;
  }
  if (bytes != 0) {
    const char last[2] = {*p, 0};
    uint16_t half;
    std::memcpy(&half, last, 2);
    sum += half;
  }
  return sum;
}

inline uint16_t checksum_fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// A sender's half-made checksum: the field at `start + offset` holds the sum of the pseudo header,
// and the rest, from `start` to the end of the frame, is still to be added. False when the field
// does not lie in the frame.
inline bool checksum_complete(char* frame, size_t bytes, size_t start, size_t offset) {
  if (start >= bytes || start + offset + 2 > bytes) return false;
  uint16_t value =
      static_cast<uint16_t>(~checksum_fold(checksum_sum(frame + start, bytes - start)));
  if (value == 0) value = 0xffff;  // in UDP 0 means "none"; elsewhere both are the same number
  std::memcpy(frame + start + offset, &value, 2);
  return true;
}

}  // namespace vale
