// SPDX-License-Identifier: BSD-2-Clause
#include "device/wire.h"

#include <algorithm>
#include <cstring>

#include "nic/interface.h"
#include "nic/packet.h"

namespace vale {
namespace {

constexpr size_t kNearEnough = 2;  // edits
constexpr size_t kMostListed = 12;

size_t edits(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); j++) row[j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

Status unknown(const std::string& name) {
  const std::vector<Interface> all = list_interfaces();
  size_t best = kNearEnough + 1;
  std::string nearest, list;
  for (size_t i = 0; i < all.size(); i++) {
    const size_t distance = edits(name, all[i].name);
    // A name of nothing but edits is no likeness.
    if (distance < best && distance < name.size()) {
      best = distance;
      nearest = all[i].name;
    }
    if (i < kMostListed) list += (i == 0 ? "" : ", ") + all[i].name;
  }
  if (all.size() > kMostListed) list += ", …";
  if (!nearest.empty()) {
    return Status::fail(ENXIO,
                        "no interface \"%s\" in this network namespace; did you mean \"%s\"?",
                        name.c_str(), nearest.c_str());
  }
  return Status::fail(ENXIO,
                      "no interface \"%s\" in this network namespace, which has %s; a port of a "
                      "switch is written \"vale0:%s\"",
                      name.c_str(), list.empty() ? "none" : list.c_str(), name.c_str());
}

}  // namespace

std::vector<WireInterface> interfaces() {
  std::vector<WireInterface> rows;
  for (const Interface& one : list_interfaces()) {
    WireInterface row;
    row.name = one.name;
    row.mtu = one.mtu;
    std::memcpy(row.mac, one.mac, sizeof row.mac);
    rows.push_back(row);
  }
  return rows;
}

Status open_wire(const OpenRequest& request, std::unique_ptr<Port>* out) {
  Interface interface;
  const int err = find_interface(request.name, &interface);
  if (err == ENODEV) return unknown(request.name);
  if (err != 0) {
    return Status::fail(err, "cannot ask the kernel about interface \"%s\": %s",
                        request.name.c_str(), std::strerror(err));
  }
  return PacketPort::open(request, interface, out);
}

}  // namespace vale
