// SPDX-License-Identifier: BSD-2-Clause
// One frame out of a port, for programs that hand frames over one by one.
#pragma once

#include <cstddef>

#include "device/device.h"

namespace vale::preload {

// Puts the frame into the first tx ring, over several slots if need be, and syncs; the caller has the
// port to itself. 0 or an errno: EMSGSIZE, EAGAIN (no room), ENXIO (nothing to send with).
int inject(Port& port, const void* frame, size_t size);

}  // namespace vale::preload
