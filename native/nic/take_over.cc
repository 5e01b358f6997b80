// SPDX-License-Identifier: BSD-2-Clause
#include "nic/take_over.h"

#include <cerrno>
#include <cstring>

#include "nic/netfilter.h"

namespace vale {
namespace {

using namespace bpf::op;

constexpr int kMark = offsetof(__sk_buff, mark);
constexpr int kRedirect = BPF_FUNC_redirect;
constexpr int kNext = -1, kPass = 0, kDrop = 2;  // TCX_*
constexpr int kToIngress = 1;                    // BPF_F_INGRESS
constexpr int32_t kHost = static_cast<int32_t>(kHostMark);

struct Attachment {
  int interface;
  uint32_t where;
  uint32_t order;
  const bpf_insn* code;
  size_t count;
};

int attach(const Attachment& one, Handle* out) {
  const Handle program = bpf::load(BPF_PROG_TYPE_SCHED_CLS, one.where, 0, one.code, one.count);
  if (!program.valid()) return errno;
  Handle link = bpf::attach_tcx(program, one.interface, one.where, one.order);
  if (!link.valid()) return errno;
  *out = std::move(link);
  return 0;
}

template <size_t N>
Attachment at(int interface, uint32_t where, uint32_t order, const bpf_insn (&code)[N]) {
  return {interface, where, order, code, N};
}

}  // namespace

Status TakeOver::take(const Interface& interface) {
  // What whoever has the host side sends to the stack goes on to the programs that follow.
  static const bpf_insn received[] = {load32(0, 1, kMark), skip_unless(0, kHost, 2),
                                      move(0, kNext),      exit(),
                                      move(0, kDrop),      exit()};
  static const bpf_insn sent[] = {move(0, kDrop), exit()};
  int err = attach(at(interface.index, bpf::kTcxIngress, bpf::kLast, received), &links_[0]);
  if (err == 0) err = attach(at(interface.index, bpf::kTcxEgress, bpf::kLast, sent), &links_[1]);
  if (err == 0) {
    means_ = "tcx";
    return Status::good();
  }
  for (Handle& link : links_) link = Handle();
  const int second = netfilter_take(interface, &table_);
  if (second == 0) {
    means_ = "nftables";
    return Status::good();
  }
  return Status::fail(second, "bpf: %s; nftables: %s", std::strerror(err), std::strerror(second));
}

Status TakeOver::take_with_host(const Interface& interface, int tap) {
  const bpf_insn received[] = {load32(0, 1, kMark), skip_unless(0, kHost, 4),
                               move(2, 0),          store32(1, kMark, 2),
                               move(0, kPass),      exit(),
                               move(0, kDrop),      exit()};
  const bpf_insn sent[] = {move(2, kHost), store32(1, kMark, 2), move(1, tap),
                           move(2, 0),     call(kRedirect),      exit()};
  const bpf_insn to_stack[] = {move(2, kHost),      store32(1, kMark, 2), move(1, interface.index),
                               move(2, kToIngress), call(kRedirect),      exit()};
  // What the stack itself has to say on the TAP (it is an interface like any other) stays there.
  const bpf_insn from_stack[] = {load32(0, 1, kMark), skip_unless(0, kHost, 2),
                                 move(0, kPass),      exit(),
                                 move(0, kDrop),      exit()};
  const Attachment all[] = {
      at(tap, bpf::kTcxEgress, bpf::kFirst, from_stack),
      at(tap, bpf::kTcxIngress, bpf::kFirst, to_stack),
      at(interface.index, bpf::kTcxIngress, bpf::kFirst, received),
      at(interface.index, bpf::kTcxEgress, bpf::kFirst, sent),
  };
  unsigned i = 0;
  for (const Attachment& one : all) {
    const int err = attach(one, &links_[i++]);
    if (err == 0) continue;
    for (Handle& link : links_) link = Handle();
    return Status::fail(err, "bpf: %s", std::strerror(err));
  }
  means_ = "tcx";
  return Status::good();
}

}  // namespace vale
