// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Keeps an interface's frames from the host's own stack, and the stack's from the wire:
//   1. take(): what the interface receives is dropped behind the packet sockets, and what the stack
//      sends is dropped before the driver. Frames sent past the queueing discipline are not touched.
//   2. take_with_host(): the same, but the stack's frames are redirected into a TAP device, and what
//      is written to that TAP enters the stack as if the interface had received it.
//
// Owns. Links of TCX programs (Linux 6.6), else a netfilter table (5.16; also in user namespaces,
//   where the kernel lets nobody load programs).
//
// Invariants. The kernel undoes all of it when the object or its process ends, however it ends.
//   Several may hold one interface at once; whoever has the host side comes first. Frames on their
//   way to the stack carry kHostMark so that no socket of a wire takes them for received ones; frames
//   of a wire's own socket carry kOwnMark, which netfilter looks at and takes away.
//
// Not here. Which interfaces must not be taken (in_use.h).
#pragma once

#include <cstdint>

#include "nic/bpf.h"
#include "nic/interface.h"
#include "status.h"

namespace vale {

constexpr uint32_t kHostMark = 0x76616c65;  // "vale"
constexpr uint32_t kOwnMark = 0x76616c66;

class TakeOver {
 public:
  // The errno of the second means, and what the kernel refused; nothing is taken then.
  Status take(const Interface& interface);
  Status take_with_host(const Interface& interface, int tap);
  // "tcx", "nftables" or "none".
  const char* means() const { return means_; }

 private:
  Handle links_[5];
  Handle table_;  // a netlink socket; its end is the table's
  const char* means_ = "none";
};

}  // namespace vale
