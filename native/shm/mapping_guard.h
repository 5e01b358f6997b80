// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A file that others may truncate is mapped; touching a page it no longer has raises SIGBUS, which
// would end the process, maybe somebody's who only sent to that port. So
//   1. guard_mapping() notes the mapping, and takes SIGBUS over with the first.
//   2. The first touch of a missing page puts zero pages of this process's own in place of the whole
//      mapping and goes on; or, where nothing can go on without the file, says so and exits with 1.
//   3. guard_lost() tells whoever owns the mapping, at its next look; or *told, where looks are many.
//   4. unguard_mapping(), before munmap(2).
//
// Owns. The process's SIGBUS handler: the one exception to "no global state", as signals are the
//   process's. Whoever had it before gets every SIGBUS that is not about these mappings.
// Invariants. The handler takes no lock and calls only system calls. No more than kGuards mappings are
//   guarded; further ones are as if there were no guard.
// Not here. Which files, and what their loss means (mapper.h, device/, vhost/guest_memory.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vale {

constexpr uint32_t kGuards = 4096;

// last_words: a line for standard error, ending in a newline, that stays until unguard_mapping(): the
// process ends when a page is missing. Null: zero pages take its place, and *told, if any, is set. False: all
// guards are taken.
bool guard_mapping(void* base, size_t size, const char* last_words = nullptr,
                   std::atomic<bool>* told = nullptr);
void unguard_mapping(const void* base);
bool guard_lost(const void* base);

}  // namespace vale
