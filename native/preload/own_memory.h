// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A registration brings memory of its program (NETMAP_REQ_OPT_EXTMEM):
//   1. find(): what is mapped there. A shared mapping of a whole file: that file becomes the region.
//      Private memory: the region is a file of the runtime directory. Anything else: EOPNOTSUPP.
//   2. take_over(), once the port is open: of private memory, what its buffers hold goes into the region,
//      and the region takes the place of the memory, at the same address.
//
// Owns. The descriptor of the program's file, while it lives.
// Invariants. Until take_over() nothing of the program's has changed. Addresses are the program's and
//   looked up, never trusted.
// Not here. The region (shm/region.h).
#pragma once

#include "device/device.h"
#include "preload/control.h"

namespace vale::preload {

class BroughtMemory {
 public:
  BroughtMemory() = default;
  ~BroughtMemory();
  BroughtMemory(const BroughtMemory&) = delete;
  BroughtMemory& operator=(const BroughtMemory&) = delete;

  // 0 or an errno: EINVAL (not at the start of a page, no length), EFAULT (not mapped, or not for
  // writing), EOPNOTSUPP.
  int find(const nmreq_opt_extmem& option);
  const OwnMemory& memory() const { return memory_; }
  // 0 or an errno.
  int take_over(const Port& port);

 private:
  char* at_ = nullptr;
  OwnMemory memory_;
};

}  // namespace vale::preload
