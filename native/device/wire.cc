// SPDX-License-Identifier: BSD-2-Clause
#include "device/wire.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "device/wire_request.h"
#include "nic/both_port.h"
#include "nic/claim.h"
#include "nic/packet.h"
#include "nic/packet_socket.h"
#include "nic/tap_device.h"
#include "nic/tap_socket.h"
#include "nic/xdp.h"

namespace vale {
namespace {

constexpr uint32_t kDefaultSlots = 1024;
constexpr uint32_t kMinSlots = 2, kMaxSlots = 16384;
constexpr uint32_t kDefaultBuffer = 2112;  // a power of two would crowd a few sets of the cache
constexpr char kTapPrefix[] = "tap:";
constexpr uint32_t kMaxExtra = 512 * 1024;
constexpr uint32_t kHostMtu = 65521;  // as much as a TAP device can: the interface's own decides

uint32_t clamp_slots(uint32_t wish) {
  if (wish == 0) return kDefaultSlots;
  return wish < kMinSlots ? kMinSlots : wish > kMaxSlots ? kMaxSlots : wish;
}

// The extra buffers of a port, taken from its list.
Buffers take_extra(Port& port) {
  Buffers buffers;
  const RingView& ring = port.first_rx() != port.last_rx() ? port.rx_view(port.first_rx())
                                                           : port.tx_view(port.first_tx());
  buffers.buf_size = ring.buf_size();
  buffers.zero = ring.buffer(0);
  uint32_t next = port.nifp()->ni_bufs_head;
  while (ring.has_buffer(next) && buffers.free.size() < port.info().extra_bufs) {
    buffers.free.push_back(next);
    buffers.limit = std::max(buffers.limit, next + 1);
    std::memcpy(&next, buffers.at(next), sizeof next);
  }
  port.nifp()->ni_bufs_head = 0;
  // The port's own buffers come here when they are swapped.
  const auto count = [&](const RingView& one) {
    for (uint32_t i = 0; i < one.slots(); i++) {
      const uint32_t index = one.slot(i).buf_idx;
      if (one.has_buffer(index)) buffers.limit = std::max(buffers.limit, index + 1);
    }
  };
  for (unsigned i = port.first_tx(); i < port.last_tx(); i++) count(port.tx_view(i));
  for (unsigned i = port.first_rx(); i < port.last_rx(); i++) count(port.rx_view(i));
  return buffers;
}

// Whether AF_XDP is worth a try: what it cannot tell are VLAN tags beside a frame, and what a stack
// leaves to hardware.
bool wants_xdp(const OpenRequest& request, const WireOptions& options, const std::string& name) {
  if (!sides_of(request.mode).nic || !options.take_over) return false;
  if (is_xdp(options.backend)) return true;
  return options.backend == WireBackend::automatic && has_hardware(name) &&
         !offloads_of(name).received_tags && (request.flags & NR_TX_RINGS_ONLY) == 0;
}

uint32_t xdp_spare(const OpenRequest& request, const WireOptions& options,
                   const std::string& name) {
  return wants_xdp(request, options, name) ? XdpPort::spare(name) : 0;
}

// One call of open_wire(), when it is clear what is to be opened.
struct Opening {
  const OpenRequest& request;
  const WireOptions& options;
  const Interface& interface;
  std::shared_ptr<const Claim> claim;

  Status open(std::unique_ptr<Port>* out) {
    const auto [nic, host] = sides_of(request.mode);
    std::shared_ptr<PrivateRegion> region;
    Status status = lay_out(nic, host, &region);
    if (!status.ok()) return status;
    std::unique_ptr<Port> nic_port, host_port;
    if (host) status = open_host(region, &host_port);
    if (status.ok() && nic) status = open_nic(region, &nic_port);
    if (!status.ok()) return status;
    if (nic && host) return BothPort::open(std::move(nic_port), std::move(host_port), out);
    *out = std::move(nic ? nic_port : host_port);
    return Status::good();
  }

  Status lay_out(bool nic, bool host, std::shared_ptr<PrivateRegion>* out) {
    PrivateRegionWish wish = {};
    wish.name = request.name.c_str();
    wish.tx_slots = clamp_slots(request.tx_slots);
    wish.rx_slots = clamp_slots(request.rx_slots);
    wish.buf_size = request.buf_size == 0 ? kDefaultBuffer : (request.buf_size + 63) & ~63u;
    wish.extra_bufs = std::min(request.extra_bufs, kMaxExtra);
    wish.nic = nic;
    wish.host = host;
    wish.bind_tx = (request.flags & NR_RX_RINGS_ONLY) == 0;
    wish.bind_rx = (request.flags & NR_TX_RINGS_ONLY) == 0;
    wish.spare = xdp_spare(request, options, interface.name);
    Buffers shared;
    if (options.share != nullptr) {
      shared = take_extra(*options.share);
      wish.shared = &shared;
    }
    std::unique_ptr<PrivateRegion> region;
    Status status = PrivateRegion::create(wish, &region);
    *out = std::move(region);
    return status;
  }

