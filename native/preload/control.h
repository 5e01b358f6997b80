// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A control request of the program:
//   1. control() reads the header, the body and the list of options, in the reference's order of
//      errors; answers; writes header, options and (on success) the body back.
//   2. serve() does what one request asks for.
//   3. legacy_control() takes the older nmreq and asks the same of the device.
//
// Owns. Nothing.
// Invariants. Whatever addresses and sizes the program gives, the answer is an errno.
// Not here. ioctl(2) itself (calls_file.cc).
#pragma once

#include "abi/netmap_control.h"
#include "preload/device_file.h"

namespace vale::preload {

// 0 or an errno. `fd` is of kind `device`.
int control(int fd, uint64_t argument);
int legacy_control(int fd, bool regif, uint64_t argument);

constexpr unsigned kMaxOptions = 64;

struct Request {
  DeviceFile& file;
  nmreq_header& header;
  union Body {
    nmreq_register reg;
    nmreq_port_info_get info;
    nmreq_vale_attach attach;
    nmreq_vale_detach detach;
    nmreq_vale_list list;
    nmreq_port_hdr hdr;
    nmreq_vale_newif newif;
    nmreq_vale_polling polling;
    nmreq_pools_info pools;
    nmreq_sync_kloop_start kloop;
  } & body;
  bool options_left;  // an option that nothing understood
};

// With the table's lock and the file's.
int serve(Request& request);

OpenRequest to_open_request(const char* name, const nmreq_register& body);
void to_register_body(const PortInfo& info, nmreq_register* body);

}  // namespace vale::preload
