// SPDX-License-Identifier: BSD-2-Clause
// The userspace switch as a Device.
#pragma once

#include "device/device.h"

namespace vale {

// directory nullptr: the default of this user (shm/directory.h). *resolved is the path in use;
// *warning one line or empty (may be nullptr). Ports keep what they need alive: the Device may be
// destroyed before them.
Status open_user_device(const char* directory, std::unique_ptr<Device>* out, std::string* resolved,
                        std::string* warning = nullptr);

}  // namespace vale