  WireParts parts(std::shared_ptr<PrivateRegion> region, bool host) const {
    WireParts made;
    made.request = request;
    made.request.extra_bufs = std::min(request.extra_bufs, kMaxExtra);
    made.interface = interface;
    made.host = host;
    made.region = std::move(region);
    made.claim = claim;
    made.busy = options.busy;
    made.share = options.share;
    if (options.share != nullptr) made.memory_key = options.share->memory_key();
    return made;
  }

  Status open_nic(std::shared_ptr<PrivateRegion> region, std::unique_ptr<Port>* out) {
    if (wants_xdp(request, options, interface.name)) {
      const Status status = open_xdp(region, out);
      if (status.ok() || is_xdp(options.backend)) return status;
    }
    WireParts made = parts(std::move(region), false);
    auto socket = std::make_unique<PacketSocket>();
    Status status = socket->open(interface, (request.flags & NR_TX_RINGS_ONLY) == 0);
    if (!status.ok()) return status;
    if (status = take(&made); !status.ok()) return status;
    if (LinkFacts facts; link_facts(interface.index, &facts) == 0 && facts.xdp_program != 0) {
      const std::string id = std::to_string(facts.xdp_program);
      made.warning =
          "interface \"" + interface.name + "\" has another's XDP program, number " + id +
          ": what it redirects or drops never arrives here; see: bpftool prog show id " + id;
    }
    return PacketPort::open(std::move(made), std::move(socket), "packet", out);
  }

  Status open_xdp(std::shared_ptr<PrivateRegion> region, std::unique_ptr<Port>* out) {
    const uint32_t buf_size = region->buffers().buf_size;
    if (!XdpPort::fits(buf_size)) {
      return Status::fail(EINVAL,
                          "interface \"%s\": AF_XDP takes buffers of %u to %u bytes, not %u; use "
                          "another size or --backend packet",
                          request.name.c_str(), XdpPort::kMinBuffer, XdpPort::kMaxBuffer, buf_size);
    }
    WireParts made = parts(std::move(region), false);
    if (Status s = take(&made); !s.ok()) return s;
    std::vector<XdpMode> modes = {XdpMode::zero_copy, XdpMode::native};
    // A packet socket is as fast as the generic mode, and knows of unfinished checksums.
    if (options.backend != WireBackend::automatic) modes.push_back(XdpMode::generic);
    // What the host's side hands to the stack passes the generic mode's program, which would take it.
    Interface tap;
    const bool host =
        request.mode == NR_REG_NIC_SW || find_interface(host_device(interface), &tap) == 0;
    if (host && options.backend == WireBackend::xdp_generic) return no_generic(EBUSY);
    if (host) modes.resize(2);
    if (options.backend == WireBackend::xdp_zerocopy) modes = {XdpMode::zero_copy};
    if (options.backend == WireBackend::xdp_native) modes = {XdpMode::native};
    if (options.backend == WireBackend::xdp_generic) modes = {XdpMode::generic};
    const Peer& peer = options.peer != nullptr ? *options.peer : find_peer(interface);
    return XdpPort::open(std::move(made), modes, peer, options.inside, out);
  }

  // Never shared unasked: the host's stack would answer, and forward, what the switch does too.
  Status take(WireParts* made) const {
    if (!options.take_over) return Status::good();
    const Status status = made->take_over.take(interface);
    if (status.ok()) return status;
    const bool forbidden = status.err == EPERM || status.err == EACCES;
    return Status::fail(
        forbidden ? EPERM : EOPNOTSUPP,
        "interface \"%s\" cannot be taken from the host's stack (%s): that takes "
        "CAP_NET_ADMIN and Linux 5.16 with nf_tables, or Linux 6.6; use --shared%s to "
        "leave it to the host too",
        interface.name.c_str(), status.text.c_str(),
        is_xdp(options.backend) ? " with --backend packet" : "");
  }

  Status no_generic(int err) const {
    return Status::fail(err,
                        "interface \"%s\": AF_XDP's generic mode and the host's side exclude each "
                        "other; use --backend packet for the interface",
                        interface.name.c_str());
  }

