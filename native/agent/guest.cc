// SPDX-License-Identifier: BSD-2-Clause
// An agent that serves a virtual machine.
#include <algorithm>

#include "agent/agent.h"
#include "device/registered_port.h"
#include "vhost/rules.h"

namespace vale {

// As many rings as the guest may have queue pairs, and the header that its frames carry.
Status Agent::open_port_of_guest(OpenRequest request, std::unique_ptr<Port>* out) {
  const uint16_t pairs = std::max<uint16_t>({request.tx_rings, request.rx_rings, 1});
  request.tx_rings = request.rx_rings = pairs;
  request.flags |= NR_ACCEPT_VNET_HDR;
  if (Status s = open_port(rt_, request, out); !s.ok()) return s;
  return (*out)->set_header_length(vhost::kPortHeader);
}

Status Agent::open_guest(Side& side) const {
  vhost::GuestOptions options;
  options.path = options_.attach.vhost_user;
  options.client = options_.attach.client;
  options.pairs = side.port->last_rx() - side.port->first_rx();
  std::unique_ptr<vhost::GuestPort> guest;
  if (Status s = vhost::GuestPort::open(options, &guest); !s.ok()) return s;
  side.guest = guest.get();
  side.wire = std::move(guest);
  return Status::good();
}

}  // namespace vale
