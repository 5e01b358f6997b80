// SPDX-License-Identifier: BSD-2-Clause
// Between the bodies of netmap's control requests and this project's own data: which field is which,
// listed once for both directions. `copy` is from_body or to_body.
#pragma once

#include "abi/netmap_control.h"
#include "types.h"

namespace vale::request_body {

inline constexpr auto from_body = [](const auto& body, auto& ours) { ours = body; };
inline constexpr auto to_body = [](auto& body, const auto& ours) { body = ours; };

// What a port is made of. Every body here has it, and every OpenRequest and PortInfo.
template <class Body, class Ours, class Copy>
void sizes(Body& b, Ours& ours, Copy copy) {
  copy(b.nr_tx_slots, ours.tx_slots);
  copy(b.nr_rx_slots, ours.rx_slots);
  copy(b.nr_tx_rings, ours.tx_rings);
  copy(b.nr_rx_rings, ours.rx_rings);
  copy(b.nr_mem_id, ours.mem_id);
}

// All that an nmreq_register or nmreq_port_info_get has in common with a request, or with what was opened.
template <class Body, class Ours, class Copy>
void fields(Body& b, Ours& ours, Copy copy) {
  sizes(b, ours, copy);
  copy(b.nr_host_tx_rings, ours.host_tx_rings);
  copy(b.nr_host_rx_rings, ours.host_rx_rings);
  if constexpr (requires { b.nr_extra_bufs; }) copy(b.nr_extra_bufs, ours.extra_bufs);
  if constexpr (requires { ours.memsize; }) {
    copy(b.nr_memsize, ours.memsize);
    if constexpr (requires { b.nr_offset; }) copy(b.nr_offset, ours.offset);
  }
  if constexpr (requires { ours.mode; }) {
    copy(b.nr_mode, ours.mode);
    copy(b.nr_ringid, ours.ring_id);
    copy(b.nr_flags, ours.flags);
  }
}

}  // namespace vale::request_body
