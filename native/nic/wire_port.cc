// SPDX-License-Identifier: BSD-2-Clause
#include "nic/wire_port.h"

#include <linux/if_ether.h>

#include <cstring>
#include <utility>

namespace vale {

void WirePort::bind(WireParts parts, const char* backend) {
  parts_ = std::move(parts);
  backend_ = backend;
  const OpenRequest& request = parts_.request;
  PrivateRegion& region = *parts_.region;
  rings_ = parts_.host ? region.host() : region.nic();
  base_ = region.base();
  nifp_ = region.nifp();
  const unsigned ring = parts_.host ? 1 : 0;
  first_tx_ = first_rx_ = ring;
  last_tx_ = ring + ((request.flags & NR_RX_RINGS_ONLY) == 0 ? 1 : 0);
  last_rx_ = ring + ((request.flags & NR_TX_RINGS_ONLY) == 0 ? 1 : 0);
  // Its own address tells this region from every other in the process.
  memory_key_ = parts_.memory_key != 0 ? parts_.memory_key : reinterpret_cast<uintptr_t>(base_);

  tx_views_.resize(last_tx_);
  rx_views_.resize(last_rx_);
  if (first_tx_ != last_tx_) tx_views_[ring] = tx();
  if (first_rx_ != last_rx_) rx_views_[ring] = rx();
  rx_ends_.resize(rx().slots());

  info_.name = request.name + (parts_.host ? "^" : "");
  info_.device = backend;
  info_.memsize = region.bytes();
  info_.tx_slots = tx().slots();
  info_.rx_slots = rx().slots();
  info_.tx_rings = info_.rx_rings = 1;
  info_.host_tx_rings = info_.host_rx_rings = region.host().tx.ring() != nullptr ? 1 : 0;
  info_.extra_bufs = request.extra_bufs;
  info_.buf_size = region.buffers().buf_size;
  info_.mtu = parts_.interface.mtu + ETH_HLEN;
  std::memcpy(info_.mac, parts_.interface.mac, sizeof info_.mac);

  LinkFacts facts;
  if (link_facts(parts_.interface.index, &facts) == 0) downs_before_ = facts.link_downs;
}

WirePort::~WirePort() {
  for (const RingView* ring : {&tx(), &rx()}) {
    for (uint32_t i = 0; i < ring->slots(); i++) give_back(ring->slot(i).buf_idx);
  }
}

void WirePort::give_back(uint32_t buffer) {
  const Buffers& buffers = parts_.region->buffers();
  if (parts_.share == nullptr || !buffers.valid(buffer)) return;
  uint32_t* head = &parts_.share->nifp()->ni_bufs_head;
  std::memcpy(buffers.at(buffer), head, sizeof *head);
  *head = buffer;
}

short WirePort::ready(short events) {
  short found = 0;
  const bool wants_tx = (events & POLLOUT) != 0;
  if (sends() && (wants_tx || (parts_.request.flags & NR_NO_TX_POLL) == 0)) {
    if (unsent()) txsync();
    if (wants_tx && has_more(tx())) found |= POLLOUT;
  }
  if ((events & POLLIN) != 0 && receives()) {
    rxsync();
    if (has_more(rx())) found |= POLLIN;
  }
  // Whoever waits must get to the sync that tells.
  if (removed_.load(std::memory_order_relaxed)) found |= static_cast<short>(events | POLLERR);
  return found;
}

void WirePort::disarm() {
  sleep_.leave();
  look_for_removal();
}

bool WirePort::wire_state(WireState* out) const {
  WireState state;
  state.interface = parts_.interface.name;
  state.backend = backend_;
  // AF_XDP takes what is received by itself; what the stack sends is kept from it as elsewhere.
  state.take_over = state.backend.rfind("xdp", 0) == 0 ? "xdp" : parts_.take_over.means();
  state.warning = parts_.warning;
  state.host = parts_.host;
  state.kernel_drops = kernel_drops();
  Interface now;
  LinkFacts facts;
  if (find_interface(parts_.interface.index, &now) != 0 ||
      link_facts(parts_.interface.index, &facts) != 0) {
    state.removed = true;
    *out = state;
    return true;
  }
  state.interface = now.name;
  // Its hooks go by the name; whether the kernel has them follow, it tells nobody without privilege.
  if (state.take_over == "nftables" && now.name != parts_.interface.name) state.take_over = "none";
  state.removed = removed_.load(std::memory_order_relaxed);
  state.up = now.up;
  state.link = now.running;
  state.link_downs = facts.link_downs - downs_before_;
  state.speed_mbps = link_speed(now.name);
  state.mtu = now.mtu;
  std::memcpy(state.mac, now.mac, sizeof state.mac);
  if (const uint32_t served = queues_served(); served != 0) {
    const Queues queues = queues_of(now.name);
    if (queues.known && queues.rx > served) state.unserved_queues = queues.rx - served;
  }
  state.promiscuous = facts.promiscuity != 0;
  state.nic_rx_dropped = facts.rx_dropped + facts.rx_missed;
  state.nic_tx_dropped = facts.tx_dropped;
  *out = state;
  return true;
}

PortCounters WirePort::ring_counters() const {
  PortCounters c;
  c.tx_frames = tx_frames_.get();
  c.tx_bytes = tx_bytes_.get();
  c.tx_copies = c.tx_frames;
  c.tx_delivered = tx_delivered_.get();
  c.rx_frames = rx_frames_.get();
  c.rx_bytes = rx_bytes_.get();
  c.rx_read = rx_read_.get();
  for (unsigned i = 0; i < kDropReasons; i++) c.drops[i] = drops_[i].get();
  return c;
}

}  // namespace vale
