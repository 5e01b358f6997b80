// SPDX-License-Identifier: BSD-2-Clause
// What an agent knows of its interface: what of it changes is said in its log, and all of it shown to whoever asks.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "agent/agent.h"
#include "switch/agents.h"
#include "switch/counters.h"

namespace vale {
namespace {

const char* link_text(const WireState& state) {
  return state.link ? "link up" : state.up ? "no carrier" : "down";
}

}  // namespace

void Agent::say_serving() {
  log_.say("%s: serving interface %s (%s, taken over: %s, MTU %u, %s), process %d",
           options_.attach.port.name.c_str(), interface_name_.c_str(), link_.backend.c_str(),
           link_.take_over.c_str(), link_.mtu, link_text(link_), getpid());
  if (!link_.warning.empty()) log_.say("%s", link_.warning.c_str());
}

// The command line that gets it all queues that its interface has by now.
std::string Agent::attach_again() const {
  const AttachRequest& q = options_.attach;
  std::string line =
      "vale ctl -d " + q.port.name + " && vale ctl " + (q.host ? "-h " : "-a ") + q.port.name;
  if (q.port.tx_slots != 0 || q.port.rx_slots != 0)
    line += " -C " + std::to_string(q.port.tx_slots) + "," + std::to_string(q.port.rx_slots);
  if (!q.backend.empty()) line += " --backend " + q.backend;
  if (!q.netns.empty()) line += " --netns " + q.netns;
  if (q.force) line += " --force";
  return line;
}

void Agent::say_queues(const WireState& now) {
  const char* name = now.interface.c_str();
  if (now.unserved_queues == 0) {
    log_.say("interface %s: all its queues are served again", name);
    return;
  }
  log_.say(
      "interface %s has %u receive %s more than when it was attached: what arrives there is "
      "lost and not counted; run: %s",
      name, now.unserved_queues, now.unserved_queues == 1 ? "queue" : "queues",
      attach_again().c_str());
}

void Agent::look_at_link() {
  WireState now;
  if (!sides_[0].wire->wire_state(&now) || now.removed) return;  // the engine will hear of it
  if (!has_guest() && !link_.backend.empty() && (now.up != link_.up || now.link != link_.link))
    log_.say("interface %s: %s", now.interface.c_str(), link_text(now));
  if (!link_.backend.empty() && now.unserved_queues != link_.unserved_queues) say_queues(now);
  if (!link_.backend.empty() && now.interface != link_.interface)
    log_.say("interface %s is called %s now%s", link_.interface.c_str(), now.interface.c_str(),
             now.take_over == link_.take_over || now.take_over != "none"
                 ? ""
                 : ", and nftables goes by the name: the host may see its frames until it is "
                   "attached again");
  link_ = now;
}

void Agent::publish() {
  AgentFacts facts = {};
  const Port& wire = *sides_[0].wire;
  facts.up = link_.up;
  facts.link = link_.link;
  facts.speed_mbps = link_.speed_mbps;
  facts.mtu = link_.mtu;
  facts.link_downs = link_.link_downs;
  facts.unserved_queues = link_.unserved_queues;
  facts.unreachable = link_.unreachable;
  facts.another_waits = link_.another_waits;
  facts.kernel_drops = link_.kernel_drops;
  facts.nic_rx_dropped = link_.nic_rx_dropped;
  facts.nic_tx_dropped = link_.nic_tx_dropped;
  std::snprintf(facts.interface, sizeof facts.interface, "%s", link_.interface.c_str());
  std::memcpy(facts.mac, link_.mac, sizeof link_.mac);
  facts.rx_rings = wire.last_rx() - wire.first_rx();
  facts.tx_rings = wire.last_tx() - wire.first_tx();
  std::snprintf(facts.backend, sizeof facts.backend, "%s", link_.backend.c_str());
  std::snprintf(facts.take_over, sizeof facts.take_over, "%s", link_.take_over.c_str());
  facts.wire = to_totals(wire.counters());
  if (sides_.size() > 1) facts.host = to_totals(sides_[1].wire->counters());
  agent_publish(record(), facts);
}

}  // namespace vale
