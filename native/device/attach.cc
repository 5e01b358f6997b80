// SPDX-License-Identifier: BSD-2-Clause
#include "device/attach.h"

#include <time.h>
#include <unistd.h>

#include <cstring>

#include "device/launch.h"
#include "nic/interface.h"
#include "nic/tap_device.h"
#include "shm/monotonic.h"
#include "switch/agents.h"
#include "switch/counters.h"
#include "switch/ports.h"
#include "switch/reap.h"

namespace vale {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kActMs = 10'000, kFreshMs = 500, kSilentMs = 20, kStoppedMs = 300;
// A wish outlives the wait for it, so that what its agent answered it has also done. Only that of an asker
// that died meanwhile is ever too late.
constexpr uint64_t kWishMs = kActMs + 1000;
constexpr uint32_t kMostCores = 2;  // to poll one interface
constexpr int kTries = 8;           // to meet an agent of a name while others come and go

// Looks again and again, at first soon, until done() or the time is over.
template <class Done>
bool wait_until(uint64_t ms, Done&& done) {
  const uint64_t end = monotonic_ns() + ms * kMs;
  for (long nap = 50'000;; nap = nap < 5'000'000 ? nap * 2 : nap) {
    if (done()) return true;
    if (monotonic_ns() >= end) return false;
    const timespec ts{0, nap};
    nanosleep(&ts, nullptr);
  }
}

// A look under the lock: who has died since is noticed.
Status look(Runtime& rt, const char* what) {
  DirLock lock;
  if (Status s = lock.acquire(rt.directory, what); !s.ok()) return s;
  reap(rt);
  return Status::good();
}

Status stuck(const AgentRec& a, const char* then = "does not answer, and nothing was done") {
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

std::string all_of(int fd) {
  std::string text;
  char part[1024];
  ssize_t n;
  while ((n = pread(fd, part, sizeof part, static_cast<off_t>(text.size()))) > 0)
    text.append(part, static_cast<size_t>(n));
  return text;
}

// Until the agent has acted on the wish, or is gone; `gone` says whether it is. After an error it will not
// act on it any more, unless the error says that it has begun.
Status act(Runtime& rt, uint32_t slot, AgentWish wish, bool* gone) {
  AgentRec& a = rt.control().agent(slot);
  const uint32_t gen = a.gen;
  const auto over = [&] {
    const State s = a.state.load(std::memory_order_acquire);
    return a.gen != gen || s == State::free || s == State::dying;
  };
  if (!wait_until(kActMs, [&] { return (*gone = over()) || agent_wish(a, kWishMs, &wish); }))
    return stuck(a);
  if (*gone) return Status::good();
  const uint32_t asked = agent_ask(rt, slot);
  uint64_t next_look = monotonic_ns() + 100 * kMs;
  Status looked = Status::good();
  // Now and then with a look for the dead: nobody else may be there to notice.
  const auto settled = [&] {
    if (looked.ok() && monotonic_ns() >= next_look) {
      next_look = monotonic_ns() + 100 * kMs;
      looked = look(rt, "waiting for an agent");
    }
    return (*gone = over()) || agent_answered(a, asked);
  };
  const uint64_t patience = monotonic_ns() + kStoppedMs * kMs;
  wait_until(kActMs, [&] {
    return settled() || !looked.ok() || (monotonic_ns() >= patience && agent_stopped(a));
  });
  if (*gone || agent_answered(a, asked)) return Status::good();
  if (agent_take_back(a, wish)) return looked.ok() ? stuck(a) : looked;
  // It is at it.
  if (wait_until(kActMs, settled)) return Status::good();
  return looked.ok() ? stuck(a, "has begun and does not end") : looked;
}

// Asks an agent that runs. *gone: it has ended before it did anything.
Status serve_too(Runtime& rt, uint32_t slot, const AttachRequest& q, uint32_t* port_index,
                 std::string* warning, bool* gone) {
  const AgentRec& a = rt.control().agent(slot);
  AgentWish wish = {AgentWish::What::serve};
  uint32_t gen;
  int file;
  {
    DirLock lock;
    if (Status s = lock.acquire(rt.directory, "attaching a port"); !s.ok()) return s;
    *gone = q.agent_name != a.name;
    if (*gone) return Status::good();
    if (agent_elsewhere(a)) {
      return Status::fail(EBUSY,
                          "%s: agent %s runs in another container, with other files; choose "
                          "another name",
                          q.port.name.c_str(), a.name);
    }
    gen = a.gen;
    const std::vector<std::string> words = agent_words(q, rt.directory.path());
    if (Status s = agent_write_request(rt, slot, words, &wish.first, &file); !s.ok()) return s;
  }
  Status status = act(rt, slot, wish, gone);
  agent_drop_request(rt, slot, gen, wish.first);
  std::string answer = all_of(file);
  close(file);
  // Its own words, unless they are still what it was asked.
  const bool answered = !answer.empty() && answer.back() == '\n';
  if (answered) return read_answer(std::move(answer), q.port.name.c_str(), port_index, warning);
  if (status.ok() && !*gone)
    status = Status::fail(EIO,
                          "%s: agent %s did not understand; detach all that it serves, and "
                          "attach them again",
                          q.port.name.c_str(), a.name);
  return status;
}

}  // namespace

Status attach_interface(Runtime& rt, const AttachRequest& q, uint32_t* port_index,
                        std::string* warning) {
  if (q.agent.empty() || access(q.agent.c_str(), X_OK) != 0) {
    return Status::fail(EIO,
                        "%s: the agent that serves interfaces is not at %s; install this "
                        "package again",
                        q.port.name.c_str(), q.agent.empty() ? "any known place" : q.agent.c_str());
  }
  if (q.agent_name.empty()) return launch_agent(q, rt.directory.path(), port_index, warning);
  Status status = Status::good();
  // Whether there is one is known for sure only by the one that is started (EALREADY) or asked (gone).
  for (int tries = 0; tries < kTries; tries++) {
    int32_t slot;
    {
      DirLock lock;
      if (Status s = lock.acquire(rt.directory, "attaching a port"); !s.ok()) return s;
      reap(rt);
      slot = agent_named(rt.control(), q.agent_name);
    }
    bool again = false;
    if (slot >= 0) {
      status = serve_too(rt, static_cast<uint32_t>(slot), q, port_index, warning, &again);
    } else {
      status = launch_agent(q, rt.directory.path(), port_index, warning);
      again = status.err == EALREADY;
    }
    if (!again) return status;
  }
  return Status::fail(EBUSY, "%s: agents of the name %s come and go; try again",
                      q.port.name.c_str(), q.agent_name.c_str());
}

namespace {

// A TAP device that an agent had, or still has.
struct LeftTap {
  LeftTap(const AgentRec& a, uint32_t at)
      : slot(at),
        gen(a.gen),
        facts(a.netns_inode == network_inode() ? a.tap.load(std::memory_order_acquire) : 0),
        interface(static_cast<int>(a.interface_index)) {}
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

}  // namespace

Status detach_interface(Runtime& rt, uint32_t slot) {
  AgentRec& a = rt.control().agent(slot);
  const uint32_t gen = a.gen;
  const LeftTap tap(a, slot);
  if (a.poll_cores.load(std::memory_order_relaxed) != 0) {
    return Status::fail(EBUSY, "%s: it is being polled; first run: vale ctl -P %s", a.port, a.port);
  }
  bool gone;
  if (Status s = act(rt, slot, {AgentWish::What::stop}, &gone); !s.ok()) return s;
  // It has heard. It ends once the interface is as before.
  const bool ended = wait_until(kActMs, [&] {
    return a.gen != gen || a.state.load(std::memory_order_acquire) == State::free ||
           (look(rt, "waiting for an agent").ok() &&
            a.state.load(std::memory_order_acquire) == State::dying);
  });
  if (!ended) return stuck(a, "has begun to detach and does not end");
  // It has given up what opening a device of somebody else's takes; this process may have it.
  if (tap.facts != 0 && tap_facts(tap.interface) != tap.facts) put_back(tap.interface, tap.facts);
  // It leaves under the lock: whoever has had the lock since finds nothing of it.
  return look(rt, "detaching a port");
}

namespace {

Status check_cores(const char* port, uint32_t cores, uint32_t first) {
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  const uint64_t last = uint64_t{first} + cores;  // + 1
  if (cores == 0) return Status::good();
  if (online < 2) {
    return Status::fail(EINVAL, "%s: this machine's only core cannot be given away for polling",
                        port);
  }
  if (last > static_cast<uint64_t>(online) || first > AgentWish::kMostFirst) {
    return Status::fail(EINVAL, "%s: there is no core %u; this machine has cores 0 to %ld", port,
                        static_cast<uint32_t>(last - 1), online - 1);
  }
  return Status::good();
}

}  // namespace

Status poll_interface(Runtime& rt, const std::string& port, uint32_t cores, uint32_t first) {
  const char* n = port.c_str();
  int32_t slot;
  {
    DirLock lock;
    if (Status s = lock.acquire(rt.directory, "changing an agent"); !s.ok()) return s;
    reap(rt);
    const Control& c = rt.control();
    SplitName split;
    if (port.compare(0, 4, "vale") != 0) return Status::fail(EINVAL, "%s: expected SWITCH:PORT", n);
    if (Status s = split_name(port, ENXIO, &split); !s.ok()) return s;
    const int32_t found = port_find(c, split);
    if (found < 0)
      return Status::fail(ENXIO, "%s: no such port; `vale ctl` lists what is there", n);
    slot = agent_find(c, port);
    if (slot < 0) {
      return Status::fail(
          EOPNOTSUPP,
          "%s: only an attached network interface or virtual machine can be polled; no other "
          "port needs it",
          n);
    }
    const AgentRec& a = c.agent(static_cast<uint32_t>(slot));
    const uint32_t polled = a.poll_cores.load(std::memory_order_relaxed);
    if (cores == 0 && polled == 0) return Status::fail(EFAULT, "%s: it is not being polled", n);
    if (cores != 0 && polled != 0) {
      return Status::fail(EFAULT,
                          "%s: it is being polled already; to change how, first run: vale "
                          "ctl -P %s",
                          n, n);
    }
    if (cores > 1 && a.socket[0] != 0) {
      return Status::fail(
          EOPNOTSUPP, "%s: %u cores: one core polls all queues of a virtual machine; use -C 0,%u",
          n, cores, first);
    }
    if (cores > kMostCores) {
      return Status::fail(
          EOPNOTSUPP,
          "%s: %u cores: an interface has a ring for what comes in and one for what "
          "goes out, and a core polls one of them or both; use -C 1,%u,2 or -C 0,%u",
          n, cores, first, first);
    }
    if (Status s = check_cores(n, cores, first); !s.ok()) return s;
  }
  bool gone;
  const AgentWish wish = {AgentWish::What::poll, cores, first};
  if (Status s = act(rt, static_cast<uint32_t>(slot), wish, &gone); !s.ok()) return s;
  return gone ? Status::fail(ENXIO, "%s: its agent ended meanwhile; see: vale ctl log %s", n, n)
              : Status::good();
}

namespace {

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
      look(rt, "listing");
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
