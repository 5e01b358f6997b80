// SPDX-License-Identifier: BSD-2-Clause
#include "switch/registration.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/lease.h"
#include "shm/region.h"
#include "switch/memory.h"
#include "switch/netmap_if.h"
#include "switch/offsets.h"
#include "switch/ports.h"
#include "switch/probe.h"
#include "switch/reap.h"
#include "switch/resolve.h"

namespace vale {
namespace {

struct Range {
  uint32_t first = 0, last = 0;
};

// Which rings of one direction a request means; semantics of nr_mode.
Status choose_rings(const OpenRequest& q, const PortRec& p, Range* t, Range* r) {
  const char* n = q.name.c_str();
  const uint32_t tx = p.tx_count, rx = p.rx_count;
  // A monitor's mode chose rings of its parent; its own are all bound.
  switch (p.kind == Kind::monitor ? uint32_t{NR_REG_ALL_NIC} : q.mode) {
    case NR_REG_DEFAULT:
    case NR_REG_ALL_NIC:
    case NR_REG_NULL:
      *t = {0, tx};
      *r = {0, rx};
      break;
    case NR_REG_ONE_NIC: {
      if (q.ring_id >= tx && q.ring_id >= rx) {
        return Status::fail(EINVAL, "%s has %u tx and %u rx rings but ring %u was asked for", n, tx,
                            rx, q.ring_id);
      }
      const uint32_t i = q.ring_id < tx ? q.ring_id : 0, k = q.ring_id < rx ? q.ring_id : 0;
      *t = {i, i + 1};
      *r = {k, k + 1};
      break;
    }
    case NR_REG_SW:
    case NR_REG_NIC_SW:
    case NR_REG_ONE_SW:
      return Status::fail(EINVAL, "%s has no host rings; drop the ^ or *", n);
    default:
      return Status::fail(EINVAL, "%s: %u is not a registration mode", n, q.mode);
  }
  if (q.flags & NR_RX_RINGS_ONLY) *t = {};
  if (q.flags & NR_TX_RINGS_ONLY) *r = {};
  return Status::good();
}

Status check_exclusive(const Control& c, const PortRec& p, const OpenRequest& q, Range t, Range r) {
  auto overlap = [](Range a, uint32_t first, uint32_t last) {
    return a.first < last && first < a.last;
  };
  for (uint64_t bits = p.reg_mask.load(std::memory_order_relaxed); bits != 0; bits &= bits - 1) {
    const RegRec& o = c.reg(p.regs[__builtin_ctzll(bits)]);
    if (o.state.load(std::memory_order_relaxed) != State::live) continue;
    if (!overlap(t, o.first_tx, o.last_tx) && !overlap(r, o.first_rx, o.last_rx)) continue;
    if ((o.flags & NR_EXCLUSIVE) || (q.flags & NR_EXCLUSIVE)) {
      const char* n = q.name.c_str();
      if (o.flags & NR_EXCLUSIVE)
        return Status::fail(EBUSY,
                            "%s is open exclusively elsewhere; close it there, or open it "
                            "without /x both times",
                            n);
      return Status::fail(EBUSY, "%s is open elsewhere; close it there or open it without /x", n);
    }
  }
  return Status::good();
}

Status add_registration(Runtime& rt, const OpenRequest& q, uint32_t port, Registration* out,
                        PortInfo* info) {
  const Control& c = rt.control();
  Header& h = c.header();
  PortRec& p = c.port(port);
  Range tx, rx;
  if (Status s = choose_rings(q, p, &tx, &rx); !s.ok()) return s;
  if (p.header_length.load() != 0 && (q.flags & NR_ACCEPT_VNET_HDR) == 0) {
    return Status::fail(
        EIO, "%s carries virtio-net headers of %u bytes, which this program does not accept",
        q.name.c_str(), p.header_length.load());
  }
  const uint64_t mask = p.reg_mask.load(std::memory_order_relaxed);
  if (mask == ~uint64_t{0})
    return Status::fail(ENOMEM, "%s is open %u times, the most a port can be", q.name.c_str(),
                        kRegsPerPort);
  const bool keep = p.persistent != 0 || port_has_pipes(c, port);
  if (mask == 0 && p.kind == Kind::port && !memory_down(rt, port, keep)) {
    return Status::fail(EBUSY,
                        "%s: a stopped process is still inside it; continue or kill that process",
                        q.name.c_str());
  }
  const bool fresh = p.rings_up == 0;
  if (fresh) {
    if (Status s = memory_up(rt, port, q.extra_bufs); !s.ok()) return s;
  }
  const RegionRec& g = c.region(p.region);
  if (q.mem_id != 0 && q.mem_id != g.mem_id) {
    return Status::fail(EINVAL, "%s uses memory %u but %u was asked for", q.name.c_str(), g.mem_id,
                        q.mem_id);
  }
  if (Status s = check_exclusive(c, p, q, tx, rx); !s.ok()) return s;
  if (q.offsets) {
    Offsets given;
    if (Status s = offsets_apply(rt, q, port, {tx.first, tx.last, rx.first, rx.last}, &given);
        !s.ok())
      return s;
    info->offsets = given;
  }

  uint32_t index;
  const auto reg_at = [&](uint32_t i) -> RegRec& { return c.reg(i); };
  if (Status s = rt.directory.free_record(Directory::Array::regs, h.regs.load(), reg_at, &index);
      !s.ok())
    return s;
  const uint32_t bit = static_cast<uint32_t>(__builtin_ctzll(~mask));
  RegRec& r = c.reg(index);
  r.gen = h.next_gen++;
  r.port = port;
  r.port_gen = p.gen;
  r.bit = bit;
  r.first_tx = tx.first;
  r.last_tx = tx.last;
  r.first_rx = rx.first;
  r.last_rx = rx.last;
  r.flags = q.flags;
  r.fifo_inode = 0;
  r.nifp_object = 0;
  r.nifp_ofs = 0;
  r.extra_bufs = 0;
  r.loop = 0;
  r.loop_owner = 0;
  p.regs[bit] = index;
  p.reg_mask.store(mask | uint64_t{1} << bit, std::memory_order_release);
  r.state.store(State::creating, std::memory_order_release);

  uint32_t object;
  char* base = rt.mapper->region(p.region, p.region_gen);
  Status s =
      base != nullptr ? Status::good() : rt.mapper->refusal(p.region, p.region_gen, q.name.c_str());
  if (s.ok()) {
    s = region_take_if(rt, p.region,
                       static_cast<uint32_t>(sizeof(netmap_if) + 8 * (p.tx_count + p.rx_count + 2)),
                       &object, &r.nifp_ofs);
  }
  if (s.ok()) {
    auto* nifp = reinterpret_cast<netmap_if*>(base + r.nifp_ofs);
    write_if(c, p, nifp, r);
    // Named once it is written: an earlier user's list of extra buffers must not be given back.
    __atomic_store_n(&r.nifp_object, object + 1, __ATOMIC_RELEASE);
    r.extra_bufs = take_extra(rt, p.region, base, q.extra_bufs, &nifp->ni_bufs_head);
    s = lease_create(rt.directory, index, r.gen, &out->fifo, &r.fifo_inode);
  }
  if (!s.ok()) {
    registration_destroy(rt, index);
    return s;
  }
  r.state.store(State::live, std::memory_order_release);
  port_refresh(rt, port);
  out->index = index;
  out->gen = r.gen;
  out->port = port;
  out->port_gen = p.gen;
  out->kind = p.kind;
  fill_info(c, p, info);
  info->offset = r.nifp_ofs;
  info->extra_bufs = r.extra_bufs;
  return Status::good();
}

}  // namespace

Status registration_open(Runtime& rt, const OpenRequest& request, Registration* out,
                         PortInfo* info) {
  DirLock lock;
  if (Status s = lock.acquire(rt.directory, "opening a port"); !s.ok()) return s;
  if (!rt.process.valid()) {
    if (Status s = rt.process.enter(rt.directory); !s.ok()) return s;
  }
  reap(rt);
  Change change(rt);
  OpenRequest q = request;
  uint32_t region = 0, port;
  if (q.memory) {
    if (Status s = memory_bring(rt, &q, &region); !s.ok()) return s;
  }
  Status s = resolve(rt, q, &port);
  if (s.ok()) {
    s = add_registration(rt, q, port, out, info);
    if (!s.ok()) port_drop_unused(rt, port);
  }
  if (q.memory) memory_drop_unused(rt, region);
  return s;
}

Status registration_adopt(Runtime& rt, int fd, Registration* out, PortInfo* info) {
  struct stat st, home;
  if (fstat(fd, &st) != 0 || fstat(rt.directory.fd(), &home) != 0 || !S_ISFIFO(st.st_mode) ||
      st.st_dev != home.st_dev)
    return Status::fail(ENXIO, "descriptor %d is not a port's", fd);
  DirLock lock;
  if (Status s = lock.acquire(rt.directory, "taking over a port"); !s.ok()) return s;
  reap(rt);
  const Control& c = rt.control();
  const uint32_t count = c.regs();
  for (uint32_t i = 0; i < count; i++) {
    const RegRec& r = c.reg(i);
    if (r.state.load(std::memory_order_acquire) != State::live || r.fifo_inode != st.st_ino)
      continue;
    const PortRec& p = c.port(r.port);
    if (rt.mapper->region(p.region, p.region_gen) == nullptr)
      return rt.mapper->refusal(p.region, p.region_gen, full_name(c, p).c_str());
    out->fifo = fcntl(fd, F_DUPFD_CLOEXEC, 500);
    if (out->fifo < 0) out->fifo = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (out->fifo < 0) return Status::fail(errno, "descriptor %d: %s", fd, strerror(errno));
    out->index = i;
    out->gen = r.gen;
    out->port = r.port;
    out->port_gen = r.port_gen;
    out->kind = p.kind;
    fill_info(c, p, info);
    info->offset = r.nifp_ofs;
    info->extra_bufs = r.extra_bufs;
    return Status::good();
  }
  return Status::fail(ENXIO, "descriptor %d is not a port's in %s", fd,
                      rt.directory.path().c_str());
}

void registration_close(Runtime& rt, Registration* r) {
  if (r->fifo < 0) return;
  close(r->fifo);
  r->fifo = -1;
  DirLock lock;
  if (!lock.acquire(rt.directory, "closing a port").ok()) return;
  if (__atomic_load_n(&rt.control().header().dirty, __ATOMIC_SEQ_CST) != 0) reap(rt);
  const RegRec& rec = rt.control().reg(r->index);
  if (rec.state.load(std::memory_order_relaxed) != State::live || rec.gen != r->gen) return;
  // A forked child or a process that was passed the descriptor may go on with it.
  if (lease_held(rt.directory, rec.fifo_inode.load(), r->index, r->gen)) return;
  if (!rt.process.valid() && !rt.process.enter(rt.directory).ok()) return;
  Change change(rt);
  registration_destroy(rt, r->index);
}

void registration_destroy(Runtime& rt, uint32_t index) {
  const Control& c = rt.control();
  RegRec& r = c.reg(index);
  r.state.store(State::dying, std::memory_order_release);
  PortRec& p = c.port(r.port);
  const bool mine = p.gen == r.port_gen && p.state.load(std::memory_order_relaxed) != State::free;
  if (mine) {
    port_refresh(rt, r.port);
    if (r.nifp_object != 0 && p.region_gen != 0) {
      char* base = rt.mapper->region(p.region, p.region_gen);
      if (base != nullptr) {
        give_extra(rt, p.region, base,
                   reinterpret_cast<netmap_if*>(base + r.nifp_ofs)->ni_bufs_head);
      }
      region_give_if(rt, p.region, r.nifp_object - 1);
    }
  }
  lease_remove(rt.directory, r.fifo_inode.load(), index, r.gen);
  if (mine) p.reg_mask.fetch_and(~(uint64_t{1} << r.bit), std::memory_order_release);
  r.state.store(State::free, std::memory_order_release);
  if (mine) port_drop_unused(rt, r.port);
}

}  // namespace vale
