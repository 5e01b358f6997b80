// SPDX-License-Identifier: BSD-2-Clause
// Any bytes as a capture file: either refused with one line, or frames that lie within them.
#include <cstdlib>
#include <cstring>

#include "engine/pcap.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  // A block of exactly this size, so that the sanitizer sees any step beyond it.
  std::unique_ptr<uint8_t[]> data(new uint8_t[size]);
  if (size != 0) std::memcpy(data.get(), bytes, size);
  std::vector<vale::CapturedFrame> frames;
  const vale::Status status = vale::parse_capture("input", data.get(), size, &frames);
  if (!status.ok()) {
    if (status.text.empty() || status.text.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  if (frames.empty()) std::abort();
  for (const vale::CapturedFrame& frame : frames) {
    if (frame.bytes < 14 || frame.bytes > 65536 || frame.offset < vale::kFrameHeadroom)
      std::abort();
    if (frame.offset > size || frame.bytes > size - frame.offset) std::abort();
    for (uint32_t i = 1; i <= vale::kFrameHeadroom; i++) {
      if (data[frame.offset - i] != 0) std::abort();
    }
  }
  return 0;
}
