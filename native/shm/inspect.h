// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Looks at a runtime directory from outside: whether it could be used, the layout it was made
//   with, and its processes.
// Owns. Nothing.
// Invariants. Makes and writes nothing, takes no lock, reaps nothing. Whether it could be used is what
//   Directory says, who decides it for everybody.
// Not here. Using a directory (directory.cc), clearing what the dead have left (switch/reap.cc).
#pragma once

#include <cstdint>
#include <string>

#include "status.h"

namespace vale {

struct DirectoryFacts {
  std::string path;  // absolute
  Status refusal;    // what opening it would say; good where there is none yet and one can be made
  uint32_t layout = 0;    // of its control file; 0 = there is none, or it is not one of ours
  uint32_t expected = 0;  // this program's
  uint32_t living = 0;    // processes that use it
  uint32_t dead = 0;      // that ended without leaving, and nobody has looked since
};

// path empty: the one this user would use.
DirectoryFacts inspect_directory(const std::string& path);

}  // namespace vale
