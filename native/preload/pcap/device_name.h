// SPDX-License-Identifier: BSD-2-Clause
// What a libpcap device name of ours means.
#pragma once

#include <string>

#include "types.h"

namespace vale::preload {

// "vale0:a", "vale-foo", "netmap:NAME", with the suffixes that netmap's own libpcap support takes: -N
// (one ring) and /FLAGS (r, t, z: watch; x: alone; R, T: one direction). false and *wrong: one line.
bool parse_device(const std::string& device, OpenRequest* out, std::string* wrong);

// The name a persistent port has as an interface: that of "vale0:p" is "p".
inline std::string bare_name(const std::string& full) {
  const size_t colon = full.find(':');
  return colon == std::string::npos ? full : full.substr(colon + 1);
}

// Whether a persistent port has this name: an interface to programs, as in the kernel's VALE.
bool is_persistent_port(const char* name);

}  // namespace vale::preload
