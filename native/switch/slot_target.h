// SPDX-License-Identifier: BSD-2-Clause
// Where a frame goes: a slot's buffer, and `length` as its slot will have it (rx_slots.h).
#pragma once

#include <cstdint>

namespace vale {

struct SlotTarget {
  char* data;
  uint32_t index, length;
};

}  // namespace vale
