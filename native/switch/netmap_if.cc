// SPDX-License-Identifier: BSD-2-Clause
#include "switch/netmap_if.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "shm/region.h"
#include "switch/memory.h"
#include "switch/names.h"

namespace vale {

uint32_t take_extra(Runtime& rt, uint32_t region, char* base, uint32_t wanted, uint32_t* head) {
  *head = 0;
  if (wanted == 0) return 0;
  BufferMap map;
  if (!map.open(rt, region).ok()) return 0;
  uint32_t count = std::min({wanted, 512u * 1024, map.available()});
  std::vector<uint32_t> list(count);
  // As many as there is room for; a full file system gives fewer, not none.
  while (count > 0 && !map.take(count, list.data()).ok()) count /= 2;
  const RegionRec& g = rt.control().region(region);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t next = i + 1 < count ? list[i + 1] : 0;
    std::memcpy(base + g.buf_ofs + static_cast<size_t>(list[i]) * g.buf_size, &next, sizeof next);
  }
  if (count > 0) __atomic_store_n(head, list[0], __ATOMIC_RELEASE);
  map.keep(count, list.data());
  memory_refresh_bounds(rt, region);
  return count;
}

void give_extra(Runtime& rt, uint32_t region, char* base, uint32_t head) {
  BufferMap map;
  if (head == 0 || base == nullptr || !map.open(rt, region).ok()) return;
  const RegionRec& g = rt.control().region(region);
  const uint32_t bound = g.buf_bound.load(std::memory_order_relaxed);
  // The list was the application's: bounded, so that a loop in it ends.
  for (uint32_t i = 0; head >= 2 && head < bound && i < g.buf_total; i++) {
    uint32_t next;
    std::memcpy(&next, base + g.buf_ofs + static_cast<size_t>(head) * g.buf_size, sizeof next);
    map.give(head);
    head = next;
  }
}

void write_if(const Control& c, const PortRec& p, netmap_if* nifp, const RegRec& reg) {
  std::memset(static_cast<void*>(nifp), 0, sizeof *nifp + 8 * (p.tx_count + p.rx_count + 2));
  const std::string name = full_name(c, p);
  std::snprintf(nifp->ni_name, sizeof nifp->ni_name, "%.15s", name.c_str());
  write_once(nifp->ni_version, uint32_t{NETMAP_API});
  write_once(nifp->ni_flags, uint32_t{NI_PRIV_MEM});
  write_once(nifp->ni_tx_rings, p.tx_count);
  write_once(nifp->ni_rx_rings, p.rx_count);
  write_once(nifp->ni_host_tx_rings,
             1u);  // the reference writes 1 for ports without host rings too
  write_once(nifp->ni_host_rx_rings, 1u);
  for (uint32_t i = reg.first_tx; i < reg.last_tx; i++) {
    write_once(nifp->ring_ofs[i],
               static_cast<int64_t>(c.tx(p.tx_base + i).ring_ofs - reg.nifp_ofs));
  }
  for (uint32_t i = reg.first_rx; i < reg.last_rx; i++) {
    write_once(nifp->ring_ofs[p.tx_count + 1 + i],
               static_cast<int64_t>(c.rx(p.rx_base + i).ring_ofs - reg.nifp_ofs));
  }
}

}  // namespace vale
