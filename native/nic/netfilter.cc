// SPDX-License-Identifier: BSD-2-Clause
#include "nic/netfilter.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "nic/take_over.h"

namespace vale {
namespace {

constexpr uint32_t kOwned = 2;       // NFT_TABLE_F_OWNER
constexpr uint32_t kEgressHook = 1;  // NF_NETDEV_EGRESS

// Netlink messages, one after the other, with nested attributes.
class Batch {
 public:
  void begin(uint16_t type, uint16_t flags, uint8_t family, uint16_t resource) {
    message_ = used_;
    nlmsghdr* header = reinterpret_cast<nlmsghdr*>(put(nullptr, sizeof(nlmsghdr)));
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    header->nlmsg_seq = ++sequence_;
    const nfgenmsg general = {family, NFNETLINK_V0, htons(resource)};
    put(&general, sizeof general);
  }
  void end() {
    reinterpret_cast<nlmsghdr*>(bytes_ + message_)->nlmsg_len =
        static_cast<uint32_t>(used_ - message_);
  }
  void add(uint16_t type, const void* data, size_t bytes) {
    const nlattr head = {static_cast<uint16_t>(sizeof(nlattr) + bytes), type};
    put(&head, sizeof head);
    put(data, bytes);
  }
  void text(uint16_t type, const char* value) { add(type, value, std::strlen(value) + 1); }
  void number(uint16_t type, uint32_t value) {
    const uint32_t big = htonl(value);
    add(type, &big, sizeof big);
  }
  template <typename F>
  void nest(uint16_t type, F body) {
    const size_t start = used_;
    add(static_cast<uint16_t>(type | NLA_F_NESTED), nullptr, 0);
    body();
    reinterpret_cast<nlattr*>(bytes_ + start)->nla_len = static_cast<uint16_t>(used_ - start);
  }
  const char* data() const { return bytes_; }
  size_t size() const { return used_; }
  uint32_t last() const { return sequence_; }

