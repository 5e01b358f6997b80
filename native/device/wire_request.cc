// SPDX-License-Identifier: BSD-2-Clause
#include "device/wire_request.h"

#include <net/if.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "nic/claim.h"
#include "nic/in_use.h"

namespace vale {
namespace {

constexpr size_t kNearEnough = 2;  // edits
constexpr size_t kMostListed = 12;
constexpr const char* kHostPrefix = "vale-h";

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

Status unknown(const std::string& name, const WireOptions& options) {
  const char* const where = options.inside.empty() ? "this" : "that";
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
    return Status::fail(ENXIO, "no interface \"%s\" in %s network namespace; did you mean \"%s\"?",
                        name.c_str(), where, nearest.c_str());
  }
  // Who attaches has written that.
  const std::string port =
      !options.port.empty() ? "" : "; a port of a switch is written \"vale0:" + name + "\"";
  return Status::fail(ENXIO, "no interface \"%s\" in %s network namespace, which has %s%s",
                      name.c_str(), where, list.empty() ? "none" : list.c_str(), port.c_str());
}

// The device of a host's side that somebody has open is no interface to open.
Status refuse_host_device(const Interface& interface) {
  const std::string& name = interface.name;
  const auto refused = [&](const std::string& owner) {
    Interface there;
    Handle none;
    if (find_interface(owner, &there) == 0) {
      if (Status s = claim(there, {"", true, true, false}, &none); !s.ok()) return s;
    }
    return Status::fail(
        EBUSY,
        "\"%s\" is the host's side of interface \"%s\", which somebody has open; end "
        "that first",
        name.c_str(), owner.c_str());
  };
  // That interface may have got another name since.
  if (name.back() == '^') return refused(name.substr(0, name.size() - 1));
  if (name.rfind(kHostPrefix, 0) != 0) return Status::good();
  for (const Interface& owner : list_interfaces()) {
    if (host_device(owner) == name) return refused(owner.name);
  }
  return Status::good();
}

}  // namespace

WireSides sides_of(uint32_t mode) {
  const bool host_only = mode == NR_REG_SW || mode == NR_REG_ONE_SW;
  return {!host_only, host_only || mode == NR_REG_NIC_SW};
}

std::string host_device(const Interface& interface) {
  const std::string name = interface.name + "^";
  return name.size() < IFNAMSIZ ? name : kHostPrefix + std::to_string(interface.index);
}

Status check_wire(const OpenRequest& request, bool tap) {
  const char* name = request.name.c_str();
  switch (request.mode) {
    case NR_REG_DEFAULT:
    case NR_REG_ALL_NIC:
      break;
    case NR_REG_ONE_NIC:
      if (request.ring_id == 0) break;
      return Status::fail(
          EINVAL,
          "interface \"%s\" has one ring a direction, so no ring %u; use ring 0 and "
          "one thread",
          name, request.ring_id);
    case NR_REG_SW:
    case NR_REG_NIC_SW:
    case NR_REG_ONE_SW:
      if (tap) {
        return Status::fail(EINVAL,
                            "TAP device \"%s\" has the host's stack at its other end and no host "
                            "rings; open it without ^ or *",
                            name);
      }
      if (request.ring_id == 0) break;
      return Status::fail(EINVAL, "interface \"%s\" has one host ring a direction, so no ring %u",
                          name, request.ring_id);
    default:
      return Status::fail(EINVAL, "interface \"%s\" cannot be opened in mode %u", name,
                          request.mode);
  }
  if (request.offsets) {
    return Status::fail(EOPNOTSUPP, "interface \"%s\": frames of a wire begin where buffers do",
                        name);
  }
  if ((request.flags & NR_EXCLUSIVE) != 0) {
    return Status::fail(EOPNOTSUPP,
                        "interface \"%s\" cannot be opened exclusively, others may always listen; "
                        "leave out /x",
                        name);
  }
  if ((request.flags & (NR_MONITOR_TX | NR_MONITOR_RX | NR_ZCOPY_MON)) != 0) {
    return Status::fail(EOPNOTSUPP,
                        "interface \"%s\" cannot be monitored; open it without /r /t /z", name);
  }
  if (request.mem_id != 0) {
    return Status::fail(EINVAL, "interface \"%s\" has memory of its own; leave out @%u", name,
                        request.mem_id);
  }
  if (request.buf_size != 0 &&
      (request.buf_size < kMinWireBuffer || request.buf_size > kMaxWireBuffer)) {
    return Status::fail(EINVAL, "interface \"%s\": buffers of %u bytes; use %u to %u", name,
                        request.buf_size, kMinWireBuffer, kMaxWireBuffer);
  }
  return Status::good();
}

Status find_wire(const OpenRequest& request, const WireOptions& options, Interface* out) {
  Interface interface;
  const int err = find_interface(request.name, &interface);
  if (err == ENODEV) return unknown(request.name, options);
  if (err != 0) {
    return Status::fail(err, "cannot ask the kernel about interface \"%s\": %s",
                        request.name.c_str(), std::strerror(err));
  }
  if (Status s = refuse_host_device(interface); !s.ok()) return s;
  if (is_xdp(options.backend) && !options.take_over) {
    return Status::fail(EINVAL,
                        "interface \"%s\": AF_XDP takes every frame and shares none; use --backend "
                        "packet with --shared",
                        request.name.c_str());
  }
  const bool host = sides_of(request.mode).host;
  if (host && !options.take_over) {
    return Status::fail(
        EINVAL,
        "interface \"%s\": its host side takes what the host sends and shares none; "
        "leave out --shared",
        request.name.c_str());
  }
  if (options.take_over && !options.force) {
    const std::string why = in_use(interface);
    if (!why.empty()) {
      return Status::fail(EBUSY,
                          "interface \"%s\" would be taken from this machine, but %s; use --force "
                          "to take it all the same%s",
                          request.name.c_str(), why.c_str(),
                          host ? "" : ", or --shared to leave it to the host too");
    }
  }
  *out = interface;
  return Status::good();
}

}  // namespace vale
