// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Which agents there are:
//   1. list_agents(): ask all that live for fresh figures, wait a moment, read. TAP devices of killed ones
//      are put back as they were.
//   2. forget_agent(): what died and was told of is not listed any more.
//
// Owns. Nothing. Takes and releases the directory lock itself: an agent needs it to answer.
// Invariants. A stopped agent costs a listing no wait.
// Not here. What is asked of them (attach.h), their records (switch/agents.h).
#pragma once

#include <string>
#include <vector>

#include "shm/runtime.h"
#include "types.h"

namespace vale {

// Those that live, and those that died and have not been forgotten.
Status list_agents(Runtime& rt, std::vector<AgentRow>* out);
// Its death was told, or (log_shown) its log was read: then it is forgotten.
Status forget_agent(Runtime& rt, const std::string& port, bool log_shown);

}  // namespace vale