 private:
  char* put(const void* data, size_t bytes) {
    char* to = bytes_ + used_;
    if (data != nullptr) std::memcpy(to, data, bytes);
    used_ += NLMSG_ALIGN(bytes);
    return to;
  }
  alignas(8) char bytes_[4096] = {};
  size_t used_ = 0, message_ = 0;
  uint32_t sequence_ = 0;
};

uint16_t of(int message) { return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message); }

void add_chain(Batch& batch, const char* table, const char* name, uint32_t hook,
               const char* interface) {
  batch.begin(of(NFT_MSG_NEWCHAIN), NLM_F_CREATE | NLM_F_ACK, NFPROTO_NETDEV, 0);
  batch.text(NFTA_CHAIN_TABLE, table);
  batch.text(NFTA_CHAIN_NAME, name);
  batch.nest(NFTA_CHAIN_HOOK, [&] {
    batch.number(NFTA_HOOK_HOOKNUM, hook);
    batch.number(NFTA_HOOK_PRIORITY, 0);
    batch.text(NFTA_HOOK_DEV, interface);
  });
  batch.number(NFTA_CHAIN_POLICY, NF_ACCEPT);
  batch.text(NFTA_CHAIN_TYPE, "filter");
  batch.end();
}

template <typename F>
void expression(Batch& batch, const char* name, F body) {
  batch.nest(NFTA_LIST_ELEM, [&] {
    batch.text(NFTA_EXPR_NAME, name);
    batch.nest(NFTA_EXPR_DATA, body);
  });
}

void value(Batch& batch, uint16_t attribute, uint32_t number) {
  batch.nest(attribute, [&] { batch.add(NFTA_DATA_VALUE, &number, sizeof number); });
}

// What `then` says, for frames of which `key` is that number.
template <typename F>
void add_rule(Batch& batch, const char* table, const char* chain, uint32_t key, uint32_t number,
              F then) {
  batch.begin(of(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, NFPROTO_NETDEV, 0);
  batch.text(NFTA_RULE_TABLE, table);
  batch.text(NFTA_RULE_CHAIN, chain);
  batch.nest(NFTA_RULE_EXPRESSIONS, [&] {
    expression(batch, "meta", [&] {
      batch.number(NFTA_META_KEY, key);
      batch.number(NFTA_META_DREG, NFT_REG_1);
    });
    expression(batch, "cmp", [&] {
      batch.number(NFTA_CMP_SREG, NFT_REG_1);
      batch.number(NFTA_CMP_OP, NFT_CMP_EQ);
      value(batch, NFTA_CMP_DATA, number);
    });
    then();
  });
  batch.end();
}

void add_verdict(Batch& batch, uint32_t verdict) {
  expression(batch, "immediate", [&] {
    batch.number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    batch.nest(NFTA_IMMEDIATE_DATA, [&] {
      batch.nest(NFTA_DATA_VERDICT, [&] { batch.number(NFTA_VERDICT_CODE, verdict); });
    });
  });
}

// Frames with kOwnMark go on, without it.
void add_exception(Batch& batch, const char* table, const char* chain) {
  add_rule(batch, table, chain, NFT_META_MARK, kOwnMark, [&] {
    expression(batch, "immediate", [&] {
      batch.number(NFTA_IMMEDIATE_DREG, NFT_REG_1);
      value(batch, NFTA_IMMEDIATE_DATA, 0);
    });
    expression(batch, "meta", [&] {
      batch.number(NFTA_META_KEY, NFT_META_MARK);
      batch.number(NFTA_META_SREG, NFT_REG_1);
    });
    add_verdict(batch, NF_ACCEPT);
  });
}

// The first error among the answers, up to the one to message `last`.
int answers(int fd, uint32_t last) {
  for (;;) {
    alignas(8) char buffer[8192];
    ssize_t left = recv(fd, buffer, sizeof buffer, 0);
    if (left < 0) return errno;
    for (nlmsghdr* one = reinterpret_cast<nlmsghdr*>(buffer);
         NLMSG_OK(one, static_cast<size_t>(left)); one = NLMSG_NEXT(one, left)) {
      if (one->nlmsg_type != NLMSG_ERROR) continue;
      const nlmsgerr* error = static_cast<const nlmsgerr*>(NLMSG_DATA(one));
      if (error->error != 0) return -error->error;
      if (one->nlmsg_seq >= last) return 0;
    }
  }
}

void begin(Batch& batch) {
  batch.begin(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  batch.end();
}

void end(Batch& batch) {
  batch.begin(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  batch.end();
}

// The hooks go by the interface's name, in new kernels also when another one has it by now: what is dropped
// goes by the index.
void add_table(Batch& batch, const char* table, const char* interface, int index) {
  batch.begin(of(NFT_MSG_NEWTABLE), NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, NFPROTO_NETDEV, 0);
  batch.text(NFTA_TABLE_NAME, table);
  batch.number(NFTA_TABLE_FLAGS, kOwned);
  batch.end();
  add_chain(batch, table, "received", NF_NETDEV_INGRESS, interface);
  add_chain(batch, table, "sent", kEgressHook, interface);
  add_exception(batch, table, "sent");
  const auto drop = [&] { add_verdict(batch, NF_DROP); };
  add_rule(batch, table, "received", NFT_META_IIF, static_cast<uint32_t>(index), drop);
  add_rule(batch, table, "sent", NFT_META_OIF, static_cast<uint32_t>(index), drop);
}

// A socket that speaks netfilter's netlink.
struct Conversation {
  Handle socket;
  uint32_t id = 0;  // of it, among those of the network namespace

  // 0 or an errno
  int open() {
    socket = Handle(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!socket.valid()) return errno;
    sockaddr_nl self = {};
    self.nl_family = AF_NETLINK;
    socklen_t bytes = sizeof self;
    if (bind(socket.fd(), reinterpret_cast<sockaddr*>(&self), bytes) != 0 ||
        getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&self), &bytes) != 0) {
      return errno;
    }
    // A lost answer must not hold an open up for ever.
    const timeval patience = {5, 0};
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    id = self.nl_pid;
    return 0;
  }

  // The first error among the answers, up to the one to message `last`.
  int say(const Batch& batch, uint32_t last) {
    if (send(socket.fd(), batch.data(), batch.size(), 0) < 0) return errno;
    return answers(socket.fd(), last);
  }
};

}  // namespace

int netfilter_take(const Interface& interface, Handle* out) {
  Conversation with;
  if (const int err = with.open()) return err;
  char table[64];
  std::snprintf(table, sizeof table, "vale_%d_%u", interface.index, with.id);
  Batch batch;
  begin(batch);
  add_table(batch, table, interface.name.c_str(), interface.index);
  const uint32_t last = batch.last();
  end(batch);
  if (const int err = with.say(batch, last)) return err;
  *out = std::move(with.socket);
  return 0;
}

int netfilter_probe() {
  Conversation with;
  if (const int err = with.open()) return err;
  char table[64], nobody[80];
  std::snprintf(table, sizeof table, "vale_probe_%u", with.id);
  std::snprintf(nobody, sizeof nobody, "%s_", table);
  Batch batch;
  begin(batch);
  add_table(batch, table, "lo", 0);
  const uint32_t last = batch.last();
  // There is no such table: with this the kernel takes back all of it.
  batch.begin(of(NFT_MSG_DELTABLE), NLM_F_ACK, NFPROTO_NETDEV, 0);
  batch.text(NFTA_TABLE_NAME, nobody);
  batch.end();
  end(batch);
  return with.say(batch, last);
}

}  // namespace vale
