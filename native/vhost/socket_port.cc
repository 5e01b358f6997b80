// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/socket_port.h"

#include "vhost/slots.h"

namespace vale::vhost {

bool SocketPort::to_guest(Port& port) {
  bool moved = false;
  full_ = there() && !flush();
  for (unsigned r = port.first_rx(); r < port.last_rx(); r++) {
    const RingView& ring = port.rx_view(r);
    if (!there()) {
      moved |= vhost::discard(ring, 0, &counts_);
    } else if (ring.available() != 0 && !full_) {
      moved |= send_some(ring);
    }
    if (full_) ring.release(ring.head(), ring.tail());
  }
  return moved;
}

Status SocketPort::watch() {
  watches_room_ = there() && full_;
  return watch_socket(watches_room_);
}

void SocketPort::arm(short) {
  if (full_ != watches_room_) watch();
}

}  // namespace vale::vhost
