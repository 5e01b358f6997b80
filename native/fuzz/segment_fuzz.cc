// SPDX-License-Identifier: BSD-2-Clause
// Super-frames are made by whoever is at the other end of a wire. Input: GSO type, segment size (two
// bytes), then the frame. The segments of what is accepted must add up to the frame.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "offload/checksum.h"
#include "offload/segment.h"
#include "offload/vnet_header.h"

constexpr uint32_t kIpv6FragmentHeader = 8;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3 || size > 3 + 65550) return 0;
  uint16_t segment;
  std::memcpy(&segment, data + 1, sizeof segment);
  // Exactly as large as the frame, so that a read beyond it is seen.
  const std::vector<char> frame(data + 3, data + size);
  const uint32_t bytes = static_cast<uint32_t>(frame.size());

  vale::Segmenter segmenter;
  if (segmenter.start(frame.data(), bytes, data[0], segment)) {
    const bool fragments = (data[0] & ~vale::kGsoEcn) == vale::kGsoUdpFragments;
    uint64_t sent = 0;
    uint32_t segments = 0, header = 0;
    while (!segmenter.done()) {
      const uint32_t promised = segmenter.next_bytes();
      const vale::Segment one = segmenter.next();
      // To IP a transport header is payload: a short first fragment carries nothing else.
      const bool may_be_empty = fragments && segments == 0;
      if (one.header_bytes + one.payload_bytes != promised || one.payload_bytes > segment ||
          (one.payload_bytes == 0 && !may_be_empty)) {
        std::abort();
      }
      sent += promised;
      header = one.header_bytes;
      segments++;
    }
    const uint64_t once = sent - uint64_t{segments - 1} * header;  // each repeats the headers
    if (once != bytes && !(fragments && once == bytes + kIpv6FragmentHeader)) std::abort();
  }

  std::vector<char> copy = frame;
  vale::checksum_complete(copy.data(), bytes, segment, data[0]);
  return 0;
}
