// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Who calls libpcap gets our functions, and those go on to libpcap's own:
//   1. A program that is linked with libpcap finds ours in front of it.
//   2. One that opens it itself (dlopen, ctypes) asks dlsym(): what we have too is ours.
//   3. NEXT finds libpcap's definition: of the library that comes next, or of the one that was opened.
//
// Owns. A reference to the libpcap that a program opened, for good: functions of it are remembered.
// Invariants. Every other question to dlsym() is libc's to answer, as if nobody stood in between.
// Not here. The functions (calls_*.cc).
#pragma once

#include <cstdlib>

// `next`: libpcap's definition of a function; libpcap is there when one of its functions is called with a
// handle of its own.
#define NEXT(type, name)                                                             \
  static const auto next = reinterpret_cast<type>(::vale::preload::next_pcap(name)); \
  if (next == nullptr) std::abort()

namespace vale::preload {

// nullptr when there is none.
void* next_pcap(const char* name);

}  // namespace vale::preload
