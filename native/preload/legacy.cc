// SPDX-License-Identifier: BSD-2-Clause
// NIOCREGIF and NIOCGINFO: the nmreq of older programs, as the newer request that it means.
#include <cstring>

#include "preload/control.h"
#include "preload/user_memory.h"

namespace vale::preload {
namespace {

// Which rings, for programs from before nr_flags.
uint32_t mode_of(const nmreq& q) {
  if ((q.nr_flags & NR_REG_MASK) != NR_REG_DEFAULT) return q.nr_flags & NR_REG_MASK;
  if (q.nr_ringid & NETMAP_SW_RING) return NR_REG_SW;
  return q.nr_ringid & NETMAP_HW_RING ? NR_REG_ONE_NIC : NR_REG_ALL_NIC;
}

// Pipes had modes of their own; today they are part of the name. ENOMEM when that gets too long.
int pipe_name(nmreq_header* header, nmreq_register* body) {
  if (body->nr_mode != NR_REG_PIPE_MASTER && body->nr_mode != NR_REG_PIPE_SLAVE) return 0;
  const size_t used = std::strlen(header->nr_name);
  const size_t room = sizeof header->nr_name - used;
  const char end = body->nr_mode == NR_REG_PIPE_MASTER ? '{' : '}';
  const int n = std::snprintf(header->nr_name + used, room, "%c%u", end, body->nr_ringid);
  body->nr_mode = NR_REG_ALL_NIC;
  body->nr_ringid = 0;
  return n < 0 || static_cast<size_t>(n) >= room ? ENOMEM : 0;
}

nmreq_register register_body(const nmreq& q) {
  nmreq_register b{};
  b.nr_mode = mode_of(q);
  b.nr_ringid = q.nr_ringid & NETMAP_RING_MASK;
  b.nr_flags = q.nr_flags & ~static_cast<uint32_t>(NR_REG_MASK);
  if (q.nr_ringid & NETMAP_NO_TX_POLL) b.nr_flags |= NR_NO_TX_POLL;
  if (q.nr_ringid & NETMAP_DO_RX_POLL) b.nr_flags |= NR_DO_RX_POLL;
  b.nr_tx_slots = q.nr_tx_slots;
  b.nr_rx_slots = q.nr_rx_slots;
  b.nr_tx_rings = q.nr_tx_rings;
  b.nr_rx_rings = q.nr_rx_rings;
  b.nr_mem_id = q.nr_arg2;
  b.nr_extra_bufs = q.nr_arg3;
  return b;
}

// Everything but nr_offset and nr_arg3, which only a registration has.
template <class Body>
void copy_geometry(const Body& b, nmreq* q) {
  q->nr_memsize = static_cast<uint32_t>(b.nr_memsize);
  q->nr_tx_slots = b.nr_tx_slots;
  q->nr_rx_slots = b.nr_rx_slots;
  q->nr_tx_rings = b.nr_tx_rings;
  q->nr_rx_rings = b.nr_rx_rings;
  q->nr_arg2 = b.nr_mem_id;
}

int serve_regif(Request& r, nmreq* q) {
  switch (q->nr_cmd) {
    case 0: {
      r.header.nr_reqtype = NETMAP_REQ_REGISTER;
      r.body.reg = register_body(*q);
      if (const int err = pipe_name(&r.header, &r.body.reg)) return err;
      if (const int err = serve(r)) return err;
      copy_geometry(r.body.reg, q);
      q->nr_offset = static_cast<uint32_t>(r.body.reg.nr_offset);
      q->nr_arg3 = r.body.reg.nr_extra_bufs;
      return 0;
    }
    case NETMAP_BDG_ATTACH:
      r.header.nr_reqtype = NETMAP_REQ_VALE_ATTACH;
      r.body.attach.reg = register_body(*q);
      r.body.attach.reg.nr_mode = q->nr_arg1 & 1 ? NR_REG_NIC_SW : NR_REG_ALL_NIC;
      return serve(r);
    case NETMAP_BDG_DETACH:
      r.header.nr_reqtype = NETMAP_REQ_VALE_DETACH;
      return serve(r);
    case NETMAP_BDG_VNET_HDR:
      r.header.nr_reqtype = NETMAP_REQ_PORT_HDR_SET;
      r.body.hdr.nr_hdr_len = q->nr_arg1;
      return serve(r);
    case NETMAP_VNET_HDR_GET: {
      r.header.nr_reqtype = NETMAP_REQ_PORT_HDR_GET;
      const int err = serve(r);
      if (err == 0) q->nr_arg1 = static_cast<uint16_t>(r.body.hdr.nr_hdr_len);
      return err;
    }
    case NETMAP_BDG_NEWIF: {
      r.header.nr_reqtype = NETMAP_REQ_VALE_NEWIF;
      r.body.newif = {q->nr_tx_slots, q->nr_rx_slots, q->nr_tx_rings,
                      q->nr_rx_rings, q->nr_arg2,     0};
      if (const int err = serve(r)) return err;
      q->nr_tx_slots = r.body.newif.nr_tx_slots;
      q->nr_rx_slots = r.body.newif.nr_rx_slots;
      q->nr_tx_rings = r.body.newif.nr_tx_rings;
      q->nr_rx_rings = r.body.newif.nr_rx_rings;
      q->nr_arg2 = r.body.newif.nr_mem_id;
      return 0;
    }
    case NETMAP_BDG_DELIF:
      r.header.nr_reqtype = NETMAP_REQ_VALE_DELIF;
      return serve(r);
    case NETMAP_BDG_POLLING_ON:
    case NETMAP_BDG_POLLING_OFF:
      r.header.nr_reqtype = q->nr_cmd == NETMAP_BDG_POLLING_ON ? NETMAP_REQ_VALE_POLLING_ENABLE
                                                               : NETMAP_REQ_VALE_POLLING_DISABLE;
      return serve(r);
    case 8:
    case 9:
      return ENOMEM;  // as the reference answers commands that it knew once
    default:
      return EINVAL;
  }
}

int serve_ginfo(Request& r, nmreq* q) {
  if (q->nr_cmd == NETMAP_BDG_LIST) {
    r.header.nr_reqtype = NETMAP_REQ_VALE_LIST;
    r.body.list = {q->nr_arg1, 0, q->nr_arg2};
    if (const int err = serve(r)) return err;
    std::snprintf(q->nr_name, sizeof q->nr_name, "%.15s", r.header.nr_name);
    q->nr_arg1 = r.body.list.nr_bridge_idx;
    q->nr_arg2 = static_cast<uint16_t>(r.body.list.nr_port_idx);
    return 0;
  }
  r.header.nr_reqtype = NETMAP_REQ_PORT_INFO_GET;
  nmreq_port_info_get& b = r.body.info;
  b.nr_mem_id = q->nr_arg2;
  if (const int err = serve(r)) return err;
  copy_geometry(b, q);
  return 0;
}

}  // namespace

int legacy_control(int fd, bool regif, uint64_t argument) {
  if (argument == 0) return EINVAL;
  nmreq q;
  if (!copy_in(&q, argument, sizeof q)) return EFAULT;
  int err = EINVAL;
  if (q.nr_version >= NETMAP_MIN_API) {
    nmreq_header header{};
    Request::Body body{};
    std::snprintf(header.nr_name, sizeof header.nr_name, "%.15s", q.nr_name);
    Guard table(g_table_lock);
    Use use(fd);
    if (!table.held || use.file() == nullptr) return EBUSY;
    use.file()->adopt_if_inherited();
    std::vector<Option> none;
    Request request{*use.file(), header, body, none};
    err = regif ? serve_regif(request, &q) : serve_ginfo(request, &q);
  }
  return copy_out(argument, &q, sizeof q) || err != 0 ? err : EFAULT;
}

}  // namespace vale::preload
