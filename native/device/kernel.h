// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The kernel's netmap as a Device, where its module is loaded:
//   1. open_kernel_device() opens /dev/netmap; each control call is one request on that descriptor.
//   2. open() registers a descriptor of the port's own, maps its memory, finds the rings in it
//      (kernel_port.h). Its syncs are ioctls, its sleep is poll(2) on it.
//
// Owns. The descriptor.
// Invariants. What the kernel does not tell is not made up: nothing is counted, and who has a port open
//   is unknown. Nothing here needs Linux: what is not POSIX, and no ioctl of netmap or of BSD's
//   sockets, stands inside an #ifdef.
// Not here. Which device a name is opened on (src/port/device.ts).
#pragma once

#include "device/device.h"

namespace vale {

constexpr const char* kKernelPath = "/dev/netmap";

// ENOENT: there is no such device. EACCES, …: it may not be used. Ports may outlive the Device.
Status open_kernel_device(std::unique_ptr<Device>* out);

}  // namespace vale
