// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One Runtime is one use of a runtime directory by one process (or one worker thread): the
//   directory, this process's identity in it, its mappings, its doorbells.
//
// Owns. Those four. Everything above works on it; several may exist in a process, each for itself.
// Invariants. Slow paths (open, close, list, reap) hold `slow`; syncs never do.
// Not here. Ports and switches (switch/).
#pragma once

#include <memory>
#include <mutex>

#include "shm/directory.h"
#include "shm/mapper.h"
#include "shm/process.h"
#include "shm/wake.h"

namespace vale {

struct Runtime {
  Directory directory;
  Process process;
  std::unique_ptr<Mapper> mapper;
  std::unique_ptr<Doorbells> doorbells;
  std::mutex slow;

  const Control& control() const { return directory.control(); }

  // Shared by a device and its ports; the last one gives the process's slot back.
  static Status join(const char* path, std::shared_ptr<Runtime>* out);

  Status open(const char* path) {
    if (Status s = directory.open(path); !s.ok()) return s;
    mapper = std::make_unique<Mapper>(directory);
    doorbells = std::make_unique<Doorbells>(directory);
    return Status::good();
  }
};

}  // namespace vale
