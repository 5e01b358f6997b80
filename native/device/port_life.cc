// SPDX-License-Identifier: BSD-2-Clause
#include "device/port_life.h"

#include <net/if.h>

#include "device/attach.h"
#include "device/look.h"
#include "switch/agents.h"
#include "switch/memory.h"
#include "switch/ports.h"
#include "switch/probe.h"

namespace vale {

Status create_port(Runtime& rt, const OpenRequest& wish, PortInfo* out) {
  const char* n = wish.name.c_str();
  if (wish.name.compare(0, 4, "vale") == 0 || wish.name.empty() || wish.name.size() > 15 ||
      wish.name.find_first_of(":{}*^/@- ") != std::string::npos) {
    return Status::fail(
        EINVAL,
        "%s: expected 1 to 15 characters, not beginning with vale and without : { } * ^ / @ -", n);
  }
  if (if_nametoindex(n) != 0)
    return Status::fail(EEXIST, "%s: an interface has this name already", n);
  Look look(rt, "creating a port");
  if (!look.status.ok()) return look.status;
  if (persistent_find(rt.control(), wish.name) >= 0)
    return Status::fail(EEXIST, "%s: a persistent port has this name already", n);
  Change change(rt);
  uint32_t slot;
  if (Status s = port_create(rt, wish.name, wish, true, &slot); !s.ok()) return s;
  if (Status s = memory_assign(rt, slot, wish.extra_bufs); !s.ok()) {
    port_destroy(rt, slot);
    return s;
  }
  rt.control().port(slot).state.store(State::live, std::memory_order_release);
  fill_info(rt.control(), rt.control().port(slot), out);
  return Status::good();
}

Status remove_port(Runtime& rt, const std::string& name) {
  const char* n = name.c_str();
  Look look(rt, "removing a port");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_port(rt.control(), name, &slot); !s.ok()) {
    if (if_nametoindex(n) == 0) return s;
    return Status::fail(EINVAL, "%s: a network interface, not a persistent port", n);
  }
  PortRec& p = rt.control().port(slot);
  if (p.persistent == 0)
    return Status::fail(ENXIO, "%s: not a persistent port; it goes when it is closed", n);
  if (p.hidden != 0)
    return Status::fail(EINVAL, "%s: made for its pipes; it goes with the last of them", n);
  if (port_has_pipes(rt.control(), slot))
    return Status::fail(EBUSY, "%s: has pipes; close them first", n);
  if (p.switch_slot.load() >= 0) {
    const std::string full = full_name(rt.control(), p);
    return Status::fail(EBUSY, "%s: attached; run: vale ctl -d %s", n, full.c_str());
  }
  if (p.reg_mask.load() != 0) return Status::fail(EBUSY, "%s: still open; close it first", n);
  Change change(rt);
  if (!port_destroy(rt, slot))
    return Status::fail(
        EBUSY, "%s: a stopped process is inside it; it goes once that process continues or ends",
        n);
  return Status::good();
}

