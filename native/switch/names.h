// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What the device makes of a name; suffixes were taken off by whoever typed it (src/port):
//   1. vale0:a     port "a" of switch "vale0"          p0     a persistent port
//   2. vale0:a{1   an end of a pipe: its parent, then "{1" or "}1"
//   3. port_lookup(): the port that carries a full name now.
//
// Owns. Nothing.
// Invariants. full_name() of a live port, given to port_lookup(), finds it.
// Not here. Making what is not there (resolve.h).
#pragma once

#include <string>

#include "abi/netmap.h"
#include "shm/runtime.h"

namespace vale {

// "vale0:a" → "vale0", "a". A persistent port's bare name → "", name.
struct SplitName {
  std::string sw, port;
};
// bad_errno: what the reference answers to a bad switch name here (ENOMEM when it would create).
Status split_name(const std::string& name, int bad_errno, SplitName* out);

// "vale0:a{1" → "vale0:a", "{1".
struct SplitPipe {
  std::string parent, end;
};
bool is_pipe(const std::string& name);
Status split_pipe(const std::string& name, SplitPipe* out);

std::string full_name(const Control& c, const PortRec& p);

// -1 when there is none.
int32_t switch_find(const Control& c, const std::string& name);
int32_t port_find(const Control& c, const SplitName& name);
int32_t persistent_find(const Control& c, const std::string& bare);
// Any kind of port; *slot is -1 when there is none. Fails only for what cannot be a name.
Status port_lookup(const Control& c, const std::string& text, int bad_errno, int32_t* slot);

}  // namespace vale
