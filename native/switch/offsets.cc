// SPDX-License-Identifier: BSD-2-Clause
#include "switch/offsets.h"

#include "abi/netmap_control.h"
#include "shm/region.h"

namespace vale {
namespace {

Status blame(Status s) {
  s.option = NETMAP_REQ_OPT_OFFSETS;
  return s;
}

Status bad(const OpenRequest& q, const char* what, uint64_t value, uint64_t limit) {
  return blame(Status::fail(EINVAL, "%s: expected %s of at most %llu but received %llu",
                            q.name.c_str(), what, static_cast<unsigned long long>(limit),
                            static_cast<unsigned long long>(value)));
}

// A pipe's two rings are one queue.
template <class Visit>
void each_ring(const Control& c, const PortRec& p, BoundRings b, Visit&& visit) {
  const PortRec& peer = c.port(p.kind == Kind::pipe ? p.peer : 0);
  for (uint32_t i = b.first_tx; i < b.last_tx; i++)
    visit(&c.tx(p.tx_base + i), p.kind == Kind::pipe ? &c.rx(peer.rx_base + i) : nullptr);
  for (uint32_t i = b.first_rx; i < b.last_rx; i++)
    visit(p.kind == Kind::pipe ? &c.tx(peer.tx_base + i) : nullptr, &c.rx(p.rx_base + i));
}

}  // namespace

Status offsets_apply(Runtime& rt, const OpenRequest& q, uint32_t port, BoundRings bound,
                     Offsets* out) {
  const Control& c = rt.control();
  const PortRec& p = c.port(port);
  const Offsets& o = *q.offsets;
  const uint32_t buf_size = c.region(p.region).buf_size;
  if (o.bits > 64) return bad(q, "a number of offset bits", o.bits, 64);
  const uint64_t mask = o.bits == 0 || o.bits == 64 ? ~uint64_t{0} : (uint64_t{1} << o.bits) - 1;
  if (o.most > buf_size) return bad(q, "an offset", o.most, buf_size);
  if (o.most > mask) return bad(q, "an offset", o.most, mask);
  if (o.initial > o.most) return bad(q, "an initial offset", o.initial, o.most);
  uint64_t most = o.most, all = mask;
  bool narrower = false;
  each_ring(c, p, bound, [&](const TxRing* t, const RxRing* r) {
    for (const OffsetRule have : {t != nullptr ? OffsetRule::of(*t) : OffsetRule{},
                                  r != nullptr ? OffsetRule::of(*r) : OffsetRule{}}) {
      if (!have.any()) continue;
      narrower |= (have.mask & mask) != mask || have.most < o.most;
      all = std::max(all, have.mask);
      most = std::max(most, have.most);
    }
  });
  if (narrower) {
    return blame(Status::fail(EBUSY,
                              "%s: its rings are in use with fewer offset bits or smaller offsets",
                              q.name.c_str()));
  }
  char* base = rt.mapper->region(p.region, p.region_gen);
  if (base == nullptr) return Status::fail(ENOMEM, "cannot map the memory of %s", q.name.c_str());
  const auto mark = [&](auto& ring, bool used) {
    if (ring.offset_mask.load(std::memory_order_relaxed) != 0 || ring.ring_ofs == 0) return;
    auto* memory = reinterpret_cast<netmap_ring*>(base + ring.ring_ofs);
    for (uint32_t i = 0; i < ring.num_slots && !used && o.initial != 0; i++)
      memory->slot[i].ptr = o.initial;
    write_once(memory->offset_mask, mask);
    ring.offset_most.store(o.most, std::memory_order_relaxed);
    ring.offset_mask.store(mask, std::memory_order_release);
  };
  each_ring(c, p, bound, [&](TxRing* t, RxRing* r) {
    const bool used = (t != nullptr && t->bound.load(std::memory_order_relaxed) != 0) ||
                      (r != nullptr && r->bound.load(std::memory_order_relaxed) != 0);
    if (t != nullptr) mark(*t, used);
    if (r != nullptr) mark(*r, used);
  });
  out->most = most;
  out->bits = all == ~uint64_t{0} ? 64 : static_cast<uint32_t>(__builtin_ctzll(~all));
  out->initial = o.initial;
  return Status::good();
}

bool offsets_any(const Control& c, const PortRec& p) {
  for (uint32_t i = 0; i < p.rx_count; i++) {
    if (OffsetRule::of(c.rx(p.rx_base + i)).any()) return true;
  }
  return false;
}

}  // namespace vale
