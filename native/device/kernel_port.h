// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One registration with the kernel's netmap:
//   1. open_kernel_port() asks for it on a descriptor of its own, and maps what the answer says.
//   2. The rings' sizes and places are read once, checked against the mapping, and kept.
//   3. txsync() and rxsync() are ioctls; ready() is a poll(2) that does not sleep.
//
// Owns. The descriptor and the mapping.
// Invariants. As device.h: whatever stands in the memory later, views stay inside the mapping.
// Not here. Other requests (kernel.h).
#pragma once

#include "device/device.h"

namespace vale {

// One control request: 0 or an errno. `name` has room for NETMAP_REQ_IFNAMSIZ bytes and is given back
// as the kernel left it.
int kernel_control(int fd, uint16_t type, char* name, void* body);
int kernel_control(int fd, uint16_t type, const std::string& name, void* body);

Status open_kernel_port(const OpenRequest& request, std::unique_ptr<Port>* out);

}  // namespace vale
