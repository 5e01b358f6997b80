// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. list_ports(): the ports of each switch by index, then persistent ones on none; the pipes and
//   monitors of each port after it; last, monitors whose port is gone.
// Owns. Nothing. Directory lock held.
// Invariants. Every live port is named once.
// Not here. How a listing looks (src/report).
#pragma once

#include <vector>

#include "shm/runtime.h"
#include "types.h"

namespace vale {

void list_ports(const Control& c, std::vector<PortRow>* out);

}  // namespace vale
