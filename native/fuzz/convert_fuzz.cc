// SPDX-License-Identifier: BSD-2-Clause
// Virtio-net headers are written by virtual machines. Input: which lengths, where the fragments end,
// then header and frame. Whatever it is: what was promised comes, and no byte beyond the fragments is
// read.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "switch/convert.h"

namespace {
constexpr uint32_t kLengths[] = {0, 10, 12};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3 || size > 70000) return 0;
  const uint32_t from = kLengths[data[0] % 3], to = kLengths[data[0] / 3 % 3];
  const uint32_t buffer = 64u << (data[0] / 9 % 8);
  if (from == to) return 0;
  const size_t cut = 14 + data[1] + (data[2] << 8);
  data += 3;
  size -= 3;
  if (size < from + 14) return 0;

  std::vector<std::vector<char>> memory;  // each as large as its fragment
  for (size_t at = 0; at < size && memory.size() < vale::kMaxFragments;) {
    const size_t n = std::min(at == 0 ? from + cut : cut, size - at);
    memory.emplace_back(data + at, data + at + n);
    at += n;
  }
  std::vector<vale::Fragment> fragments;
  uint32_t bytes = 0;
  for (const auto& m : memory) {
    fragments.push_back({m.data(), static_cast<uint32_t>(m.size())});
    bytes += fragments.back().length;
  }

  static vale::Converter converter;
  if (converter.start(fragments.data(), static_cast<uint32_t>(fragments.size()), bytes, from, to) !=
      vale::Converter::Verdict::good)
    return 0;
  const uint64_t promised = converter.slots(buffer);
  const uint32_t frames = converter.frames();
  if (frames == 0 || (to != 0 && frames != 1)) std::abort();
  uint64_t slots = 0, total = 0;
  bool never = false;
  for (uint32_t i = 0; i < frames; i++) {
    const vale::Converter::Pieces one = converter.next();
    uint32_t sum = 0;
    std::vector<char> frame;
    for (uint32_t k = 0; k < one.count; k++) {
      if (one.piece[k].length == 0) std::abort();
      frame.insert(frame.end(), one.piece[k].data, one.piece[k].data + one.piece[k].length);
      sum += one.piece[k].length;
    }
    if (sum != one.bytes || sum == 0) std::abort();
    const uint32_t needed = (sum + buffer - 1) / buffer;
    never = never || needed > vale::kMaxFragments;
    slots += needed;
    total += sum;
  }
  if (never != (promised == vale::Converter::kNever)) std::abort();
  if (!never && slots != promised) std::abort();
  if (frames == 1 && to != 0 && total != bytes - from + to) std::abort();
  return 0;
}
