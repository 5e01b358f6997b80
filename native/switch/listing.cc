// SPDX-License-Identifier: BSD-2-Clause
#include "switch/listing.h"

#include <bit>
#include <cstring>

#include "switch/agents.h"
#include "switch/counters.h"
#include "switch/names.h"
#include "switch/probe.h"

namespace vale {
namespace {

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::pipe:
      return "pipe";
    case Kind::monitor:
      return "monitor";
    case Kind::null:
      return "null";
    default:
      return "port";
  }
}

bool live(const PortRec& p) { return p.state.load(std::memory_order_acquire) == State::live; }

// Whether what a pipe or monitor belongs to is still there.
bool has_parent(const Control& c, const PortRec& p) {
  return (p.kind == Kind::pipe || p.kind == Kind::monitor) &&
         c.port(p.parent).gen == p.parent_gen && live(c.port(p.parent));
}

void add(const Control& c, const PortRec& p, std::vector<PortRow>* out) {
  PortRow r;
  r.name = full_name(c, p);
  r.kind = kind_name(p.kind);
  const int32_t s = p.switch_slot.load();
  r.attached = s >= 0;
  r.switch_index = s >= 0 ? static_cast<uint32_t>(s) : 0;
  r.port_index = p.port_index.load();
  r.persistent = p.persistent != 0 && p.hidden == 0;
  r.registrations = static_cast<uint32_t>(std::popcount(p.reg_mask.load()));
  r.header_length = p.header_length.load();
  r.counters = to_counters(port_totals(c, p));
  fill_info(c, p, &r.info);
  if (p.agent != 0) {
    const AgentFacts facts = agent_facts(c.agent(p.agent - 1));
    std::memcpy(r.info.mac, facts.mac, sizeof r.info.mac);
  }
  out->push_back(std::move(r));
}

// Pipes may be watched, monitors may not: two levels at most.
void add_family(const Control& c, const PortRec& p, std::vector<PortRow>* out) {
  add(c, p, out);
  for (uint32_t i = 0; i < c.ports(); i++) {
    const PortRec& child = c.port(i);
    if (live(child) && has_parent(c, child) && child.parent_gen == p.gen) add_family(c, child, out);
  }
}

}  // namespace

void list_ports(const Control& c, std::vector<PortRow>* out) {
  out->clear();
  for (uint32_t s = 0; s < c.switches(); s++) {
    const SwitchRec& sw = c.sw(s);
    if (sw.state.load() != State::live) continue;
    for (uint32_t i = 0; i < kPortsPerSwitch; i++) {
      if (const uint64_t m = sw.member[i].load()) add_family(c, c.port(member_port(m)), out);
    }
  }
  for (uint32_t i = 0; i < c.ports(); i++) {
    const PortRec& p = c.port(i);
    if (live(p) && p.switch_slot.load() < 0 && !has_parent(c, p)) add_family(c, p, out);
  }
}

}  // namespace vale
