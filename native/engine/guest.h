// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One thread between virtual machines and their ports of the switch, in turns; for each in a turn:
//   1. now and then, or when woken for it: what the guest's process says (vhost/guest_link.h).
//   2. rxsync; frames to the guest; frames from the guest; txsync; what was used is the guest's again.
//   3. A turn that moved nothing for any: a nap, with nobody asked to wake it, where that pays (engine/naps.h); else
//      wait for one of all sides, spinning as long as that has paid off lately.
//
// Owns. Nothing; the caller keeps guests and ports until the engine is done.
// Invariants. A port that is gone ends its own guest's turns, not those of the others.
// Not here. Frames (vhost/device.h), the switch (device/), who is served (agent/machines.h).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "vhost/guest_link.h"

namespace vale {

// As many as one wait takes ports for (device/wait.h).
constexpr size_t kMostGuests = 64;

struct GuestSeat {
  vhost::GuestLink* guest;
  Port* port;
};

struct GuestConfig {
  bool busy = false;  // never sleep
  uint32_t spin = 0;  // µs to spin before sleeping, at most
  int affinity = -1;  // CPU, -1 = any
};

// on_gone: a port is gone, and why; by the engine's thread, once for each.
Status start_guests(const GuestConfig& config, std::vector<GuestSeat> seats,
                    std::function<void(const GuestSeat&, Status)> on_gone,
                    std::unique_ptr<Engine>* out);

}  // namespace vale
