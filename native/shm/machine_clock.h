// SPDX-License-Identifier: BSD-2-Clause
// Time that processes of one machine tell each other in shared memory: how long it runs. A time namespace
// (time_namespaces(7)) has a CLOCK_MONOTONIC of its own, which is ahead of or behind that of the others.
#pragma once

#include <cstdint>

namespace vale {

// ns and s since the machine was started, the same in all namespaces. Once in a process, the first call reads a file.
uint64_t machine_ns();
uint32_t machine_seconds();

}  // namespace vale
