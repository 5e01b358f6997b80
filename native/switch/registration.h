// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One open of a port:
//   1. registration_open(): reap, find or create the port (resolve.h), bring its memory up, check exclusivity,
//      make the lease FIFO, write the netmap_if, bind the rings.
//   2. registration_close(): close the FIFO; if nobody else holds it, registration_destroy().
//   3. registration_destroy(): unbind, give back the netmap_if and the extra buffers; the last one
//      takes the port's memory down and, if the port is ephemeral, the port.
//
// Owns. RegRec; the FIFO's descriptor belongs to the caller. Directory lock held throughout.
// Invariants. Until its state is `live` a registration binds nothing; from `dying` on neither.
// Not here. Syncs (forward.h, receive.h), the dead (reap.h).
#pragma once

#include "shm/runtime.h"
#include "types.h"

namespace vale {

struct Registration {
  uint32_t index = 0, gen = 0, port = 0, port_gen = 0;
  Kind kind = Kind::port;
  int fifo = -1;
};

// errno as the reference: EBUSY, EINVAL, EIO, ENOMEM, ENXIO; see docs/netmap-api.md.
Status registration_open(Runtime& rt, const OpenRequest& request, Registration* out,
                         PortInfo* info);
// The registration whose FIFO this is, inherited or passed on; out->fifo is another descriptor of it.
// ENXIO when there is none.
Status registration_adopt(Runtime& rt, int fd, Registration* out, PortInfo* info);
void registration_close(Runtime& rt, Registration* r);
void registration_destroy(Runtime& rt, uint32_t index);

}  // namespace vale
