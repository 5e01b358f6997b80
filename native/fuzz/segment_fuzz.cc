// SPDX-License-Identifier: BSD-2-Clause
// Super-frames are made by whoever is at the other end of a wire. Input: GSO type, segment size (two
// bytes), then the frame. The segments of what is accepted must add up to the frame's payload.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "offload/checksum.h"
#include "offload/segment.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3 || size > 3 + 65550) return 0;
  uint16_t segment;
  std::memcpy(&segment, data + 1, sizeof segment);
  // Exactly as large as the frame, so that a read beyond it is seen.
  const std::vector<char> frame(data + 3, data + size);
  const uint32_t bytes = static_cast<uint32_t>(frame.size());

  vale::Segmenter segmenter;
  if (segmenter.start(frame.data(), bytes, data[0], segment)) {
    uint32_t payload = 0, header = 0;
    while (!segmenter.done()) {
      const uint32_t promised = segmenter.next_bytes();
      const vale::Segment one = segmenter.next();
      if (one.header_bytes + one.payload_bytes != promised || one.payload_bytes == 0 ||
          one.payload_bytes > segment) {
        std::abort();
      }
      header = one.header_bytes;
      payload += one.payload_bytes;
    }
    if (header + payload != bytes) std::abort();
  }

  std::vector<char> copy = frame;
  vale::checksum_complete(copy.data(), bytes, segment, data[0]);
  return 0;
}