Status attach_port(Runtime& rt, const AttachRequest& request, uint32_t* port_index,
                   std::string* warning) {
  std::string unheard;
  if (warning == nullptr) warning = &unheard;
  warning->clear();
  const OpenRequest& q = request.port;
  const char* n = q.name.c_str();
  SplitName name;
  if (q.name.compare(0, 4, "vale") != 0 || q.name.find(':') == std::string::npos) {
    return Status::fail(EINVAL, "%s: expected SWITCH:PORT, as in vale0:%s", n, n);
  }
  if (Status s = split_name(q.name, ENOMEM, &name); !s.ok()) return s;
  if (!request.agent_name.empty()) {
    if (request.machine().empty())
      return Status::fail(EINVAL, "%s: an agent has a name where it serves virtual machines", n);
    if (request.agent_name.size() >= sizeof AgentRec::name) {
      return Status::fail(EINVAL, "%s: expected at most %zu bytes for an agent's name", n,
                          sizeof AgentRec::name - 1);
    }
  }
  {
    Look look(rt, "attaching a port");
    if (!look.status.ok()) return look.status;
    const Control& c = rt.control();
    if (const int32_t there = port_find(c, name); there >= 0) {
      const bool kept = c.port(there).persistent != 0 || c.port(there).agent != 0;
      if (!kept) return Status::fail(EBUSY, "%s: a program has it open; close it there", n);
      return Status::fail(EBUSY,
                          "%s: attached already; to attach it otherwise first run: vale ctl "
                          "-d %s",
                          n, n);
    }
    if (q.mem_id != 0) {
      uint32_t region;
      if (Status s = region_find(rt, q.mem_id, &region); !s.ok()) return s;
    }
    if (const int32_t found = persistent_find(c, name.port); found >= 0) {
      const uint32_t slot = static_cast<uint32_t>(found);
      PortRec& p = c.port(slot);
      if (request.host)
        return Status::fail(EINVAL, "%s: a persistent port has no host stack; use -a", n);
      if (!request.machine().empty()) {
        return Status::fail(EEXIST,
                            "%s: a persistent port is named %s; give the virtual machine's port "
                            "another name",
                            n, name.port.c_str());
      }
      if (p.hidden != 0)
        return Status::fail(EINVAL, "%s: %s was made for its pipes and goes with them", n,
                            name.port.c_str());
      if (p.switch_slot.load() >= 0) {
        const std::string there = full_name(c, p);
        return Status::fail(EBUSY, "%s: %s is attached as %s; first run: vale ctl -d %s", n,
                            name.port.c_str(), there.c_str(), there.c_str());
      }
      Change change(rt);
      if (Status s = port_attach(rt, slot, name.sw); !s.ok()) return s;
      *port_index = p.port_index.load();
      return Status::good();
    }
  }
  const bool seen_from_here =
      request.netns.empty() && request.backend != "tap" && request.machine().empty();
  if (seen_from_here && if_nametoindex(name.port.c_str()) == 0) {
    const char* p = name.port.c_str();
    if (name.port.compare(0, 4, "vale") == 0) {
      return Status::fail(EINVAL,
                          "%s: no interface is named %s, and no persistent port can be, as names "
                          "with \"vale\" are of switches; a port of that name is there while a "
                          "program has it open, as in: vale pkt-gen -i %s",
                          n, p, n);
    }
    return Status::fail(EINVAL,
                        "%s: no persistent port or interface is named %s; first run: vale ctl -n "
                        "%s, or see: ip link",
                        n, p, p);
  }
  return attach_interface(rt, request, port_index, warning);
}

Status detach_port(Runtime& rt, const std::string& port, uint32_t* port_index) {
  const char* n = port.c_str();
  if (port.compare(0, 4, "vale") != 0) return Status::fail(EINVAL, "%s: expected SWITCH:PORT", n);
  uint32_t agent;
  {
    Look look(rt, "detaching a port");
    if (!look.status.ok()) return look.status;
    uint32_t slot;
    if (Status s = find_port(rt.control(), port, &slot); !s.ok()) return s;
    PortRec& p = rt.control().port(slot);
    if (p.kind != Kind::port) return Status::fail(EINVAL, "%s: this is no port of a switch", n);
    *port_index = p.port_index.load();
    if (p.agent == 0) {
      if (p.persistent == 0)
        return Status::fail(EBUSY, "%s: an ephemeral port leaves its switch when it is closed", n);
      Change change(rt);
      port_detach(rt, slot);
      return Status::good();
    }
    agent = p.agent - 1;
    const AgentRec& a = rt.control().agent(agent);
    if (port != a.port) {
      return Status::fail(EBUSY, "%s: it goes with its interface; run: vale ctl -d %s", n, a.port);
    }
  }
  std::lock_guard<std::mutex> guard(rt.slow);
  return detach_interface(rt, agent);
}

}  // namespace vale
