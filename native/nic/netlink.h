// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What the kernel says of network interfaces and routes, through rtnetlink(7):
//   1. ask() sends one request and hands over its one answer; dump() all there is of a kind.
//   2. attributes() walks what a message says behind its fixed head; nested() what an attribute holds.
// Owns. Nothing. Invariants. An attribute that is shorter than what is wanted of it reads as 0.
// Not here. What attributes mean.
#pragma once

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "nic/bpf.h"

namespace vale::netlink {

struct Attribute {
  unsigned short type;
  const char* data;
  size_t bytes;

  template <typename T>
  T as() const {
    T value = {};
    if (bytes >= sizeof value) std::memcpy(&value, data, sizeof value);
    return value;
  }
  std::string text() const { return std::string(data, strnlen(data, bytes)); }
};

// Calls each(Attribute) for those in `bytes` bytes.
template <typename F>
void walk(const char* at, size_t bytes, F each) {
  int left = static_cast<int>(bytes);
  for (const rtattr* one = reinterpret_cast<const rtattr*>(at); RTA_OK(one, left);
       one = RTA_NEXT(one, left))
    each(Attribute{one->rta_type, static_cast<const char*>(RTA_DATA(one)), RTA_PAYLOAD(one)});
}

template <typename F>
void nested(const Attribute& outer, F each) {
  walk(outer.data, outer.bytes, each);
}

template <typename Head, typename F>
void attributes(const nlmsghdr* message, F each) {
  if (message->nlmsg_len < NLMSG_SPACE(sizeof(Head))) return;
  walk(static_cast<const char*>(NLMSG_DATA(message)) + NLMSG_ALIGN(sizeof(Head)),
       message->nlmsg_len - NLMSG_SPACE(sizeof(Head)), each);
}

template <typename Head>
struct Request {
  nlmsghdr header = {};
  Head head = {};
  char room[64] = {};

  explicit Request(uint16_t type, uint16_t flags = 0) {
    header.nlmsg_len = NLMSG_LENGTH(sizeof head);
    header.nlmsg_type = type;
    header.nlmsg_flags = NLM_F_REQUEST | flags;
  }
  void add(uint16_t type, int value) {
    rtattr* one =
        reinterpret_cast<rtattr*>(reinterpret_cast<char*>(this) + NLMSG_ALIGN(header.nlmsg_len));
    one->rta_type = type;
    one->rta_len = RTA_LENGTH(sizeof value);
    std::memcpy(RTA_DATA(one), &value, sizeof value);
    header.nlmsg_len = NLMSG_ALIGN(header.nlmsg_len) + one->rta_len;
  }
};

// each(Attribute) for the answer's. 0 or an errno.
template <typename Head, typename F>
int ask(const Request<Head>& request, F each) {
  const Handle fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  alignas(8) char buffer[16 << 10];
  if (!fd.valid() || send(fd.fd(), &request, request.header.nlmsg_len, 0) < 0) return errno;
  const ssize_t got = recv(fd.fd(), buffer, sizeof buffer, 0);
  if (got < 0) return errno;
  const nlmsghdr* answer = reinterpret_cast<const nlmsghdr*>(buffer);
  if (!NLMSG_OK(answer, static_cast<size_t>(got))) return EPROTO;
  if (answer->nlmsg_type == NLMSG_ERROR)
    return -static_cast<const nlmsgerr*>(NLMSG_DATA(answer))->error;
  attributes<Head>(answer, each);
  return 0;
}

// each(message) for every one of a type, RTM_GET…; false when the kernel does not say all.
template <typename Head, typename F>
bool dump(uint16_t type, F each) {
  const Handle fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  const Request<Head> request(type, NLM_F_DUMP);
  if (!fd.valid() || send(fd.fd(), &request, request.header.nlmsg_len, 0) < 0) return false;
  std::vector<char> buffer(64 << 10);
  for (;;) {
    ssize_t got = recv(fd.fd(), buffer.data(), buffer.size(), 0);
    if (got <= 0) return false;
    for (const nlmsghdr* one = reinterpret_cast<const nlmsghdr*>(buffer.data());
         NLMSG_OK(one, static_cast<size_t>(got)); one = NLMSG_NEXT(one, got)) {
      if (one->nlmsg_type == NLMSG_DONE) return true;
      if (one->nlmsg_type == NLMSG_ERROR) return false;
      each(one);
    }
  }
}

}  // namespace vale::netlink
