// SPDX-License-Identifier: BSD-2-Clause
// Time that only goes on: of waiting and patience. What day it is says clock.h.
#pragma once

#include <time.h>

#include <cstdint>

namespace vale {

// CLOCK_MONOTONIC, ns.
inline uint64_t monotonic_ns() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(ts.tv_nsec);
}

}  // namespace vale
