// SPDX-License-Identifier: BSD-2-Clause
// A line that will be written is asked for early.
#pragma once

namespace vale {

inline void prefetch_for_write(const void* p) {
#if defined(__x86_64__)
  // Not __builtin_prefetch: for the baseline instruction set that asks for a shared copy, and the
  // store would go to the other core a second time. Where PREFETCHW is unknown it does nothing.
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
#else
  __builtin_prefetch(p, 1);
#endif
}

}  // namespace vale
