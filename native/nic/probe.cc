// SPDX-License-Identifier: BSD-2-Clause
#include "nic/probe.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/socket.h>

#include <cerrno>
#include <climits>

#include "nic/bpf.h"
#include "nic/netfilter.h"

namespace vale {
namespace {

int error_of(const Handle& handle) { return handle.valid() ? 0 : errno; }

int socket_error(int family) {
  return error_of(Handle(socket(family, SOCK_RAW | SOCK_CLOEXEC, 0)));
}

}  // namespace

WireProbe probe_wires() {
  WireProbe probe;
  probe.packet_socket = socket_error(AF_PACKET);
  probe.xdp_socket = socket_error(AF_XDP);
  probe.netfilter_table = netfilter_probe();
  probe.tap_device = error_of(Handle(open("/dev/net/tun", O_RDWR | O_CLOEXEC)));

  static const bpf_insn drop[] = {bpf::op::move(0, 2), bpf::op::exit()};
  const Handle program = bpf::load(BPF_PROG_TYPE_SCHED_CLS, bpf::kTcxIngress, 0, drop, 2);
  probe.bpf_program = probe.tcx_link = error_of(program);
  if (!program.valid()) return probe;
  // No interface has this index: a kernel that knows the kind of link says so.
  const Handle link = bpf::attach_tcx(program, INT_MAX, bpf::kTcxIngress, bpf::kLast);
  const int error = error_of(link);
  probe.tcx_link = error == ENODEV ? 0 : error;
  return probe;
}

}  // namespace vale
