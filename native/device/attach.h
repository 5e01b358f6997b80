// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What a process asks of the agents of attached network interfaces:
//   1. attach_interface(): look whether it can be, start the agent (launch.h), wait for its answer. An agent
//      that has a name and runs already is asked to serve one more instead.
//   2. detach_interface(), poll_interface(): write into its record, ring, wait until it has acted.
//
// Owns. Nothing. Takes and releases the directory lock itself: an agent needs it to answer.
// Invariants. A call returns once what it asked for holds, or says why it does not; a stopped agent
//   costs it a bounded wait.
// Not here. How an agent is asked (agent_call.h), what it does (agent/), its record (switch/agents.h), which
//   there are (agent_list.h).
#pragma once

#include <string>

#include "shm/runtime.h"
#include "types.h"

namespace vale {

// EBUSY: attached already, or open as an ordinary port. Else what the agent answers: EINVAL there is no
// such interface or it cannot be a port, EBUSY somebody has it, EPERM, ENOMEM. *warning: one line when
// something could not be had, else empty.
Status attach_interface(Runtime& rt, const AttachRequest& request, uint32_t* port_index,
                        std::string* warning);

// `slot` is an agent's. EBUSY: polled, or its agent is stopped.
Status detach_interface(Runtime& rt, uint32_t slot);

// cores 0 ends polling. EFAULT: it is (not) polled already. EINVAL: a core that is not there, or the
// machine's only one. EOPNOTSUPP: more than two cores, of which one polls what comes in and one what goes out.
Status poll_interface(Runtime& rt, const std::string& port, uint32_t cores, uint32_t first);

}  // namespace vale
