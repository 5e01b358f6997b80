// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One thread between a virtual machine and its port of the switch, in turns:
//   1. now and then, or when woken for it: what the guest's process says (vhost/guest_link.h).
//   2. rxsync; frames to the guest; frames from the guest; txsync; what was used is the guest's again.
//   3. A turn that moved nothing: wait for either side, spinning as long as that has paid off lately.
//
// Owns. Nothing; the caller keeps both until the engine is done.
// Invariants. The lanes: from the guest, to the guest.
// Not here. Frames (vhost/device.h), the switch (device/).
#pragma once

#include <functional>
#include <memory>

#include "engine/engine.h"
#include "vhost/guest_link.h"

namespace vale {

struct GuestConfig {
  bool busy = false;  // never sleep
  uint32_t spin = 0;  // µs to spin before sleeping, at most
  int affinity = -1;  // CPU, -1 = any
};

Status start_guest(const GuestConfig& config, vhost::GuestLink* guest, Port* port,
                   std::function<void()> on_done, std::unique_ptr<Engine>* out);

}  // namespace vale
