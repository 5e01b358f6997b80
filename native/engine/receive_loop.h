// SPDX-License-Identifier: BSD-2-Clause
// Receives from a port until the reader has finished or the engine stops; everything that was delivered
// before the stop is received. Of a Reader: finished(); receive(), a burst from each ring, whether there was
// anything; wait(), whether the rings were synced when it ended. Returns the error that ended it; that what
// a monitor watches has closed is none, and said.
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
