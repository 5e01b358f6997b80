// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Before an interface is taken from the host: does anything the user would miss run over it?
// Owns. Nothing.
// Invariants. An interface below the one in question (of a bridge, bond, VLAN, VXLAN) counts as it does.
//   Answers come from the kernel's tables of this network namespace.
// Not here. Taking it (take_over.h).
#pragma once

#include <string>

#include "nic/interface.h"

namespace vale {

constexpr const char* kLoginVariable = "SSH_CONNECTION";
// The login that this process belongs to, "" when there is none: of its own environment, or of those that
// started it, since sudo hands only some of it on.
std::string login_connection();

// "" or why it must not be taken, as in "it carries the default route".
std::string in_use(const Interface& interface);

}  // namespace vale
