// SPDX-License-Identifier: BSD-2-Clause
// The virtio-net header (virtio 1.2, section 5.1.6) in its legacy 10-byte form, as packet sockets and
// TAP devices put it in front of a frame. Stated here because the kernel's own is not valid C++.
#pragma once

#include <cstdint>

namespace vale {

struct VnetHeader {
  uint8_t flags;
  uint8_t gso_type;
  uint16_t hdr_len;      // bytes of all headers of a super-frame; a hint
  uint16_t gso_size;     // payload bytes of one segment
  uint16_t csum_start;   // from the start of the frame
  uint16_t csum_offset;  // of the checksum field, from csum_start
};
static_assert(sizeof(VnetHeader) == 10, "legacy virtio-net header");

// VnetHeader.flags
constexpr uint8_t kVnetNeedsChecksum = 1;
constexpr uint8_t kVnetFlags = 7;  // the others only inform: data valid, coalescing information
// VnetHeader.gso_type
constexpr uint8_t kGsoNone = 0;
constexpr uint8_t kGsoTcp4 = 1;
constexpr uint8_t kGsoUdpFragments = 3;  // one datagram, to be cut into IP fragments (UFO)
constexpr uint8_t kGsoTcp6 = 4;
constexpr uint8_t kGsoUdpSegments = 5;  // data of one flow, to be cut into datagrams (USO)
constexpr uint8_t kGsoEcn = 0x80;       // or-ed to the TCP kinds

}  // namespace vale
