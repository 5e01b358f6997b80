// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What somebody who opens an interface asks for, before anything is opened:
//   1. sides_of() the mode: the interface, its host's side, or both; host_device() is what the latter is called.
//   2. check_wire(): whether a wire can be opened in that way at all.
//   3. find_wire(): the interface, if there is one of that name and the user would not miss it.
// Owns. Nothing. Invariants. Nothing is changed. A name is the kernel's, without "tap:".
// Not here. Opening it (wire.h), whether others have it (nic/claim.h).
#pragma once

#include <string>

#include "device/wire.h"
#include "nic/interface.h"

namespace vale {

constexpr uint32_t kMinWireBuffer = 64, kMaxWireBuffer = 65472;  // bytes

struct WireSides {
  bool nic, host;
};
WireSides sides_of(uint32_t mode);

// The host's side of an interface as the user sees it in `ip link`.
std::string host_device(const Interface& interface);

// EINVAL, EOPNOTSUPP.
Status check_wire(const OpenRequest& request, bool tap);
// ENXIO: there is none; EBUSY: it must not be taken without `force`; EINVAL: it cannot be shared so.
Status find_wire(const OpenRequest& request, const WireOptions& options, Interface* out);

}  // namespace vale
