// SPDX-License-Identifier: BSD-2-Clause
#include "device/agent_call.h"

#include "nic/interface.h"
#include "switch/reap.h"

namespace vale {
namespace {

constexpr uint64_t kStoppedMs = 300;
// A wish outlives the wait for it, so that what its agent answered it has also done. Only that of an asker
// that died meanwhile is ever too late.
constexpr uint64_t kWishMs = kActMs + 1000;

}  // namespace

Status notice_dead(Runtime& rt, const char* what) {
  DirLock lock;
  if (Status s = lock.acquire(rt.directory, what); !s.ok()) return s;
  reap(rt);
  return Status::good();
}

Status agent_stuck(const AgentRec& a, const char* then) {
  if (agent_elsewhere(a)) {
    return Status::fail(EBUSY,
                        "%s: its agent, process %u of another container, %s; run there: kill -CONT "
                        "%u, or to end it kill -KILL %u",
                        a.port, a.pid, then, a.pid, a.pid);
  }
  return Status::fail(EBUSY,
                      "%s: its agent, process %u, %s; let it go on with kill -CONT %u or end it "
                      "with kill -KILL %u",
                      a.port, a.pid, then, a.pid, a.pid);
}

Status agent_act(Runtime& rt, uint32_t slot, AgentWish wish, bool* gone) {
  AgentRec& a = rt.control().agent(slot);
  const uint32_t gen = a.gen;
  const auto over = [&] {
    const State s = a.state.load(std::memory_order_acquire);
    return a.gen != gen || s == State::free || s == State::dying;
  };
  if (!wait_until(kActMs, [&] { return (*gone = over()) || agent_wish(a, kWishMs, &wish); }))
    return agent_stuck(a);
  if (*gone) return Status::good();
  const uint32_t asked = agent_ask(rt, slot);
  uint64_t next_look = monotonic_ns() + 100 * kMs;
  Status looked = Status::good();
  // Now and then with a look for the dead: nobody else may be there to notice.
  const auto settled = [&] {
    if (looked.ok() && monotonic_ns() >= next_look) {
      next_look = monotonic_ns() + 100 * kMs;
      looked = notice_dead(rt, "waiting for an agent");
    }
    return (*gone = over()) || agent_answered(a, asked);
  };
  const uint64_t patience = monotonic_ns() + kStoppedMs * kMs;
  wait_until(kActMs, [&] {
    return settled() || !looked.ok() || (monotonic_ns() >= patience && agent_stopped(a));
  });
  if (*gone || agent_answered(a, asked)) return Status::good();
  if (agent_take_back(a, wish)) return looked.ok() ? agent_stuck(a) : looked;
  // It is at it.
  if (wait_until(kActMs, settled)) return Status::good();
  return looked.ok() ? agent_stuck(a, "has begun and does not end") : looked;
}

TapFacts left_tap(const AgentRec& a) {
  return a.netns_inode == network_inode() ? a.tap.load(std::memory_order_acquire) : 0;
}

}  // namespace vale
