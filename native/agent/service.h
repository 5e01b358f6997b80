// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What an agent process serves, from its first port to its last:
//   1. attach(): the port that it was started for (agent.h).
//   2. serve(): sleeps until a doorbell rings, something ends, or a signal comes; looks at all ports once a
//      second in any case. Whoever wishes for another virtual machine to be served here has it attached.
//   3. A port that was detached, or cannot go on, goes; the others stay. The last one's end is the process's.
//
// Owns. The ports' agents, and the engine of the virtual machines among them.
// Invariants. Each port has its record, doorbell and log; they share the process, its slot in the runtime
//   directory, and its end. A network interface is alone in its process.
// Not here. One port (agent.h), its requests' way (switch/agents.h).
#pragma once

#include <memory>
#include <vector>

#include "agent/agent.h"
#include "agent/machines.h"

namespace vale {

class Service {
 public:
  Service();
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // One more; the errors are Agent::attach()'s.
  Status attach(const AgentOptions& options, uint32_t* port_index, std::string* warning);
  // Until nothing is left, or a signal asks: then signal_fd is readable.
  void serve(int signal_fd);

 private:
  bool wait(int signal_fd) const;  // whether a signal asks to end
  void wake() const;               // by any thread
  void serve_too(const Agent& asked, uint32_t number);

  int woken_ = -1;  // an eventfd: there is something to look at
  Machines machines_;
  std::vector<std::unique_ptr<Agent>> agents_;
};

}  // namespace vale
