// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A region is one allocator in the netmap sense, one file m<slot>.<gen> that applications map:
//   [if objects][ring objects][buffers], each pool a multiple of the page size.
//   1. region_create(): choose the geometry, make the file at its final length (sparse).
//   2. region_take_*(): mark objects as used and reserve their memory before anyone sees them.
//   3. region_give_*(): mark them free. region_destroy() when the last port is gone.
//
// Owns. The region's record and the file b<slot>.<gen> with a byte per buffer; both written under the
//   directory lock: 0 free, 1 used, 2 pending. Buffers are handed out lowest index first, from 2; 0 and 1 stay reserved.
//
// Invariants. Length is memsize from birth. Whatever lies below buf_bound is backed by memory, so a
//   wrong index that passes the bound check harms contents, never the process. Nothing in the region
//   itself is trusted.
//
// Not here. Which port uses which region (switch/ports.h).
#pragma once

#include <cstring>

#include "shm/runtime.h"
#include "types.h"

namespace vale {

constexpr uint32_t kDefaultBufSize = 2112;  // 33 cache lines: a stride that does not alias in L1
constexpr uint32_t kMaxBuffers = 1'000'000;

struct Geometry {
  uint32_t tx_rings, rx_rings, tx_slots, rx_slots, extra_bufs, buf_size;
};

// 0 → default, out of range → clamped, as the reference does; EINVAL only for the buffer size.
Status geometry_of(const OpenRequest& request, Geometry* out);

// Fields of netmap_if and netmap_ring are const for applications; whoever lays them out writes them.
template <class T>
void write_once(const T& field, T value) {
  std::memcpy(const_cast<void*>(static_cast<const void*>(&field)), &value, sizeof value);
}

// Where the pools of a region lie; of one that is not made yet, with id 0.
PoolsInfo region_pools(const RegionRec& region);
PoolsInfo region_pools(const Geometry& g);

Status region_create(Runtime& rt, const Geometry& g, uint32_t* slot);
// Of a program's own memory; the region that is there already, if it is that of another port. EINVAL, ENOMEM;
// EOPNOTSUPP for what is no file.
Status region_bring(Runtime& rt, const OwnMemory& memory, uint32_t* slot);
void region_destroy(Runtime& rt, uint32_t slot);
Status region_find(Runtime& rt, uint32_t mem_id, uint32_t* slot);

// An object for a netmap_if of `bytes`; *object is its number, *offset its place. ENOMEM.
Status region_take_if(Runtime& rt, uint32_t slot, uint32_t bytes, uint32_t* object,
                      uint64_t* offset);
void region_give_if(Runtime& rt, uint32_t slot, uint32_t object);
// Zeroed but for what the caller writes.
Status region_take_ring(Runtime& rt, uint32_t slot, uint32_t slots, uint64_t* offset);
void region_give_ring(Runtime& rt, uint32_t slot, uint64_t offset);

// The buffer map of a region, mapped while it lives.
class BufferMap {
 public:
  ~BufferMap();
  BufferMap() = default;
  BufferMap(const BufferMap&) = delete;
  BufferMap& operator=(const BufferMap&) = delete;

  Status open(Runtime& rt, uint32_t slot);
  uint32_t available() const;
  // Exactly `count` buffers into indices[], reserved; ENOMEM and none taken otherwise. They are
  // pending until keep(), once something that survives this process names them.
  Status take(uint32_t count, uint32_t* indices);
  void keep(uint32_t count, const uint32_t* indices);
  void give_pending();  // of somebody who died in between
  // Ignores what is reserved, out of range or free already.
  void give(uint32_t index);

 private:
  Runtime* rt_ = nullptr;
  RegionRec* region_ = nullptr;
  uint32_t slot_ = 0;
  uint8_t* used_ = nullptr;
};

}  // namespace vale
