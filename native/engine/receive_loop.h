// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. 1. Sync. 2. The reader takes a burst from each ring, receive() says whether there was anything.
//   3. If not, it waits, and wait() says whether the rings were synced when that ended. Until it has
//   finished(), or the engine stops.
// Owns. Nothing; the rings are the reader's.
// Invariants. Everything that was delivered before the stop is received. An error that ended it is returned;
//   that what a monitor watches has closed is none, and said.
// Not here. What is done with frames (rx.cc, capture.cc).
#pragma once

#include "engine/loops.h"

namespace vale {

template <class Reader>
Status receive_loop(Reader& reader, Engine& engine, Port& port) {
  const auto ended = [&](int err) {
    const Status status = port_gone(port, err);
    if (err != EPIPE) return status;
    engine.say(true, status.text);
    return Status::good();
  };
  bool synced = false;
  while (!reader.finished()) {
    // Read before the sync, so that one more turn follows.
    const bool last = engine.stopping();
    if (!synced || last) {
      if (const int err = port.rxsync()) return ended(err);
    }
    synced = false;
    if (last) {
      while (reader.receive()) {
      }
      break;
    }
    if (!reader.receive()) synced = reader.wait();
  }
  const int err = port.rxsync();  // hand back the slots of the last turn
  return err == 0 ? Status::good() : ended(err);
}

}  // namespace vale
