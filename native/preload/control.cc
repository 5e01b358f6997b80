// SPDX-License-Identifier: BSD-2-Clause
#include "preload/control.h"

#include "preload/sync_loop.h"
#include "preload/user_memory.h"

namespace vale::preload {
namespace {

constexpr uint64_t kMost = 4096;     // bytes of one option's body, of a list
constexpr uint64_t kScratch = 4208;  // bytes the reference copies a request into

// Bytes of a request's body, 0 for requests without one and for unknown ones.
size_t body_size(uint16_t type) {
  switch (type) {
    case NETMAP_REQ_REGISTER:
      return sizeof(nmreq_register);
    case NETMAP_REQ_PORT_INFO_GET:
      return sizeof(nmreq_port_info_get);
    case NETMAP_REQ_VALE_ATTACH:
      return sizeof(nmreq_vale_attach);
    case NETMAP_REQ_VALE_DETACH:
      return sizeof(nmreq_vale_detach);
    case NETMAP_REQ_VALE_LIST:
      return sizeof(nmreq_vale_list);
    case NETMAP_REQ_PORT_HDR_SET:
    case NETMAP_REQ_PORT_HDR_GET:
      return sizeof(nmreq_port_hdr);
    case NETMAP_REQ_VALE_NEWIF:
      return sizeof(nmreq_vale_newif);
    case NETMAP_REQ_VALE_POLLING_ENABLE:
    case NETMAP_REQ_VALE_POLLING_DISABLE:
      return sizeof(nmreq_vale_polling);
    case NETMAP_REQ_POOLS_INFO_GET:
      return sizeof(nmreq_pools_info);
    case NETMAP_REQ_SYNC_KLOOP_START:
      return sizeof(nmreq_sync_kloop_start);
    default:
      return 0;
  }
}

uint64_t option_body_size(const nmreq_option& o) {
  switch (o.nro_reqtype) {
    case NETMAP_REQ_OPT_EXTMEM:
      return 8 + sizeof(nmreq_pools_info);
    case NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS:
      return o.nro_size >= sizeof o ? o.nro_size - sizeof o : 0;
    case NETMAP_REQ_OPT_CSB:
      return 16;
    case NETMAP_REQ_OPT_SYNC_KLOOP_MODE:
      return 8;
    case NETMAP_REQ_OPT_OFFSETS:
      return 32;
    default:
      return 0;
  }
}

// Reads the list. Every option's status is what it stays if nothing understands it.
int read_options(uint64_t first, size_t body, std::vector<Option>* options) {
  uint64_t scratch = 16 + body + 48;
  uint64_t total = body;
  for (uint64_t at = first; at != 0;) {
    Option o{at, {}, {}};
    if (!copy_in(&o.header, at, sizeof o.header)) return EFAULT;
    const uint64_t size = option_body_size(o.header);
    o.header.nro_status = EOPNOTSUPP;
    if (o.header.nro_reqtype == 0) {
      o.header.nro_status = EINVAL;
      options->push_back(o);
      return EINVAL;
    }
    if (size > kMost || o.header.nro_size > kMost) return EMSGSIZE;
    scratch += 8 + sizeof o.header + size;
    total += sizeof o.header + size;
    if (scratch > kScratch || total > kMost) return EMSGSIZE;
    if (o.header.nro_reqtype < NETMAP_REQ_OPT_MAX) {
      for (Option& before : *options) {
        if (before.header.nro_reqtype != o.header.nro_reqtype) continue;
        before.header.nro_status = o.header.nro_status = EINVAL;
        options->push_back(o);
        return EINVAL;
      }
    }
    o.body.resize(size);
    if (size != 0 && !copy_in(o.body.data(), at + sizeof o.header, size)) return EFAULT;
    at = o.header.nro_next;
    options->push_back(std::move(o));
  }
  return 0;
}

int answer(int fd, nmreq_header& header) {
  if (header.nr_version < NETMAP_MIN_API || header.nr_version > NETMAP_MAX_API) return EINVAL;
  if (header.nr_reserved != 0) return EINVAL;
  header.nr_name[sizeof header.nr_name - 1] = 0;
  const size_t size = body_size(header.nr_reqtype);
  if ((size != 0) != (header.nr_body != 0)) return EINVAL;
  Request::Body body{};
  if (size != 0 && !copy_in(&body, header.nr_body, size)) return EFAULT;
  std::vector<Option> options;
  int err = read_options(header.nr_options, size, &options);
  if (err == 0 && header.nr_reqtype == NETMAP_REQ_SYNC_KLOOP_START) {
    err = run_loop(fd, body.kloop, options);
  } else if (err == 0 && header.nr_reqtype == NETMAP_REQ_SYNC_KLOOP_STOP) {
    err = stop_loop(fd);
  } else if (err == 0) {
    Guard table(g_table_lock);
    Use use(fd);
    if (!table.held || use.file() == nullptr) return EBUSY;
    use.file()->adopt_if_inherited();
    Request request{*use.file(), header, body, options};
    err = serve(request);
  }
  for (const Option& o : options) {
    bool good = copy_out(o.address, &o.header, sizeof o.header);
    if (err == 0 && o.header.nro_status == 0 && !o.body.empty())
      good = copy_out(o.address + sizeof o.header, o.body.data(), o.body.size()) && good;
    if (!good && err == 0) err = EFAULT;
  }
  if (err == 0 && size != 0 && !copy_out(header.nr_body, &body, size)) err = EFAULT;
  return err;
}

}  // namespace

int control(int fd, uint64_t argument) {
  if (argument == 0) return EINVAL;
  nmreq_header header;
  if (!copy_in(&header, argument, sizeof header)) return EFAULT;
  const int err = answer(fd, header);
  // The header goes back even when the request failed.
  return copy_out(argument, &header, sizeof header) || err != 0 ? err : EFAULT;
}

}  // namespace vale::preload
