// SPDX-License-Identifier: BSD-2-Clause
// What each control request does.
#include <cstring>
#include <string>

#include "device/request_body.h"
#include "preload/control.h"
#include "preload/own_memory.h"
#include "preload/start.h"
#include "preload/sync_loop.h"

namespace vale::preload {
namespace {

using namespace request_body;

bool begins_with_vale(const char* name) { return std::strncmp(name, "vale", 4) == 0; }

int failed(const Status& s) {
  explain(s);
  return s.err;
}

OpenRequest to_open_request(const char* name, const nmreq_register& b) {
  OpenRequest q;
  q.name = name;
  fields(b, q, from_body);
  return q;
}

void to_pools_body(const PoolsInfo& info, nmreq_pools_info* b) {
  b->nr_memsize = info.memsize;
  b->nr_mem_id = info.mem_id;
  b->nr_if_pool_offset = info.ifs.offset;
  b->nr_if_pool_objtotal = info.ifs.objects;
  b->nr_if_pool_objsize = info.ifs.object_size;
  b->nr_ring_pool_offset = info.rings.offset;
  b->nr_ring_pool_objtotal = info.rings.objects;
  b->nr_ring_pool_objsize = info.rings.object_size;
  b->nr_buf_pool_offset = info.bufs.offset;
  b->nr_buf_pool_objtotal = info.bufs.objects;
  b->nr_buf_pool_objsize = info.bufs.object_size;
}

// The port is open: what the program brought becomes its memory, and the option says what is in it.
int bring(Request& r, BroughtMemory& brought, Option& option) {
  if (const int err = brought.take_over(*r.file.port())) return err;
  auto o = option.as<nmreq_opt_extmem>();
  to_pools_body(r.file.port()->pools(), &o.nro_info);
  option.set(o);
  return 0;
}

int do_register(Request& r) {
  if (r.file.port() != nullptr) return EBUSY;
  nmreq_register& b = r.body.reg;
  switch (b.nr_mode) {
    case NR_REG_ALL_NIC:
    case NR_REG_SW:
    case NR_REG_NIC_SW:
    case NR_REG_ONE_NIC:
    case NR_REG_NULL:
    case NR_REG_ONE_SW:
      break;
    default:
      return EINVAL;
  }
  OpenRequest q = to_open_request(r.header.nr_name, b);
  Option* extmem = r.option(NETMAP_REQ_OPT_EXTMEM);
  BroughtMemory brought;
  if (extmem != nullptr) {
    const int err = brought.find(extmem->as<nmreq_opt_extmem>());
    extmem->header.nro_status = static_cast<uint32_t>(err);
    if (err != 0) return err;
    q.memory = brought.memory();
  }
  Option* offsets = r.option(NETMAP_REQ_OPT_OFFSETS);
  if (offsets != nullptr) {
    const auto o = offsets->as<nmreq_opt_offsets>();
    q.offsets = Offsets{o.nro_max_offset, o.nro_initial_offset, o.nro_offset_bits};
  }
  PortInfo info;
  if (const Status s = r.file.open_port(q, &info); !s.ok()) {
    if (Option* o = s.option != 0 ? r.option(static_cast<uint32_t>(s.option)) : nullptr)
      o->header.nro_status = static_cast<uint32_t>(s.err);
    return s.err;
  }
  if (offsets != nullptr && info.offsets) {
    auto o = offsets->as<nmreq_opt_offsets>();
    o.nro_max_offset = info.offsets->most;
    o.nro_offset_bits = info.offsets->bits;
    offsets->set(o);
    offsets->header.nro_status = 0;
  }
  if (Option* csb = r.option(NETMAP_REQ_OPT_CSB)) {
    if (const int err = enable_blocks(r.file, *csb)) {
      r.file.close_port();
      return err;
    }
  }
  for (const Option& o : r.options) {
    if (o.header.nro_status != EOPNOTSUPP) continue;
    r.file.close_port();
    return EOPNOTSUPP;
  }
  if (extmem != nullptr) {
    if (const int err = bring(r, brought, *extmem)) {
      extmem->header.nro_status = static_cast<uint32_t>(err);
      r.file.close_port();
      return err;
    }
  }
  r.file.take_numbers();
  fields(b, info, to_body);
  if (b.nr_flags & NR_ZCOPY_MON) b.nr_flags |= NR_MONITOR_TX | NR_MONITOR_RX;
  return 0;
}

int port_info(Request& r, Device& device) {
  nmreq_port_info_get& b = r.body.info;
  OpenRequest probe;
  sizes(b, probe, from_body);
  PortInfo info;
  if (const Status s = device.info(r.header.nr_name, probe, &info); !s.ok()) return failed(s);
  fields(b, info, to_body);
  return 0;
}

// What serves an attached interface lies beside this library.
std::string agent_path() {
  const std::string library = own_path() != nullptr ? own_path() : "";
  const size_t slash = library.rfind('/');
  return slash == std::string::npos ? "" : library.substr(0, slash + 1) + "vale-agent";
}

int attach(Request& r, Device& device) {
  const nmreq_register& b = r.body.attach.reg;
  AttachRequest request(to_open_request(r.header.nr_name, b));
  request.host = b.nr_mode == NR_REG_NIC_SW;
  request.agent = agent_path();
  return failed(device.attach(request, &r.body.attach.port_index));
}

int polling(Request& r, Device& device) {
  const nmreq_vale_polling& b = r.body.polling;
  const bool on = r.header.nr_reqtype == NETMAP_REQ_VALE_POLLING_ENABLE;
  const uint32_t cores = b.nr_num_polling_cpus != 0 ? b.nr_num_polling_cpus : 1;
  return failed(device.polling(r.header.nr_name, on ? cores : 0, b.nr_first_cpu_id));
}

// By name: the indices of that port. Without: the first at (bridge, port) or after it.
int list(Request& r, Device& device) {
  nmreq_vale_list& b = r.body.list;
  if (r.header.nr_name[0] != 0) {
    if (!begins_with_vale(r.header.nr_name)) return EINVAL;
    uint32_t sw = 0, port = 0;
    if (const Status s = device.index(r.header.nr_name, &sw, &port); !s.ok()) return failed(s);
    b.nr_bridge_idx = static_cast<uint16_t>(sw);
    b.nr_port_idx = port;
    return 0;
  }
  std::vector<PortRow> rows;
  if (const Status s = device.list(&rows); !s.ok()) return failed(s);
  for (const PortRow& row : rows) {
    if (!row.attached) continue;
    const bool later = row.switch_index > b.nr_bridge_idx ||
                       (row.switch_index == b.nr_bridge_idx && row.port_index >= b.nr_port_idx);
    if (!later) continue;
    std::snprintf(r.header.nr_name, sizeof r.header.nr_name, "%s", row.name.c_str());
    b.nr_bridge_idx = static_cast<uint16_t>(row.switch_index);
    b.nr_port_idx = row.port_index;
    return 0;
  }
  return ENOENT;
}

int header_set(Request& r, Device& device) {
  const uint32_t length = r.body.hdr.nr_hdr_len;
  if (length != 0 && length != 10 && length != 12) return EINVAL;
  if (!begins_with_vale(r.header.nr_name)) return ENXIO;
  return failed(device.set_header_length(r.header.nr_name, length));
}

int new_port(Request& r, Device& device) {
  nmreq_vale_newif& b = r.body.newif;
  OpenRequest wish;
  wish.name = r.header.nr_name;
  sizes(b, wish, from_body);
  PortInfo info;
  if (const Status s = device.create(wish, &info); !s.ok()) return failed(s);
  sizes(b, info, to_body);
  return 0;
}

int pools(Request& r, Device& device) {
  nmreq_pools_info& b = r.body.pools;
  OpenRequest probe;
  probe.mem_id = b.nr_mem_id;
  PoolsInfo info;
  if (const Status s = device.pools_info(r.header.nr_name, probe, &info); !s.ok()) return failed(s);
  to_pools_body(info, &b);
  return 0;
}

}  // namespace

int serve(Request& r) {
  int err = ENXIO;
  Device* device = device_of(nullptr, &err);
  if (device == nullptr) return err;
  switch (r.header.nr_reqtype) {
    case NETMAP_REQ_REGISTER:
      return do_register(r);
    case NETMAP_REQ_PORT_INFO_GET:
      return port_info(r, *device);
    case NETMAP_REQ_VALE_ATTACH:
      return attach(r, *device);
    case NETMAP_REQ_VALE_DETACH:
      return failed(device->detach(r.header.nr_name, &r.body.detach.port_index));
    case NETMAP_REQ_VALE_LIST:
      return list(r, *device);
    case NETMAP_REQ_PORT_HDR_SET:
      return header_set(r, *device);
    case NETMAP_REQ_PORT_HDR_GET:
      return failed(device->get_header_length(r.header.nr_name, &r.body.hdr.nr_hdr_len));
    case NETMAP_REQ_VALE_NEWIF:
      return new_port(r, *device);
    case NETMAP_REQ_VALE_DELIF:
      return failed(device->remove(r.header.nr_name));
    case NETMAP_REQ_VALE_POLLING_ENABLE:
    case NETMAP_REQ_VALE_POLLING_DISABLE:
      return polling(r, *device);
    case NETMAP_REQ_POOLS_INFO_GET:
      return pools(r, *device);
    case NETMAP_REQ_CSB_ENABLE:
      return enable_blocks(r);
    default:
      return EINVAL;
  }
}

}  // namespace vale::preload
