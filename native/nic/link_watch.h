// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. open(): the kernel keeps what it says about the end of one interface. moved(): whether that was
//   its going to another network namespace, and not its end.
// Owns. A netlink socket. Invariants. Costs nothing until the interface is gone.
// Not here. Noticing that it is gone (wire_port.h).
#pragma once

#include "nic/bpf.h"

namespace vale {

class LinkWatch {
 public:
  void open(int index);
  // Of an interface that is not here any more; waits a moment for the kernel to say it.
  bool moved();

 private:
  Handle socket_;
};

}  // namespace vale
