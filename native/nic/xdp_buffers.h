// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The buffers of a port's rings as AF_XDP addresses them, from the start of the memory that the
//   sockets share with the kernel:
//   1. lend(): the kernel gets one for a frame to come. address() is where it begins.
//   2. take_back(): the frame is there.
// Owns. Which buffers the kernel has.
// Invariants. Whatever address and length are said to have come, what take_back() answers is a buffer that
//   was lent, once, and holds that many bytes.
// Not here. Sockets (xdp_socket.h), rings (xdp.h).
#pragma once

#include <cstdint>
#include <vector>

#include "nic/private_region.h"

namespace vale {

class XdpBuffers {
 public:
  // memory: before the first buffer, `bytes` long.
  void open(char* memory, uint64_t bytes, const Buffers& buffers) {
    memory_ = memory;
    bytes_ = bytes;
    zero_ = buffers.zero;
    size_ = buffers.buf_size;
    lent_.assign(buffers.limit, 0);
  }
  char* at(uint64_t address) const { return memory_ + address; }
  uint64_t address(uint32_t buffer) const {
    return static_cast<uint64_t>(zero_ + uint64_t{buffer} * size_ - memory_);
  }

  // The buffer that begins there, 0 when none does.
  uint32_t at_start(uint64_t address) const {
    if (address >= bytes_ || memory_ + address < zero_) return 0;
    const auto from_zero = static_cast<uint64_t>(memory_ + address - zero_);
    const uint64_t index = from_zero / size_;
    return from_zero % size_ == 0 && index >= 2 && index < lent_.size()
               ? static_cast<uint32_t>(index)
               : 0;
  }
  void lend(uint32_t buffer) { lent_[buffer] = 1; }
  // 0: none is lent there that holds so much.
  uint32_t take_back(uint64_t address, uint32_t bytes) {
    const uint32_t buffer = at_start(address);
    if (buffer == 0 || lent_[buffer] == 0 || bytes > size_) return 0;
    lent_[buffer] = 0;
    return buffer;
  }
  // Calls each(buffer) for those the kernel has.
  template <typename F>
  void each_lent(F each) const {
    for (uint32_t i = 0; i < lent_.size(); i++) {
      if (lent_[i] != 0) each(i);
    }
  }

 private:
  char* memory_ = nullptr;
  uint64_t bytes_ = 0;
  char* zero_ = nullptr;
  uint32_t size_ = 1;
  std::vector<uint8_t> lent_;
};

}  // namespace vale
