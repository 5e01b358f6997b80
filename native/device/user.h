// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. open(): a name becomes a registration (switch/registration.h), and that a Port of its kind. Control
//   calls (list, attach, create, …) go to the switch, or to an interface's agent (attach.h).
// Owns. Shares the runtime directory with all Ports it has opened; each keeps alive what it needs.
// Invariants. Nothing of a port is remembered here: every answer comes from the control file as it is now.
// Not here. Frames. Interfaces opened in this process (wire.h).
#pragma once

#include "device/device.h"

namespace vale {

// directory nullptr: the default of this user (shm/directory.h). *resolved is the path in use;
// *warning one line or empty (may be nullptr). Ports keep what they need alive: the Device may be
// destroyed before them.
Status open_user_device(const char* directory, std::unique_ptr<Device>* out, std::string* resolved,
                        std::string* warning = nullptr);

}  // namespace vale
