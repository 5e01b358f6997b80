// SPDX-License-Identifier: BSD-2-Clause
#include "device/attach.h"

#include <unistd.h>

#include "device/agent_call.h"
#include "device/launch.h"
#include "switch/ports.h"
#include "switch/reap.h"

namespace vale {
namespace {

constexpr uint32_t kMostCores = 2;  // to poll one interface
constexpr int kTries = 8;           // to meet an agent of a name while others come and go

std::string all_of(int fd) {
  std::string text;
  char part[1024];
  ssize_t n;
  while ((n = pread(fd, part, sizeof part, static_cast<off_t>(text.size()))) > 0)
    text.append(part, static_cast<size_t>(n));
  return text;
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
  Status status = agent_act(rt, slot, wish, gone);
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

Status detach_interface(Runtime& rt, uint32_t slot) {
  AgentRec& a = rt.control().agent(slot);
  const uint32_t gen = a.gen;
  const TapFacts tap = left_tap(a);
  const int interface = static_cast<int>(a.interface_index);
  if (a.poll_cores.load(std::memory_order_relaxed) != 0) {
    return Status::fail(EBUSY, "%s: it is being polled; first run: vale ctl -P %s", a.port, a.port);
  }
  bool gone;
  if (Status s = agent_act(rt, slot, {AgentWish::What::stop}, &gone); !s.ok()) return s;
  // It has heard. It ends once the interface is as before.
  const bool ended = wait_until(kActMs, [&] {
    return a.gen != gen || a.state.load(std::memory_order_acquire) == State::free ||
           (notice_dead(rt, "waiting for an agent").ok() &&
            a.state.load(std::memory_order_acquire) == State::dying);
  });
  if (!ended) return agent_stuck(a, "has begun to detach and does not end");
  // It has given up what opening a device of somebody else's takes; this process may have it.
  if (tap != 0 && tap_facts(interface) != tap) put_back(interface, tap);
  // It leaves under the lock: whoever has had the lock since finds nothing of it.
  return notice_dead(rt, "detaching a port");
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
  if (Status s = agent_act(rt, static_cast<uint32_t>(slot), wish, &gone); !s.ok()) return s;
  return gone ? Status::fail(ENXIO, "%s: its agent ended meanwhile; see: vale ctl log %s", n, n)
              : Status::good();
}

}  // namespace vale
