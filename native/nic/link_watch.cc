// SPDX-License-Identifier: BSD-2-Clause
#include "nic/link_watch.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <poll.h>

#include "nic/netlink.h"

namespace vale {
namespace {

constexpr int kNewNamespace = 45;  // IFLA_NEW_NETNSID, Linux 5.1
// It says so once nobody looks at the interface any more, which a busy machine takes its time for.
constexpr int kMomentMs = 1000;
constexpr uint32_t kType = offsetof(nlmsghdr, nlmsg_type);
constexpr uint32_t kIndex = NLMSG_HDRLEN + offsetof(ifinfomsg, ifi_index);

}  // namespace

void LinkWatch::open(int index) {
  Handle fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  // Only the end of this one wakes anybody or takes room. Loads are in network order.
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kType),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELLINK), 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIndex),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(static_cast<uint32_t>(index)), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, ~0u),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog filter = {sizeof code / sizeof *code, code};
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (fd.valid() &&
      setsockopt(fd.fd(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0 &&
      bind(fd.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    socket_ = std::move(fd);
  }
}

bool LinkWatch::moved() {
  pollfd wait = {socket_.fd(), POLLIN, 0};
  if (!socket_.valid() || poll(&wait, 1, kMomentMs) <= 0) return false;
  alignas(8) char buffer[16 << 10];
  for (ssize_t got; (got = recv(socket_.fd(), buffer, sizeof buffer, 0)) > 0;) {
    const nlmsghdr* message = reinterpret_cast<const nlmsghdr*>(buffer);
    if (!NLMSG_OK(message, static_cast<size_t>(got))) continue;
    bool new_namespace = false;
    netlink::attributes<ifinfomsg>(message, [&](const netlink::Attribute& one) {
      new_namespace |= one.type == kNewNamespace;
    });
    if (new_namespace) return true;
  }
  return false;
}

}  // namespace vale
