// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. How something is asked of an agent that runs:
//   1. agent_act(): write the wish into its record, ring, wait until it has acted, look for the dead meanwhile.
//   2. agent_stuck(): what is said of one that does not answer.
//
// Owns. Nothing. Takes and releases the directory lock itself: an agent needs it to answer.
// Invariants. Every wait ends. A wish that failed is not carried out later, unless it is said to have begun.
// Not here. What is asked, and what else belongs to it (attach.h, agent_list.h).
#pragma once

#include <time.h>

#include "nic/tap_device.h"
#include "shm/monotonic.h"
#include "shm/runtime.h"
#include "switch/agents.h"

namespace vale {

constexpr uint64_t kMs = 1'000'000;
// How long an agent may take for what it is asked, ms.
constexpr uint64_t kActMs = 10'000;

// Looks again and again, at first soon, until done() or the time is over.
template <class Done>
inline bool wait_until(uint64_t ms, Done&& done) {
  const uint64_t end = monotonic_ns() + ms * kMs;
  for (long nap = 50'000;; nap = nap < 5'000'000 ? nap * 2 : nap) {
    if (done()) return true;
    if (monotonic_ns() >= end) return false;
    const timespec ts{0, nap};
    nanosleep(&ts, nullptr);
  }
}

// A look under the lock: who has died since is noticed.
Status notice_dead(Runtime& rt, const char* what);

// EBUSY, and what to do.
Status agent_stuck(const AgentRec& a, const char* then = "does not answer, and nothing was done");

// Until the agent has acted on the wish, or is gone; `gone` says whether it is. After an error it will not
// act on it any more, unless the error says that it has begun.
Status agent_act(Runtime& rt, uint32_t slot, AgentWish wish, bool* gone);

// How the TAP device was that the agent has, or had; 0: it has none that is for this process to put back.
TapFacts left_tap(const AgentRec& a);

}  // namespace vale
