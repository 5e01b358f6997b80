// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What is asked about the addresses of a switch, or changed, by hand; under the directory lock.
// Owns. Nothing. Invariants. Senders go on meanwhile: a row is a moment old.
// Not here. The table itself, learning (switch/fdb.h).
#pragma once

#include <vector>

#include "shm/runtime.h"
#include "types.h"

namespace vale {

// EIO: the table cannot be mapped.
Status addresses_of(Runtime& rt, uint32_t switch_slot, std::vector<FdbRow>* out);
// Those that were learned; how many.
uint32_t forget_addresses(Runtime& rt, uint32_t switch_slot);
// For good, to where that port is; no group's address. ENXIO: the port is on no switch; EIO.
Status bind_address(Runtime& rt, uint32_t port_slot, const uint8_t mac[6]);
// ENOENT: it is not known.
Status forget_address(Runtime& rt, uint32_t switch_slot, const uint8_t mac[6]);

}  // namespace vale
