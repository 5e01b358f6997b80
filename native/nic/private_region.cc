// SPDX-License-Identifier: BSD-2-Clause
#include "nic/private_region.h"

#include <cstring>

namespace vale {
namespace {

constexpr uint64_t kPage = 4096;

uint64_t round_page(uint64_t bytes) { return (bytes + kPage - 1) & ~(kPage - 1); }
uint64_t ring_bytes(uint32_t slots) {
  return round_page(sizeof(netmap_ring) + uint64_t{slots} * sizeof(netmap_slot));
}

// The ABI declares what applications must not change as const; its maker writes it once.
template <typename T>
void set_const(const T& field, T value) {
  const_cast<T&>(field) = value;
}

}  // namespace

RingView PrivateRegion::place_ring(uint64_t offset, uint32_t slots, uint16_t id, uint16_t dir) {
  netmap_ring* ring = reinterpret_cast<netmap_ring*>(base() + offset);
  set_const(ring->buf_ofs, static_cast<int64_t>(buffers_.zero - (base() + offset)));
  set_const(ring->num_slots, slots);
  set_const(ring->nr_buf_size, buffers_.buf_size);
  set_const(ring->ringid, id);
  set_const(ring->dir, dir);
  ring->tail = dir == 0 ? slots - 1 : 0;
  for (uint32_t i = 0; i < slots; i++) {
    ring->slot[i].buf_idx = buffers_.take();
    ring->slot[i].len = static_cast<uint16_t>(buffers_.buf_size);
  }
  return RingView(ring, slots, buffers_.zero, buffers_.buf_size, &bound_);
}

Status PrivateRegion::create(const PrivateRegionWish& wish, std::unique_ptr<PrivateRegion>* out) {
  std::unique_ptr<PrivateRegion> region(new PrivateRegion);
  const unsigned pairs = (wish.nic ? 1 : 0) + (wish.host ? 1 : 0);
  const uint64_t tx_bytes = ring_bytes(wish.tx_slots), rx_bytes = ring_bytes(wish.rx_slots);
  const uint64_t buffers_offset = kPage + pairs * (tx_bytes + rx_bytes);
  const uint32_t needed = pairs * (wish.tx_slots + wish.rx_slots) + wish.extra_bufs + wish.spare;
  uint64_t bytes = buffers_offset;
  Buffers& buffers = region->buffers_;
  if (wish.shared != nullptr) {
    buffers = *wish.shared;
    if (buffers.free.size() < needed) {
      return Status::fail(ENOMEM, "%s: the port it shares buffers with has %zu to spare, not %u",
                          wish.name, buffers.free.size(), needed);
    }
  } else {
    buffers.buf_size = wish.buf_size;
    buffers.limit = 2 + needed;
    bytes += round_page(uint64_t{buffers.limit} * wish.buf_size);
  }

  region->bound_.store(buffers.limit, std::memory_order_relaxed);
  region->memory_ = Mapping::of_own(bytes);
  if (!region->memory_.valid()) {
    return Status::fail(ENOMEM, "%s: no memory for %llu bytes of rings and buffers; ask for fewer",
                        wish.name, static_cast<unsigned long long>(bytes));
  }
  if (wish.shared == nullptr) {
    buffers.zero = region->base() + buffers_offset;
    for (uint32_t i = buffers.limit; i-- > 2;) buffers.free.push_back(i);
  }

  netmap_if* nifp = reinterpret_cast<netmap_if*>(region->base());
  region->nifp_ = nifp;
  std::strncpy(nifp->ni_name, wish.name, sizeof nifp->ni_name - 1);
  set_const(nifp->ni_version, uint32_t{NETMAP_API});
  set_const(nifp->ni_flags, uint32_t{NI_PRIV_MEM});
  set_const(nifp->ni_tx_rings, 1u);
  set_const(nifp->ni_rx_rings, 1u);
  set_const(nifp->ni_host_tx_rings, 1u);
  set_const(nifp->ni_host_rx_rings, 1u);
  uint64_t offset = kPage;
  for (uint16_t i = 0; i < 2; i++) {
    if (!(i == 0 ? wish.nic : wish.host)) continue;
    RingPair& pair = region->pairs_[i];
    pair.tx = region->place_ring(offset, wish.tx_slots, i, 0);
    if (wish.bind_tx) set_const(nifp->ring_ofs[i], static_cast<int64_t>(offset));
    offset += tx_bytes;
    pair.rx = region->place_ring(offset, wish.rx_slots, i, 1);
    if (wish.bind_rx) set_const(nifp->ring_ofs[2 + i], static_cast<int64_t>(offset));
    offset += rx_bytes;
  }
  uint32_t* link = &nifp->ni_bufs_head;
  for (uint32_t i = 0; i < wish.extra_bufs; i++) {
    const uint32_t index = buffers.take();
    *link = index;
    link = reinterpret_cast<uint32_t*>(buffers.at(index));
    *link = 0;
  }
  *out = std::move(region);
  return Status::good();
}

}  // namespace vale
