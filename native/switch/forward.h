// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The sender runs the switch in its own txsync; a frame's way, for one tx ring:
//   1. lock the tx ring (skip it if another thread syncs it); read head once; check it.
//   2. a run (Sender::scan_run): up to 256 frames in a row to one port; one lookup while addresses stay the same.
//      After two short runs, until frames come that could have been runs, and for those with flags or
//      fragments, classify(): up to 256 frames of any kind, sorted into one list per destination, in order of
//      appearance; a flooded frame is on the list of every member.
//   3. take: these slots leave the application, counted.
//   4. deliver (deliver.cc): lock the rx ring, copy payloads, then descriptors, then the tail.
//   5. publish the new tail of the tx ring: all of it is free again, transmission is complete.
//   6. unlock with a full fence, then wake whoever sleeps. Where nothing could be delivered for want of room,
//      let those run who may be waiting for this processor to make some (sched_yield(2)).
//
// Owns. TxRing under its lock; each destination's RxRing under that one's, one at a time.
// Invariants. Never blocks beyond lock_bounded()'s 30 ms a destination. Frames of one tx ring to one
//   rx ring stay in order. What the application writes into its ring meanwhile hurts only itself.
// Not here. Opening and binding (ports.h), the receiver's half (receive.h).
#pragma once

#include "switch/sender.h"

namespace vale {

// Sends what the application put on the Sender's ring.
void forward(Sender& sender);
// Under the tx ring's lock: finds the switch that the port is attached to now; false when there is none.
bool on_switch(Sender& sender);

constexpr uint32_t header_code(uint32_t length) { return length == 0 ? 0 : length == 10 ? 1 : 2; }
constexpr uint32_t header_of_code(uint32_t code) { return code == 0 ? 0 : code == 1 ? 10 : 12; }

}  // namespace vale
