// SPDX-License-Identifier: BSD-2-Clause
#include "preload/pcap/inject.h"

#include <algorithm>
#include <cstring>

namespace vale::preload {

int inject(Port& port, const void* frame, size_t size) {
  if (port.first_tx() == port.last_tx()) return ENXIO;
  netmap_ring* ring = port.tx_ring(port.first_tx());
  const size_t slots = size == 0 ? 1 : (size + ring->nr_buf_size - 1) / ring->nr_buf_size;
  const uint32_t room = (ring->tail + ring->num_slots - ring->head) % ring->num_slots;
  if (slots > NETMAP_MAX_FRAGS) return EMSGSIZE;
  if (slots > room) return EAGAIN;
  const char* from = static_cast<const char*>(frame);
  uint32_t at = ring->head;
  for (size_t left = size, i = 0; i < slots; i++) {
    netmap_slot* slot = &ring->slot[at];
    const size_t n = std::min<size_t>(left, ring->nr_buf_size);
    std::memcpy(NETMAP_BUF(ring, slot->buf_idx), from, n);
    slot->len = static_cast<uint16_t>(n);
    slot->flags = i + 1 < slots ? NS_MOREFRAG : 0;
    from += n;
    left -= n;
    at = at + 1 == ring->num_slots ? 0 : at + 1;
  }
  ring->head = ring->cur = at;
  return port.txsync();
}

}  // namespace vale::preload
