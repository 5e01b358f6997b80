// SPDX-License-Identifier: BSD-2-Clause
#include "device/agent_list.h"

#include <cstring>

#include "device/agent_call.h"
#include "switch/counters.h"
#include "switch/reap.h"

namespace vale {
namespace {

constexpr uint64_t kFreshMs = 500, kSilentMs = 20;

// A TAP device that an agent that was killed had.
struct LeftTap {
  LeftTap(const AgentRec& a, uint32_t at)
      : slot(at), gen(a.gen), facts(left_tap(a)), interface(static_cast<int>(a.interface_index)) {}
  uint32_t slot, gen;
  TapFacts facts;  // 0: it is not for this process to put back
  int interface;
};

// Agents that were killed could not put their TAP devices back as they were.
Status put_back_all(Runtime& rt, const std::vector<LeftTap>& left) {
  std::vector<LeftTap> done;
  for (const LeftTap& one : left) {
    if (put_back(one.interface, one.facts)) done.push_back(one);
  }
  if (done.empty()) return Status::good();
  DirLock lock;
  if (Status s = lock.acquire(rt.directory, "putting TAP devices back"); !s.ok()) return s;
  for (const LeftTap& one : done) {
    AgentRec& a = rt.control().agent(one.slot);
    if (a.gen == one.gen) a.tap.store(0, std::memory_order_release);
  }
  return Status::good();
}

// Under the lock. *left: what dead ones have left behind.
void list_records(Runtime& rt, std::vector<AgentRow>* out, std::vector<LeftTap>* left) {
  const Control& c = rt.control();
  out->clear();
  for (uint32_t i = 0; i < c.agents(); i++) {
    const AgentRec& a = c.agent(i);
    const State state = a.state.load(std::memory_order_acquire);
    if (state != State::live && state != State::dying) continue;
    if (const LeftTap tap(a, i); state == State::dying && tap.facts != 0) left->push_back(tap);
    const AgentFacts facts = agent_facts(a);
    const std::string folder = rt.directory.path() + "/";
    AgentRow r;
    r.port = a.port;
    r.interface = facts.interface[0] != 0 ? facts.interface : a.interface;
    r.netns = a.netns;
    r.socket = a.socket;
    r.name = a.name;
    r.netns_inode = a.netns_inode;
    r.alive = state == State::live;
    r.told = a.told != 0;
    r.stalled = r.alive && (agent_stopped(a) || agent_overdue(a));
    r.host = a.host != 0;
    r.state.interface = r.interface;
    std::memcpy(r.state.mac, facts.mac, sizeof r.state.mac);
    r.state.backend = facts.backend;
    r.state.take_over = facts.take_over;
    r.state.up = facts.up != 0;
    r.state.link = facts.link != 0;
    r.state.speed_mbps = facts.speed_mbps;
    r.state.mtu = facts.mtu;
    r.state.link_downs = facts.link_downs;
    r.state.unserved_queues = static_cast<uint32_t>(facts.unserved_queues);
    r.state.unreachable = facts.unreachable != 0;
    r.state.another_waits = facts.another_waits != 0;
    r.state.kernel_drops = facts.kernel_drops;
    r.state.nic_rx_dropped = facts.nic_rx_dropped;
    r.state.nic_tx_dropped = facts.nic_tx_dropped;
    r.pid = a.pid;
    r.poll_cores = a.poll_cores.load(std::memory_order_relaxed);
    r.poll_first = a.poll_first.load(std::memory_order_relaxed);
    r.started = a.started;
    r.ended = a.ended;
    r.why = a.why;
    r.older_log = folder + agent_older_log(i, a.gen).text;
    r.log = folder + agent_log(i, a.gen).text;
    r.wire = to_counters(facts.wire);
    r.host_side = to_counters(facts.host);
    out->push_back(std::move(r));
  }
}

}  // namespace

Status list_agents(Runtime& rt, std::vector<AgentRow>* out) {
  const Control& c = rt.control();
  std::vector<std::pair<uint32_t, uint32_t>> waiting;
  const uint32_t count = c.agents();
  for (uint32_t i = 0; i < count; i++) {
    if (c.agent(i).state.load(std::memory_order_acquire) != State::live) continue;
    const bool waits = !agent_stopped(c.agent(i)) && !agent_overdue(c.agent(i));
    const uint32_t asked = agent_ask(rt, i);
    if (waits) waiting.emplace_back(i, asked);
  }
  // Who has been killed does not answer, which is to be noticed by somebody.
  uint64_t look_at = monotonic_ns() + kSilentMs * kMs;
  wait_until(kFreshMs, [&] {
    if (monotonic_ns() >= look_at) {
      look_at = ~uint64_t{0};
      notice_dead(rt, "listing");
    }
    while (!waiting.empty()) {
      const auto [slot, asked] = waiting.back();
      const AgentRec& a = c.agent(slot);
      if (a.state.load(std::memory_order_acquire) == State::live && !agent_answered(a, asked))
        return false;
      waiting.pop_back();
    }
    return true;
  });

  std::vector<LeftTap> taps;
  {
    DirLock lock;
    if (Status s = lock.acquire(rt.directory, "listing"); !s.ok()) return s;
    reap(rt);
    list_records(rt, out, &taps);
  }
  return put_back_all(rt, taps);
}

Status forget_agent(Runtime& rt, const std::string& port, bool log_shown) {
  DirLock lock;
  if (Status s = lock.acquire(rt.directory, "forgetting an agent"); !s.ok()) return s;
  for (int32_t i; (i = agent_find_dead(rt.control(), port)) >= 0;) {
    rt.control().agent(static_cast<uint32_t>(i)).told = 1;
    if (!log_shown) break;
    agent_destroy(rt, static_cast<uint32_t>(i));
  }
  return Status::good();
}

}  // namespace vale
