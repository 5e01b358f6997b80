// SPDX-License-Identifier: BSD-2-Clause
#include "nic/in_use.h"

#include <arpa/inet.h>
#include <net/if_arp.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <vector>

#include "nic/netlink.h"

namespace vale {
namespace {

using netlink::Attribute;

constexpr unsigned kMostAncestors = 64;
// Bits of a prefix: two routes of half of all addresses each hide a default route.
constexpr unsigned kHalf = 1;

// Interfaces of default routes; those of tables the kernel keeps for itself are not asked for.
std::set<int> default_routes() {
  std::set<int> found;
  netlink::dump<rtmsg>(RTM_GETROUTE, [&](const nlmsghdr* message) {
    const rtmsg* route = static_cast<const rtmsg*>(NLMSG_DATA(message));
    if (route->rtm_dst_len > kHalf || route->rtm_type != RTN_UNICAST) return;
    netlink::attributes<rtmsg>(message, [&](const Attribute& one) {
      if (one.type == RTA_OIF) found.insert(one.as<int>());
      if (one.type != RTA_MULTIPATH) return;
      int left = static_cast<int>(one.bytes);
      const rtnexthop* hop = reinterpret_cast<const rtnexthop*>(one.data);
      while (left >= static_cast<int>(sizeof *hop) && RTNH_OK(hop, left)) {
        found.insert(hop->rtnh_ifindex);
        left -= static_cast<int>(RTNH_ALIGN(hop->rtnh_len));
        hop = RTNH_NEXT(hop);
      }
    });
  });
  return found;
}

std::string contents(const std::string& path) {
  std::string text;
  if (FILE* file = std::fopen(path.c_str(), "re")) {
    char part[4096];
    for (size_t n; (n = std::fread(part, 1, sizeof part, file)) != 0;) text.append(part, n);
    std::fclose(file);
  }
  return text;
}

// The interface with the address at which this login came in, 0 when there is none.
int login_interface() {
  const std::string connection = login_connection();
  if (connection.empty()) return 0;
  std::string words[3];
  const char* at = connection.c_str();
  for (std::string& word : words) {
    const char* end = at + std::strcspn(at, " ");
    word.assign(at, end);
    at = end + std::strspn(end, " ");
  }
  const std::string address = words[2].substr(0, words[2].find('%'));
  char wanted[16];
  size_t bytes = 0;
  if (inet_pton(AF_INET, address.c_str(), wanted) == 1) bytes = 4;
  if (inet_pton(AF_INET6, address.c_str(), wanted) == 1) bytes = 16;
  int found = 0;
  if (bytes == 0) return 0;
  struct Head {  // ifaddrmsg, whose own header clashes with others
    uint8_t family, prefix, flags, scope;
    uint32_t index;
  };
  netlink::dump<Head>(RTM_GETADDR, [&](const nlmsghdr* message) {
    const Head* head = static_cast<const Head*>(NLMSG_DATA(message));
    netlink::attributes<Head>(message, [&](const Attribute& one) {
      const bool address_of = one.type == 1 || one.type == 2;  // IFA_ADDRESS, IFA_LOCAL
      if (address_of && one.bytes == bytes && std::memcmp(one.data, wanted, bytes) == 0) {
        found = static_cast<int>(head->index);
      }
    });
  });
  return found;
}

struct Below {
  int upper, lower;
};

// Of a VXLAN device made with `dev`, which has no IFLA_LINK, the interface its frames leave by; else 0.
int tunnel_base(const Attribute& info) {
  std::string kind;
  int base = 0;
  if (info.type != IFLA_LINKINFO) return 0;
  netlink::nested(info, [&](const Attribute& one) {
    if (one.type == IFLA_INFO_KIND) kind = one.text();
    if (one.type != IFLA_INFO_DATA) return;
    netlink::nested(one, [&](const Attribute& inner) {
      if (inner.type == IFLA_VXLAN_LINK) base = inner.as<int>();
    });
  });
  return kind == "vxlan" ? base : 0;
}

// Which interfaces others are made of: of a bridge or bond its ports, of a VLAN or VXLAN its base.
std::vector<Below> stacking() {
  std::vector<Below> all;
  netlink::dump<ifinfomsg>(RTM_GETLINK, [&](const nlmsghdr* message) {
    const int index = static_cast<const ifinfomsg*>(NLMSG_DATA(message))->ifi_index;
    bool elsewhere = false;
    int base = 0;
    netlink::attributes<ifinfomsg>(message, [&](const Attribute& one) {
      if (one.type == IFLA_MASTER) all.push_back({one.as<int>(), index});
      if (one.type == IFLA_LINK) base = one.as<int>();
      if (one.type == IFLA_LINK_NETNSID) elsewhere = true;
      if (const int under = tunnel_base(one)) all.push_back({index, under});
    });
    // The other end of a veth pair is no base: that of a pair names its own back.
    if (base != 0 && base != index && !elsewhere) all.push_back({index, base});
  });
  std::vector<Below> kept;
  for (const Below& one : all) {
    bool mutual = false;
    for (const Below& other : all) {
      mutual |= one.upper == other.lower && one.lower == other.upper;
    }
    if (!mutual) kept.push_back(one);
  }
  return kept;
}

}  // namespace

std::string login_connection() {
  if (const char* own = std::getenv(kLoginVariable)) return own;
  const std::string wanted = std::string(kLoginVariable) + "=";
  std::string process = "self";
  for (unsigned generation = 0; generation < kMostAncestors; generation++) {
    const std::string stat = contents("/proc/" + process + "/stat");
    const size_t name_end = stat.rfind(')');
    int parent = 0;
    if (name_end == std::string::npos ||
        std::sscanf(stat.c_str() + name_end, ") %*c %d", &parent) != 1 || parent <= 1)
      break;
    process = std::to_string(parent);
    const std::string words = '\0' + contents("/proc/" + process + "/environ");
    const size_t at = words.find('\0' + wanted);
    if (at != std::string::npos) return words.c_str() + at + 1 + wanted.size();
  }
  return "";
}

std::string in_use(const Interface& interface) {
  if (interface.hardware == ARPHRD_LOOPBACK) return "it is how this machine talks to itself";
  const std::vector<Below> stack = stacking();
  const std::set<int> routes = default_routes();
  const int login = login_interface();
  // The interface itself, then everything that stands on it.
  std::vector<int> column = {interface.index};
  for (size_t i = 0; i < column.size(); i++) {
    for (const Below& one : stack) {
      if (one.lower != column[i]) continue;
      bool known = false;
      for (const int other : column) known |= other == one.upper;
      if (!known) column.push_back(one.upper);
    }
    Interface upper;
    std::string through;
    if (i != 0 && find_interface(column[i], &upper) == 0) through = " (through " + upper.name + ")";
    if (column[i] == login) return "your login came in over it" + through;
    if (routes.count(column[i]) != 0) return "it carries the default route" + through;
  }
  return "";
}

}  // namespace vale
