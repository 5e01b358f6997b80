// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. How a control call begins: Look, then find_switch() or find_port().
// Owns. A Look: the runtime directory's lock, and that of this process's control calls, while it exists.
// Invariants. What died before a Look is not found under it.
// Not here. What the calls do (user.cc, port_life.h).
#pragma once

#include <mutex>
#include <string>

#include "shm/runtime.h"

namespace vale {

// Every control call: one thread at a time, the directory lock, a look that reaps.
struct Look {
  std::unique_lock<std::mutex> guard;
  DirLock lock;
  Status status;
  Look(Runtime& rt, const char* what);
};

// ENOENT: there is no such switch. Of `name` what is before its colon.
Status find_switch(const Control& c, const std::string& name, uint32_t* slot);
// ENXIO: there is no such port.
Status find_port(const Control& c, const std::string& name, uint32_t* slot);

}  // namespace vale
