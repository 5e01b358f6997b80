// SPDX-License-Identifier: BSD-2-Clause
#include "nic/peer.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <net/if.h>
#include <sched.h>

#include <algorithm>
#include <thread>

#include "nic/bpf.h"
#include "nic/netlink.h"

namespace vale {
namespace {

using netlink::Attribute;

constexpr int kHere = -1;
constexpr unsigned kMostProcesses = 4096;  // looked at for one in a namespace that has no name

struct Link {
  std::string name, kind;
  int other = 0;         // index of the link it belongs to
  int netns_id = kHere;  // of that one, as this namespace calls it
};

bool find_link(int index, int netns_id, Link* out) {
  netlink::Request<ifinfomsg> request(RTM_GETLINK);
  request.head.ifi_index = index;
  if (netns_id != kHere) request.add(IFLA_TARGET_NETNSID, netns_id);
  return netlink::ask(request, [&](const Attribute& one) {
           if (one.type == IFLA_IFNAME) out->name = one.text();
           if (one.type == IFLA_LINK) out->other = one.as<int>();
           if (one.type == IFLA_LINK_NETNSID) out->netns_id = one.as<int>();
           if (one.type != IFLA_LINKINFO) return;
           netlink::nested(one, [&](const Attribute& inner) {
             if (inner.type == IFLA_INFO_KIND) out->kind = inner.text();
           });
         }) == 0;
}

// Whether that is the namespace this one calls `netns_id`.
bool is_netns(int fd, int netns_id) {
  netlink::Request<rtgenmsg> request(RTM_GETNSID);
  request.add(NETNSA_FD, fd);
  int id = kHere;
  netlink::ask(request, [&](const Attribute& one) {
    if (one.type == NETNSA_NSID) id = one.as<int>();
  });
  return id == netns_id;
}

// The first entry of a folder whose file, with `rest` behind its name, is that namespace.
Handle search(const char* folder, const char* rest, int netns_id, std::string* name) {
  DIR* dir = opendir(folder);
  Handle found;
  unsigned seen = 0;
  for (const dirent* one; dir != nullptr && !found.valid() && seen < kMostProcesses &&
                          (one = readdir(dir)) != nullptr;) {
    if (one->d_name[0] == '.' || (*rest != 0 && (one->d_name[0] < '1' || one->d_name[0] > '9')))
      continue;
    seen++;
    const std::string path = std::string(folder) + "/" + one->d_name + rest;
    Handle fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid() || !is_netns(fd.fd(), netns_id)) continue;
    *name = one->d_name;
    found = std::move(fd);
  }
  if (dir != nullptr) closedir(dir);
  return found;
}

void ask_driver(Peer* peer) {
  peer->tx_queues = queues_of(peer->name).tx;
  peer->offloads = offloads_of(peer->name);
  peer->asked = true;
}

}  // namespace

Peer find_peer(const Interface& interface) {
  Peer peer;
  Link link, far;
  if (!find_link(interface.index, kHere, &link) || link.kind != "veth") return peer;
  if (!find_link(link.other, link.netns_id, &far)) return peer;
  peer.name = far.name;
  peer.elsewhere = link.netns_id != kHere;
  if (!peer.elsewhere) {
    ask_driver(&peer);
    return peer;
  }
  std::string where;
  Handle netns = search("/run/netns", "", link.netns_id, &where);
  if (!netns.valid()) netns = search("/proc", "/ns/net", link.netns_id, &where);
  peer.inside = command_inside(where);
  if (netns.valid()) {
    std::thread([&] {
      if (setns(netns.fd(), CLONE_NEWNET) == 0) ask_driver(&peer);
    }).join();
  }
  return peer;
}

std::string command_inside(const std::string& netns) {
  if (netns.empty()) return {};
  if (netns.find('/') != std::string::npos) return "nsenter --net=" + netns + " ";
  const bool process =
      std::all_of(netns.begin(), netns.end(), [](char c) { return c >= '0' && c <= '9'; });
  return process ? "nsenter -t " + netns + " -n " : "ip netns exec " + netns + " ";
}

}  // namespace vale