  Status open_host(std::shared_ptr<PrivateRegion> region, std::unique_ptr<Port>* out) {
    LinkFacts facts;
    if (link_facts(interface.index, &facts) == 0 && facts.generic_xdp) return no_generic(EBUSY);
    WireParts made = parts(std::move(region), true);
    auto tap = std::make_unique<TapSocket>();
    Status status = tap->open(host_device(interface), kHostMtu);
    if (status.ok()) status = made.take_over.take_with_host(interface, tap->interface().index);
    if (!status.ok()) {
      return Status::fail(status.err,
                          "cannot open the host's side of interface \"%s\": %s; it takes root "
                          "(CAP_BPF, CAP_NET_ADMIN) and Linux 6.6 or later",
                          interface.name.c_str(), status.text.c_str());
    }
    return PacketPort::open(std::move(made), std::move(tap), "tap", out);
  }
};

// Those sides of claim->interface.
Status claim_sides(uint32_t mode, const WireOptions& options, bool tap, Claim* claim) {
  const auto [nic, host] = sides_of(mode);
  ClaimWish wish = {options.port, true, true, !options.take_over};
  Status status = Status::good();
  if (host) status = vale::claim(claim->interface, wish, &claim->host);
  wish.host = false;
  wish.single = tap;
  if (nic && status.ok()) status = vale::claim(claim->interface, wish, &claim->nic);
  return status;
}

Status open_tap(const OpenRequest& request, const WireOptions& options,
                std::shared_ptr<const Claim> claim, std::unique_ptr<Port>* out) {
  auto tap = std::make_unique<TapSocket>();
  Status status = tap->open(request.name, 0);
  if (!status.ok()) return status;
  if (claim->interface.index == 0) {  // now there is one
    auto made = std::make_shared<Claim>();
    made->interface = tap->interface();
    if (status = claim_sides(request.mode, options, true, made.get()); !status.ok()) return status;
    claim = std::move(made);
  }
  Opening opening{request, options, tap->interface(), std::move(claim)};
  std::shared_ptr<PrivateRegion> region;
  status = opening.lay_out(true, false, &region);
  if (!status.ok()) return status;
  WireParts made = opening.parts(std::move(region), false);
  if (!opening.interface.up) {
    made.warning = "TAP device \"" + request.name + "\" is down; run: " + options.inside +
                   "ip link set " + request.name + " up";
  }
  return PacketPort::open(std::move(made), std::move(tap), "tap", out);
}

// What is asked for, whichever way it is told that the other end of a TAP device is.
struct Wanted {
  Wanted(const OpenRequest& asked, const WireOptions& options)
      : request(asked), tap(options.backend == WireBackend::tap) {
    if (asked.name.rfind(kTapPrefix, 0) != 0) return;
    request.name.erase(0, std::strlen(kTapPrefix));
    tap = true;
  }
  OpenRequest request;
  bool tap;
};

Status claim_wanted(const Wanted& wanted, const WireOptions& options,
                    std::shared_ptr<const Claim>* out) {
  const OpenRequest& request = wanted.request;
  if (Status s = check_wire(request, wanted.tap); !s.ok()) return s;
  auto claim = std::make_shared<Claim>();
  if (!wanted.tap) {
    if (Status s = find_wire(request, options, &claim->interface); !s.ok()) return s;
  } else if (find_interface(request.name, &claim->interface) == 0) {
    claim->tap = tap_facts(claim->interface.index);
  }
  if (claim->interface.index != 0) {
    const Status s = claim_sides(request.mode, options, wanted.tap, claim.get());
    if (!s.ok()) return s;
  }
  *out = std::move(claim);
  return Status::good();
}

}  // namespace

std::vector<WireInterface> interfaces() {
  std::vector<WireInterface> rows;
  for (const Interface& one : list_interfaces()) {
    WireInterface row;
    row.name = one.name;
    row.mtu = one.mtu;
    std::memcpy(row.mac, one.mac, sizeof row.mac);
    rows.push_back(row);
  }
  return rows;
}

bool parse_backend(const std::string& name, WireBackend* out) {
  static const struct {
    const char* name;
    WireBackend backend;
  } known[] = {{"auto", WireBackend::automatic},
               {"xdp", WireBackend::xdp},
               {"xdp-zerocopy", WireBackend::xdp_zerocopy},
               {"xdp-native", WireBackend::xdp_native},
               {"xdp-generic", WireBackend::xdp_generic},
               {"packet", WireBackend::packet},
               {"tap", WireBackend::tap}};
  for (const auto& one : known) {
    if (name != one.name) continue;
    *out = one.backend;
    return true;
  }
  return false;
}

bool is_xdp(WireBackend backend) {
  return backend == WireBackend::xdp || backend == WireBackend::xdp_zerocopy ||
         backend == WireBackend::xdp_native || backend == WireBackend::xdp_generic;
}

uint32_t wire_buffers(const OpenRequest& request, const WireOptions& options) {
  const uint32_t rings = clamp_slots(request.tx_slots) + clamp_slots(request.rx_slots);
  const auto [nic, host] = sides_of(request.mode);
  return rings * (nic && host ? 2 : 1) + xdp_spare(request, options, request.name);
}

Status claim_wire(const OpenRequest& request, const WireOptions& options,
                  std::shared_ptr<const Claim>* out) {
  return claim_wanted(Wanted(request, options), options, out);
}

Status open_wire(const OpenRequest& asked, const WireOptions& options, std::unique_ptr<Port>* out) {
  const Wanted wanted(asked, options);
  std::shared_ptr<const Claim> claim = options.claim;
  if (claim == nullptr) {
    if (Status s = claim_wanted(wanted, options, &claim); !s.ok()) return s;
  }
  if (wanted.tap) return open_tap(wanted.request, options, std::move(claim), out);
  const Interface interface = claim->interface;
  return Opening{wanted.request, options, interface, std::move(claim)}.open(out);
}

}  // namespace vale
