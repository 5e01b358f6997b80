// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. netfilter_take() makes a table of the netdev family that drops what an interface receives
//   (behind packet sockets) and what the stack sends on it, but for frames that carry kOwnMark.
// Owns. The table belongs to the netlink socket handed out: its last close removes the table.
// Invariants. Takes CAP_NET_ADMIN over the network namespace, no more: it works in user namespaces.
// Not here. When it is used (take_over.h).
#pragma once

#include "nic/bpf.h"
#include "nic/interface.h"

namespace vale {

// 0 or an errno: EPERM, EOPNOTSUPP or EINVAL (before Linux 5.16, or without nf_tables).
int netfilter_take(const Interface& interface, Handle* out);
// Whether that could be, as far as the kernel goes: 0 or an errno. Nothing of it stays or drops a frame.
int netfilter_probe();

}  // namespace vale
