// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Looks at a runtime directory from outside: the layout it was made with, and its processes.
// Owns. Nothing.
// Invariants. Opens for reading only, takes no lock, reaps nothing.
// Not here. Using a directory (directory.cc), clearing what the dead have left (switch/reap.cc).
#pragma once

#include <cstdint>
#include <string>

namespace vale {

struct DirectoryFacts {
  uint32_t layout = 0;    // of its control file; 0 = there is none, or it is not one of ours
  uint32_t expected = 0;  // this program's
  uint32_t living = 0;    // processes that use it
  uint32_t dead = 0;      // that ended without leaving, and nobody has looked since
};

DirectoryFacts inspect_directory(const std::string& path);

}  // namespace vale
