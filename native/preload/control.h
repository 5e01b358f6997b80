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

#include <algorithm>
#include <cstring>
#include <vector>

#include "abi/netmap_control.h"
#include "preload/device_file.h"

namespace vale::preload {

// 0 or an errno. `fd` is of kind `device`.
int control(int fd, uint64_t argument);
int legacy_control(int fd, bool regif, uint64_t argument);

// One of a request's list. Its status stays EOPNOTSUPP if nothing understands it.
struct Option {
  uint64_t address;
  nmreq_option header;
  std::vector<char> body;  // what follows the header
  template <class Whole>   // the reference's structure, header and all
  Whole as() const {
    Whole whole{};
    std::memcpy(&whole, &header, sizeof header);
    std::memcpy(reinterpret_cast<char*>(&whole) + sizeof header, body.data(),
                std::min(body.size(), sizeof whole - sizeof header));
    return whole;
  }
  template <class Whole>
  void set(const Whole& whole) {
    std::memcpy(body.data(), reinterpret_cast<const char*>(&whole) + sizeof header,
                std::min(body.size(), sizeof whole - sizeof header));
  }
};

// nullptr when there is none of that type.
inline Option* find_option(std::vector<Option>& options, uint32_t type) {
  for (Option& o : options) {
    if (o.header.nro_reqtype == type) return &o;
  }
  return nullptr;
}

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
  std::vector<Option>& options;

  Option* option(uint32_t type) { return find_option(options, type); }
};

// With the table's lock and the file's.
int serve(Request& request);

}  // namespace vale::preload
