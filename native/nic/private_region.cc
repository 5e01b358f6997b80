// SPDX-License-Identifier: BSD-2-Clause
#include "nic/private_region.h"

#include <sys/mman.h>

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

netmap_ring* PrivateRegion::place_ring(uint64_t offset, uint32_t slots, uint16_t dir,
                                       uint32_t* next_buffer) {
  netmap_ring* ring = reinterpret_cast<netmap_ring*>(base_ + offset);
  set_const(ring->buf_ofs, static_cast<int64_t>(buffers_offset_ - offset));
  set_const(ring->num_slots, slots);
  set_const(ring->nr_buf_size, buf_size_);
  set_const(ring->dir, dir);
  ring->tail = dir == 0 ? slots - 1 : 0;
  for (uint32_t i = 0; i < slots; i++) {
    ring->slot[i].buf_idx = (*next_buffer)++;
    ring->slot[i].len = static_cast<uint16_t>(buf_size_);
  }
  return ring;
}

Status PrivateRegion::create(const PrivateRegionWish& wish, std::unique_ptr<PrivateRegion>* out) {
  std::unique_ptr<PrivateRegion> region(new PrivateRegion);
  const uint64_t tx_offset = kPage;
  const uint64_t rx_offset = tx_offset + ring_bytes(wish.tx_slots);
  region->buf_size_ = wish.buf_size;
  region->buffers_ = 2 + wish.tx_slots + wish.rx_slots + wish.extra_bufs;
  region->buffers_offset_ = rx_offset + ring_bytes(wish.rx_slots);
  region->bytes_ = region->buffers_offset_ + round_page(uint64_t{region->buffers_} * wish.buf_size);

  void* memory =
      mmap(nullptr, region->bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return Status::fail(ENOMEM, "%s: no memory for %llu bytes of rings and buffers; ask for fewer",
                        wish.name, static_cast<unsigned long long>(region->bytes_));
  }
  region->base_ = static_cast<char*>(memory);

  uint32_t next_buffer = 2;
  region->tx_ = region->place_ring(tx_offset, wish.tx_slots, 0, &next_buffer);
  region->rx_ = region->place_ring(rx_offset, wish.rx_slots, 1, &next_buffer);

  netmap_if* nifp = reinterpret_cast<netmap_if*>(region->base_);
  region->nifp_ = nifp;
  std::strncpy(nifp->ni_name, wish.name, sizeof nifp->ni_name - 1);
  set_const(nifp->ni_version, uint32_t{NETMAP_API});
  set_const(nifp->ni_flags, uint32_t{NI_PRIV_MEM});
  set_const(nifp->ni_tx_rings, 1u);
  set_const(nifp->ni_rx_rings, 1u);
  set_const(nifp->ni_host_tx_rings, 1u);
  set_const(nifp->ni_host_rx_rings, 1u);
  if (wish.bind_tx) set_const(nifp->ring_ofs[0], static_cast<int64_t>(tx_offset));
  if (wish.bind_rx) set_const(nifp->ring_ofs[2], static_cast<int64_t>(rx_offset));
  if (wish.extra_bufs != 0) nifp->ni_bufs_head = next_buffer;
  for (uint32_t i = 0; i < wish.extra_bufs; i++, next_buffer++) {
    const uint32_t link = i + 1 < wish.extra_bufs ? next_buffer + 1 : 0;
    std::memcpy(region->base_ + region->buffers_offset_ + uint64_t{next_buffer} * wish.buf_size,
                &link, sizeof link);
  }
  *out = std::move(region);
  return Status::good();
}

PrivateRegion::~PrivateRegion() {
  if (base_ != nullptr) munmap(base_, bytes_);
}

}  // namespace vale
