// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. load_capture() reads a pcap or pcapng file into one block of memory and lists the frames in
//   it, in file order. parse_capture() does the latter for bytes that are already in memory.
// Owns. A Capture owns the block, in which kCopyUnit zeros (tx_ring.h) follow the file's last byte.
// Invariants. Every listed frame lies within the block, is an Ethernet frame of 14 to 65536 bytes,
//   and has kFrameHeadroom zero bytes before it, as room for a virtio-net header. Input is hostile
//   until it has been listed: nothing is read beyond `size`.
// Not here. Timestamps: frames are played as fast as the rate allows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "status.h"

namespace vale {

constexpr uint32_t kFrameHeadroom = 12;

struct CapturedFrame {
  uint64_t offset;  // in the block
  uint32_t bytes;   // that were kept
  uint32_t whole;   // that it had on the wire, or what was kept where that is more
};

struct Capture {
  std::unique_ptr<uint8_t[]> block;
  std::vector<CapturedFrame> frames;
};

// EINVAL with one line naming `name`, the offset and what is wrong there. data is changed only in
// the bytes before each frame.
Status parse_capture(const std::string& name, uint8_t* data, uint64_t size,
                     std::vector<CapturedFrame>* frames);
// The same for a file; also the errors of opening and reading it, and ENOMEM.
Status load_capture(const std::string& path, Capture* out);

}  // namespace vale
