// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A name that is not a port of a switch is an interface's. open_wire():
//   1. finds the interface (wire_request.h), refuses to take one that the user would miss, and claims it;
//   2. lays out the rings, with buffers of its own or of a switch port;
//   3. opens the best backend there is, or the one asked for;
//   4. takes the interface from the host's stack, until the Port closes or the process ends.
//   The mode says which side: NR_REG_SW is the host's ("em0^"), NR_REG_NIC_SW both ("em0*").
// Owns. Nothing.
// Invariants. Whatever opens it, an interface is a Port like any other; Port::wire_state() is live.
//   The two sides of an interface may be opened apart, by different processes, in any order.
// Not here. What makes a name an interface's (src/port), how frames travel (nic/).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/device.h"

namespace vale {

struct Claim;
struct Peer;

struct WireInterface {
  std::string name;
  uint32_t mtu = 0;     // bytes, without the Ethernet header
  uint8_t mac[6] = {};  // zeros when it has none
};

// Those of this network namespace, in the kernel's order.
std::vector<WireInterface> interfaces();

enum class WireBackend {
  automatic,
  xdp,  // AF_XDP: the first that works of the next three
  xdp_zerocopy,
  xdp_native,   // the driver's own mode, frames copied
  xdp_generic,  // any interface
  packet,       // AF_PACKET: works on every interface
  tap  // a TAP device of that name, made if it is not there; its other end is the host's stack
};
// "auto", "packet", …; false when there is none of that name.
bool parse_backend(const std::string& name, WireBackend* out);

// One of AF_XDP's.
bool is_xdp(WireBackend backend);

struct WireOptions {
  WireBackend backend = WireBackend::automatic;
  bool take_over = true;  // else what the interface receives also reaches the host's stack
  bool force = false;     // take even what carries the default route or the user's login
  bool busy = false;      // the caller never sleeps
  // For what the user is told to run: the words before a command that runs where the interface is, and
  // its other end, if it was looked for by one who has given up the right to since.
  std::string inside;
  const Peer* peer = nullptr;
  // The switch port that the interface is attached as; empty: it is opened by its name.
  std::string port;
  // What claim_wire() gave; null: it is claimed when it is opened.
  std::shared_ptr<const Claim> claim;
  // A switch port of this process that was opened with wire_buffers() extra buffers and outlives the
  // wire: the wire's rings then hold those, so that buffers can be swapped between the two. What is
  // in the rings when the wire closes goes back to the port's list of extra buffers.
  Port* share = nullptr;
};

// How many extra buffers `share` must have for such a wire.
uint32_t wire_buffers(const OpenRequest& request, const WireOptions& options);

// What open_wire() refuses before it opens anything, with the same errors; then nobody else who asks gets those
// sides of the interface while *out lives. For who opens its two sides one after the other.
Status claim_wire(const OpenRequest& request, const WireOptions& options,
                  std::shared_ptr<const Claim>* out);

// "tap:NAME" is NAME with the backend tap. ENXIO: no interface of that name (the text names the
// nearest, or those there are). EPERM: needs CAP_NET_RAW, or for a host side CAP_BPF and
// CAP_NET_ADMIN. EBUSY: it must not be taken without `force`, or another holds it (nic/claim.h). EINVAL,
// EOPNOTSUPP: it cannot be opened in that way. ENOMEM. EPERM, EOPNOTSUPP: the kernel does not let it be taken.
Status open_wire(const OpenRequest& request, const WireOptions& options,
                 std::unique_ptr<Port>* out);

}  // namespace vale
