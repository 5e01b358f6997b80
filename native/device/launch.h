// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Starts the agent of a network interface:
//   1. launch_agent(): the executable, with what it is to do as its arguments and a pipe as
//      descriptor 3.
//   2. The agent leaves this session and process, attaches, and answers: one line, "0 INDEX" with a
//      warning behind it if there is one, or an errno and why.
//   3. An agent with a name is asked to serve one more by the same arguments, and answers likewise
//      (device/attach.h).
//   4. An agent that ends without an answer has failed too.
//
// Owns. Nothing once it returns: the agent is nobody's child.
// Invariants. Who starts an agent is told whether it works before this returns, or within 30 s that it
//   does not. An agent whose answer nobody reads undoes what it did.
// Not here. What the agent does (agent/).
#pragma once

#include <string>
#include <vector>

#include "status.h"
#include "types.h"

namespace vale {

constexpr int kAnswerFd = 3;

Status launch_agent(const AttachRequest& request, const std::string& directory,
                    uint32_t* port_index, std::string* warning);

// What the agent is started with, without the executable.
std::vector<std::string> agent_words(const AttachRequest& request, const std::string& directory);
// The answer, and what it says.
std::string answer_line(const Status& status, uint32_t port_index, const std::string& warning);
Status read_answer(std::string line, const char* port, uint32_t* port_index, std::string* warning);

}  // namespace vale
