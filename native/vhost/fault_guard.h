// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A file that another process can shorten is mapped; a touch behind its new end is a SIGBUS:
//   1. guard_memory(): from now on such a touch finds zeros, and *lost is set.
//   2. Whoever works on that memory looks at *lost once a turn, and gives it up.
//   3. unguard_memory() before it is unmapped.
//
// Owns. The process's handler of SIGBUS, from the first call on, and a table of what is guarded: the
//   one state of this process that is global, because a signal's handler is.
// Invariants. The handler puts anonymous memory in place of the whole mapping and returns, so the
//   instruction goes on and nothing is unwound. A SIGBUS elsewhere ends the process as it always did.
// Not here. What the memory is (guest_memory.h).
#pragma once

#include <atomic>
#include <cstddef>

namespace vale::vhost {

constexpr unsigned kMaxGuarded = 1024;

// `start` and `bytes` are a whole mapping's. False: kMaxGuarded are guarded already.
bool guard_memory(char* start, size_t bytes, std::atomic<bool>* lost);
void unguard_memory(char* start);

}  // namespace vale::vhost
