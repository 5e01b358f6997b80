// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Frames between a socket and the rings of a port that carries no header in front of them:
//   SlotWriter: one that has come, into slots of a tx ring.
//   gather(): those that wait in an rx ring, as parts for one call of the kernel.
//   discard(): those that wait for a machine that is not there.
// Owns. Nothing.
// Invariants. A frame is in slots whole or not at all.
// Not here. The sockets (stream_port.h, dgram_port.h).
#pragma once

#include <sys/uio.h>

#include "ring_view.h"
#include "vhost/counts.h"

namespace vale::vhost {

class SlotWriter {
 public:
  explicit SlotWriter(const RingView& to) : ring_(to), head_(to.head()), room_(to.available()) {}

  // False: no room for now. One that can never be is counted as a drop.
  bool put(const char* frame, uint32_t bytes, Counts* counts);
  // The port may have them.
  void done(Counts* counts);

 private:
  const RingView& ring_;
  uint32_t head_, room_;
  uint32_t frames_ = 0;
  uint64_t bytes_ = 0;
};

struct Gathered {
  unsigned first, parts;  // of the array
  uint32_t bytes;
  uint32_t end;  // the slot behind it
};

// Whole frames from the ring's head on; in front of each, `lead` parts are left to the caller. How many.
unsigned gather(const RingView& ring, unsigned lead, iovec* parts, unsigned most_parts,
                Gathered* frames, unsigned most_frames);

// Each behind `header` bytes. Whether there were any.
bool discard(const RingView& ring, uint32_t header, Counts* counts);

}  // namespace vale::vhost
