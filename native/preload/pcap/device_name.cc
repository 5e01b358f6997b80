// SPDX-License-Identifier: BSD-2-Clause
#include "preload/pcap/device_name.h"

#include "preload/device_file.h"

namespace vale::preload {
namespace {

bool flag_of(char letter, uint64_t* flags) {
  switch (letter) {
    case 'r':
      *flags |= NR_MONITOR_RX;
      return true;
    case 't':
      *flags |= NR_MONITOR_TX;
      return true;
    case 'z':
      *flags |= NR_ZCOPY_MON;
      return true;
    case 'x':
      *flags |= NR_EXCLUSIVE;
      return true;
    case 'R':
      *flags |= NR_RX_RINGS_ONLY;
      return true;
    case 'T':
      *flags |= NR_TX_RINGS_ONLY;
      return true;
    default:
      return false;
  }
}

bool all_digits(const std::string& text) {
  return !text.empty() && text.size() <= 4 &&
         text.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

bool is_persistent_port(const char* name) {
  Guard table(g_table_lock);
  int err;
  Device* device = table.held ? device_of(nullptr, &err) : nullptr;
  std::vector<PortRow> rows;
  if (device == nullptr || !device->list(&rows).ok()) return false;
  for (const PortRow& row : rows) {
    if (row.persistent && bare_name(row.name) == name) return true;
  }
  return false;
}

bool parse_device(const std::string& device, OpenRequest* out, std::string* wrong) {
  std::string name = device.compare(0, 7, "netmap:") == 0 ? device.substr(7) : device;
  out->flags = 0;
  if (const size_t slash = name.find('/'); slash != std::string::npos) {
    for (const char letter : name.substr(slash + 1)) {
      if (flag_of(letter, &out->flags)) continue;
      *wrong = device + ": expected letters of r t z x R T after / but found " + letter;
      return false;
    }
    name.resize(slash);
  }
  const size_t colon = name.find(':');
  const size_t dash = name.rfind('-');
  if (colon != std::string::npos && dash != std::string::npos && dash > colon &&
      all_digits(name.substr(dash + 1))) {
    out->mode = NR_REG_ONE_NIC;
    out->ring_id = static_cast<uint16_t>(std::stoi(name.substr(dash + 1)));
    name.resize(dash);
  }
  // As in the first release of VALE: a port on the switch "vale".
  if (name.compare(0, 4, "vale") == 0 && colon == std::string::npos) name = "vale:" + name;
  out->name = name;
  return true;
}

}  // namespace vale::preload
