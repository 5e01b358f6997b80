// SPDX-License-Identifier: BSD-2-Clause
// The contents of a slot as text: the reference's heading, then 16 bytes a line.
#include <algorithm>

#include "engine/loops.h"

namespace vale {

void dump_slot(Engine& engine, const RingView& ring, uint32_t index, const char* place) {
  constexpr uint32_t kBytesPerLine = 16;
  const netmap_slot slot = ring.slot(index);
  const uint8_t* data =
      reinterpret_cast<const uint8_t*>(place != nullptr ? place : ring.buffer(slot.buf_idx));
  const uint32_t bytes = slot.len;
  char line[96];
  std::snprintf(line, sizeof line, "ring %p cur %5u [buf %6u flags 0x%04x len %5u]",
                static_cast<void*>(ring.ring()), index, slot.buf_idx, slot.flags, slot.len);
  std::string text = line;
  for (uint32_t at = 0; at < bytes; at += kBytesPerLine) {
    std::snprintf(line, sizeof line, "\n%5u: ", at);
    text += line;
    const uint32_t end = std::min(at + kBytesPerLine, bytes);
    for (uint32_t i = at; i < at + kBytesPerLine; i++) {
      std::snprintf(line, sizeof line, i < end ? "%02x " : "   ", i < end ? data[i] : 0u);
      text += line;
    }
    for (uint32_t i = at; i < end; i++) {
      text += data[i] >= 0x20 && data[i] < 0x7f ? static_cast<char>(data[i]) : '.';
    }
  }
  engine.say_all(false, std::move(text));
}

}  // namespace vale
