// SPDX-License-Identifier: BSD-2-Clause
// The first bytes of a received frame, which may be spread over slots, in one piece.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "ring_view.h"

namespace vale {

struct FrameHead {
  // Enough for a virtio-net header, Ethernet, IPv6, UDP and what ping writes behind them.
  static constexpr uint32_t kBytes = 12 + 14 + 40 + 8 + 12;

  uint8_t data[kBytes];
  uint32_t bytes = 0;
  uint32_t slots = 0;

  // The frame's next slot, as the view gives it; whether it is the last one. clear() before the next frame.
  bool add(const RingView& ring, const netmap_slot& slot) {
    const uint32_t n = std::min<uint32_t>(slot.len, kBytes - bytes);
    std::memcpy(data + bytes, ring.buffer(slot.buf_idx), n);
    bytes += n;
    slots++;
    return (slot.flags & NS_MOREFRAG) == 0;
  }
  void clear() { bytes = slots = 0; }

  // Offset of the UDP payload behind a virtio-net header of that length; 0 when the frame is not
  // IP.
  uint32_t payload(uint32_t header) const {
    if (bytes < header + 14) return 0;
    const uint32_t type = static_cast<uint32_t>(data[header + 12]) << 8 | data[header + 13];
    return type == 0x0800 ? header + 42 : type == 0x86dd ? header + 62 : 0;
  }
};

}  // namespace vale
