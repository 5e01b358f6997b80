// SPDX-License-Identifier: BSD-2-Clause
// Real agents for tests: where their program is, and what asks for one.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "device/device.h"
#include "test/support/check.h"
#include "test/support/netns.h"

namespace agents {

inline std::string own_path() {
  char path[512];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  return std::string(path, n > 0 ? static_cast<size_t>(n) : 0);
}

inline std::string agent_path() {
  const std::string program = own_path();
  return program.substr(0, program.rfind("/test/")) + "/vale-agent";
}

// A sanitizer's own threads keep this program from entering a user namespace: it starts again inside
// one then. Null when there are namespaces.
inline const char* enter() {
  if (std::getenv("VALE_TEST_INSIDE") != nullptr) return nullptr;
  const char* const why_not = netns::enter();
  if (why_not == nullptr || std::string(why_not).find("sanitizer") == std::string::npos)
    return why_not;
  setenv("VALE_TEST_INSIDE", "1", 1);
  execlp("unshare", "unshare", "-Urn", own_path().c_str(), static_cast<char*>(nullptr));
  return why_not;
}

inline vale::AttachRequest request(const std::string& port) {
  vale::AttachRequest q;
  q.port.name = port;
  q.agent = agent_path();
  return q;
}

inline vale::AgentRow row_of(vale::Device& device, const std::string& port) {
  std::vector<vale::AgentRow> rows;
  CHECK_OK(device.agents(&rows));
  for (const vale::AgentRow& row : rows) {
    if (row.port == port) return row;
  }
  return {};
}

}  // namespace agents
