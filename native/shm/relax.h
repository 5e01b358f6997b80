// SPDX-License-Identifier: BSD-2-Clause
// A pause in a loop that waits for another processor.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vale {

inline void cpu_relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

}  // namespace vale
