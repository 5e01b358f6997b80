// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. An agent's log: lines with a time, in a file of the runtime directory. When the file has grown
//   to half of what a log may take it becomes the older half, in place of the last one.
// Owns. Both files' contents. Descriptors 1 and 2 write into the log that was opened last: what libraries say
//   of the process.
// Invariants. At most kLogBytes in both files. Nothing in an agent waits for its log: what cannot be
//   written is lost.
// Not here. When the files go (switch/agents.h), showing them (src/session).
#pragma once

#include <string>

#include "shm/directory.h"

namespace vale {

constexpr uint64_t kLogBytes = 1 << 20;

class AgentLog {
 public:
  AgentLog() = default;
  ~AgentLog();
  AgentLog(const AgentLog&) = delete;
  AgentLog& operator=(const AgentLog&) = delete;

  // Names within the directory, which outlives this.
  Status open(const Directory& directory, std::string name, std::string older);
  [[gnu::format(printf, 2, 3)]] void say(const char* format, ...);

 private:
  Status start();

  const Directory* directory_ = nullptr;
  int fd_ = -1;
  std::string name_, older_;
};

}  // namespace vale
