// SPDX-License-Identifier: BSD-2-Clause
#include "nic/peer.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "nic/bpf.h"

namespace vale {
namespace {

constexpr int kHere = -1;
constexpr unsigned kMostProcesses = 4096;  // looked at for one in a namespace that has no name

struct Request {
  nlmsghdr header;
  union {
    ifinfomsg link;
    rtgenmsg netns;
  };
  char attributes[64];
};

void add(Request* request, uint16_t type, int value) {
  rtattr* one = reinterpret_cast<rtattr*>(reinterpret_cast<char*>(request) +
                                          NLMSG_ALIGN(request->header.nlmsg_len));
  one->rta_type = type;
  one->rta_len = RTA_LENGTH(sizeof value);
  std::memcpy(RTA_DATA(one), &value, sizeof value);
  request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + one->rta_len;
}

// Calls each(type, attribute) for those of the answer; false when there is none.
template <typename F>
bool ask(const Request& request, size_t body, F each) {
  const Handle fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  alignas(8) char buffer[16 << 10];
  if (!fd.valid() || send(fd.fd(), &request, request.header.nlmsg_len, 0) < 0) return false;
  const ssize_t got = recv(fd.fd(), buffer, sizeof buffer, 0);
  const nlmsghdr* answer = reinterpret_cast<const nlmsghdr*>(buffer);
  if (got < 0 || !NLMSG_OK(answer, static_cast<size_t>(got)) || answer->nlmsg_type == NLMSG_ERROR)
    return false;
  const char* at = static_cast<const char*>(NLMSG_DATA(answer)) + NLMSG_ALIGN(body);
  int left = static_cast<int>(answer->nlmsg_len) - static_cast<int>(NLMSG_SPACE(body));
  const rtattr* one = reinterpret_cast<const rtattr*>(at);
  for (; RTA_OK(one, left); one = RTA_NEXT(one, left)) each(one->rta_type, one);
  return true;
}

int number(const rtattr* attribute) {
  int value = 0;
  std::memcpy(&value, RTA_DATA(attribute), std::min<size_t>(RTA_PAYLOAD(attribute), sizeof value));
  return value;
}

struct Link {
  std::string name, kind;
  int other = 0;         // index of the link it belongs to
  int netns_id = kHere;  // of that one, as this namespace calls it
};

bool find_link(int index, int netns_id, Link* out) {
  Request request = {};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.link);
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.link.ifi_index = index;
  if (netns_id != kHere) add(&request, IFLA_TARGET_NETNSID, netns_id);
  return ask(request, sizeof request.link, [&](unsigned short type, const rtattr* one) {
    const char* text = static_cast<const char*>(RTA_DATA(one));
    if (type == IFLA_IFNAME) out->name.assign(text, strnlen(text, RTA_PAYLOAD(one)));
    if (type == IFLA_LINK) out->other = number(one);
    if (type == IFLA_LINK_NETNSID) out->netns_id = number(one);
    if (type != IFLA_LINKINFO) return;
    int left = static_cast<int>(RTA_PAYLOAD(one));
    const rtattr* each = static_cast<const rtattr*>(RTA_DATA(one));
    for (; RTA_OK(each, left); each = RTA_NEXT(each, left)) {
      const char* kind = static_cast<const char*>(RTA_DATA(each));
      if (each->rta_type == IFLA_INFO_KIND)
        out->kind.assign(kind, strnlen(kind, RTA_PAYLOAD(each)));
    }
  });
}

// Whether that is the namespace this one calls `netns_id`.
bool is_netns(int fd, int netns_id) {
  Request request = {};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.netns);
  request.header.nlmsg_type = RTM_GETNSID;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  add(&request, NETNSA_FD, fd);
  int id = kHere;
  ask(request, sizeof request.netns, [&](unsigned short type, const rtattr* one) {
    if (type == NETNSA_NSID) id = number(one);
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
