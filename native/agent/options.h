// SPDX-License-Identifier: BSD-2-Clause
// What device/launch.cc gives an agent as its arguments.
#pragma once

#include <string>

#include "status.h"
#include "types.h"

namespace vale {

struct AgentOptions {
  AttachRequest attach;   // .agent is not used
  std::string directory;  // absolute path
};

// EINVAL: no such option, a value that is missing or no number, no port or directory.
Status parse_agent_options(int argc, char** argv, AgentOptions* out);

}  // namespace vale
