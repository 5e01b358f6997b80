// SPDX-License-Identifier: BSD-2-Clause
// Descriptors of AF_XDP that no kernel should write. Input: operations of nine bytes, a buffer to lend or an
// address (32 bits) and length (32 bits) to take back; a high bit makes pieces one frame. What is taken back
// was lent once, lies in the memory, and its checksum may be completed.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <set>
#include <vector>

#include "nic/xdp_buffers.h"
#include "offload/unfinished.h"

namespace {

constexpr uint32_t kSize = 192, kLimit = 12, kBefore = 256;
constexpr size_t kOperation = 9;

uint32_t u32(const uint8_t* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Exactly as large as the buffers, so that an access beyond is seen. Frames begin like the input's end.
  std::vector<char> memory(kBefore + kLimit * kSize);
  for (size_t i = 0; i < memory.size() && size != 0; i++) {
    const size_t in_buffer = i < kBefore ? 0 : (i - kBefore) % kSize;
    memory[i] = static_cast<char>(data[size - 1 - in_buffer % size]);
  }
  vale::Buffers all;
  all.zero = memory.data() + kBefore;
  all.buf_size = kSize;
  all.limit = kLimit;
  vale::XdpBuffers buffers;
  buffers.open(memory.data(), memory.size(), all);

  std::set<uint32_t> lent;
  std::vector<vale::FramePiece> frame;
  for (; size >= kOperation; data += kOperation, size -= kOperation) {
    const uint32_t address = u32(data + 1), bytes = u32(data + 5);
    if (data[0] % 2 == 0) {
      const uint32_t buffer = 2 + address % (kLimit - 2);
      buffers.lend(buffer);
      lent.insert(buffer);
      continue;
    }
    // Half of the addresses are such as the kernel would say.
    const uint64_t where = (data[0] & 2) != 0 ? address : buffers.address(address % (kLimit + 2));
    const uint32_t length = (data[0] & 4) != 0 ? bytes : bytes % (kSize + 2);
    const uint32_t buffer = buffers.take_back(where, length);
    if (buffer != 0) {
      if (lent.erase(buffer) != 1 || length > kSize) std::abort();
      if (buffers.at(where) != all.at(buffer)) std::abort();
      frame.push_back({buffers.at(where), length});
    }
    if ((data[0] & 0x80) != 0 || frame.empty()) continue;
    vale::finish_checksum(frame.data(), static_cast<uint32_t>(frame.size()));
    frame.clear();
  }
  std::set<uint32_t> left;
  buffers.each_lent([&](uint32_t buffer) { left.insert(buffer); });
  if (left != lent) std::abort();
  return 0;
}
