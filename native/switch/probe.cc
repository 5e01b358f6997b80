// SPDX-License-Identifier: BSD-2-Clause
#include "switch/probe.h"

#include "shm/region.h"
#include "switch/ports.h"
#include "switch/reap.h"

namespace vale {
namespace {

// The lock of a look, with the dead buried first.
Status look(Runtime& rt, DirLock& lock, const char* what) {
  if (Status s = lock.acquire(rt.directory, what); !s.ok()) return s;
  if (!rt.process.valid()) {
    if (Status s = rt.process.enter(rt.directory); !s.ok()) return s;
  }
  reap(rt);
  return Status::good();
}

// The port, or -1 for a switch port that does not exist.
Status find(const Control& c, const std::string& text, int32_t* port) {
  if (Status s = port_lookup(c, text, ENOMEM, port); !s.ok()) return s;
  if (*port < 0 && (text.compare(0, 4, "vale") != 0 || text.find('/') != std::string::npos))
    return Status::fail(ENXIO, "%s: no such port; `vale ctl` lists what is there", text.c_str());
  return Status::good();
}

}  // namespace

void fill_info(const Control& c, const PortRec& p, PortInfo* out) {
  out->name = full_name(c, p);
  out->device = "user";
  out->pipe = p.kind == Kind::pipe;
  out->tx_slots = p.tx_slots;
  out->rx_slots = p.rx_slots;
  out->tx_rings = static_cast<uint16_t>(p.tx_count);
  out->rx_rings = static_cast<uint16_t>(p.rx_count);
  out->buf_size = p.buf_size;
  if (p.region_gen != 0) {
    const RegionRec& g = c.region(p.region);
    out->memsize = g.memsize;
    out->mem_id = static_cast<uint16_t>(g.mem_id);
    out->buf_size = g.buf_size;
  } else {
    out->memsize =
        region_pools({p.tx_count, p.rx_count, p.tx_slots, p.rx_slots, 0, p.buf_size}).memsize;
    out->mem_id = static_cast<uint16_t>(p.wish_mem_id);
  }
}

Status probe_port(Runtime& rt, const OpenRequest& q, PortInfo* out) {
  DirLock lock;
  if (Status s = look(rt, lock, "looking at a port"); !s.ok()) return s;
  const Control& c = rt.control();
  int32_t found;
  if (Status s = find(c, q.name, &found); !s.ok()) return s;
  if (found >= 0) {
    fill_info(c, c.port(static_cast<uint32_t>(found)), out);
    return Status::good();
  }
  Geometry g;
  if (Status s = geometry_of(q, &g); !s.ok()) return s;
  out->name = q.name;
  out->device = "user";
  out->tx_slots = g.tx_slots;
  out->rx_slots = g.rx_slots;
  out->tx_rings = static_cast<uint16_t>(g.tx_rings);
  out->rx_rings = static_cast<uint16_t>(g.rx_rings);
  out->buf_size = g.buf_size;
  out->memsize = region_pools(g).memsize;
  out->mem_id = static_cast<uint16_t>(c.header().next_mem_id);
  return Status::good();
}

Status probe_pools(Runtime& rt, const OpenRequest& q, PoolsInfo* out) {
  DirLock lock;
  if (Status s = look(rt, lock, "looking at a port's memory"); !s.ok()) return s;
  const Control& c = rt.control();
  if (q.name.empty()) return Status::fail(ENXIO, "the pools of a memory are asked for by a port");
  int32_t found;
  if (Status s = find(c, q.name, &found); !s.ok()) return s;
  if (found >= 0) {
    const PortRec& p = c.port(static_cast<uint32_t>(found));
    *out = p.region_gen != 0
               ? region_pools(c.region(p.region))
               : region_pools({p.tx_count, p.rx_count, p.tx_slots, p.rx_slots, 0, p.buf_size});
    return Status::good();
  }
  Geometry g;
  if (Status s = geometry_of(q, &g); !s.ok()) return s;
  *out = region_pools(g);
  out->mem_id = static_cast<uint16_t>(c.header().next_mem_id);
  return Status::good();
}

Status probe_memory(Runtime& rt, uint32_t mem_id, PortInfo* out) {
  DirLock lock;
  if (Status s = look(rt, lock, "looking at a memory"); !s.ok()) return s;
  uint32_t region;
  if (Status s = region_find(rt, mem_id, &region); !s.ok()) return s;
  const RegionRec& g = rt.control().region(region);
  out->device = "user";
  out->memsize = g.memsize;
  out->mem_id = static_cast<uint16_t>(g.mem_id);
  out->buf_size = g.buf_size;
  return Status::good();
}

}  // namespace vale
