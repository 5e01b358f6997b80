// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A name that is not a port of a switch is an interface's: open_wire() opens it with the best
//   means there is. Today that is AF_PACKET in the process itself (nic/packet.h).
// Owns. Nothing.
// Invariants. Whatever opens it, an interface is a Port like any other.
// Not here. What makes a name an interface's (src/port).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/device.h"

namespace vale {

struct WireInterface {
  std::string name;
  uint32_t mtu = 0;     // bytes, without the Ethernet header
  uint8_t mac[6] = {};  // zeros when it has none
};

// Those of this network namespace, in the kernel's order.
std::vector<WireInterface> interfaces();

// ENXIO: no interface of that name (the text names the nearest, or those there are). EPERM: needs
// CAP_NET_RAW. EINVAL, EOPNOTSUPP: it cannot be opened in that way. ENOMEM.
Status open_wire(const OpenRequest& request, std::unique_ptr<Port>* out);

}  // namespace vale
