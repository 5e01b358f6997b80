// SPDX-License-Identifier: BSD-2-Clause
#include "preload/pcap/inject.h"

#include <algorithm>
#include <cstring>

namespace vale::preload {

int inject(Port& port, const void* frame, size_t size) {
  if (port.first_tx() == port.last_tx()) return ENXIO;
  const RingView& ring = port.tx_view(port.first_tx());
  const size_t slots = size == 0 ? 1 : (size + ring.buf_size() - 1) / ring.buf_size();
  uint32_t at = ring.head();
  const uint32_t room = ring.distance(at, ring.tail());
  if (slots > NETMAP_MAX_FRAGS) return EMSGSIZE;
  if (slots > room) return EAGAIN;
  const char* from = static_cast<const char*>(frame);
  for (size_t left = size, i = 0; i < slots; i++) {
    netmap_slot* slot = &ring.at(at);
    const size_t n = std::min<size_t>(left, ring.buf_size());
    std::memcpy(ring.buffer(slot->buf_idx), from, n);
    slot->len = static_cast<uint16_t>(n);
    slot->flags = i + 1 < slots ? NS_MOREFRAG : 0;
    from += n;
    left -= n;
    at = ring.after(at);
  }
  ring.release(at);
  return port.txsync();
}

}  // namespace vale::preload
