// SPDX-License-Identifier: BSD-2-Clause
// An agent that serves a virtual machine.
#include <algorithm>

#include "agent/agent.h"
#include "device/registered_port.h"
#include "vhost/guest_port.h"
#include "vhost/rules.h"
#include "vhost/stream_port.h"

namespace vale {

// As many rings as the guest may have queue pairs, and the header that its frames carry.
Status Agent::open_port_of_guest(OpenRequest request, std::unique_ptr<Port>* out) {
  const uint16_t pairs = std::max<uint16_t>({request.tx_rings, request.rx_rings, 1});
  request.tx_rings = request.rx_rings = pairs;
  request.flags |= NR_ACCEPT_VNET_HDR;
  const bool stream = !options_.attach.stream.empty();
  if (stream && pairs != 1) {
    return Status::fail(EINVAL,
                        "%s: a stream has one queue in each direction; leave out -C's rings",
                        request.name.c_str());
  }
  if (Status s = open_port(rt_, request, out); !s.ok() || stream) return s;
  return (*out)->set_header_length(vhost::kPortHeader);
}

Status Agent::open_guest(Side& side) const {
  if (!options_.attach.stream.empty()) {
    std::unique_ptr<vhost::GuestLink> stream;
    const bool client = options_.attach.client;
    if (Status s = vhost::StreamPort::open(options_.attach.stream, client, &stream); !s.ok())
      return s;
    side.guest = stream.get();
    side.wire = std::move(stream);
    return Status::good();
  }
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
