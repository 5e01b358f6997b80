// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Rings driven through control blocks in the program's memory instead of by sync requests:
//   1. enable_blocks(): CSB_ENABLE, or the option CSB of a registration. Syncs and poll are refused then.
//   2. run_loop(): SYNC_KLOOP_START, which returns when it is stopped. Each turn takes head and cur of
//      every ring from its block, syncs, and writes back how far the rings are.
//   3. With nothing to do it sleeps: for sleep_us, or until an eventfd, a frame or room comes.
//   4. stop_loop(): SYNC_KLOOP_STOP, from any thread or process that has the descriptor.
//
// Owns. The blocks' addresses, in the DeviceFile; they mean something in this process only.
// Invariants. A turn holds the file's lock, a sleep none. That blocks are enabled, and that a loop is to
//   stop, is known to all who hold the registration (Port::loop).
// Not here. What a sync does.
#pragma once

#include "preload/control.h"

namespace vale::preload {

// 0 or an errno, as the next one with both locks. `option` is a CSB option.
int enable_blocks(DeviceFile& file, Option& option);
int enable_blocks(Request& request);
// Without any lock: these take their time.
int run_loop(int fd, const nmreq_sync_kloop_start& body, std::vector<Option>& options);
int stop_loop(int fd);

}  // namespace vale::preload
