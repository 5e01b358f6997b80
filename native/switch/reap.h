// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What a look at the runtime directory does first, under its lock:
//   1. repair(), if a change was cut off: finish or undo half-made records, rebuild what is derived,
//      remove files nobody refers to.
//   2. Processes whose lease is gone: take over every ring lock they hold, then free their slots.
//      Agents among them are noted as dead (agents.h).
//   3. Registrations whose FIFO nobody holds: destroy them, and with them ports and switches.
//   4. Ports that a stopped process kept from going: try again.
//
// Owns. Nothing of its own. Directory lock held.
// Invariants. Idempotent, and may itself be killed anywhere.
// Not here. How a lock is repaired (recover.h).
#pragma once

#include "shm/runtime.h"

namespace vale {

void reap(Runtime& rt);

}  // namespace vale
