// SPDX-License-Identifier: BSD-2-Clause
#include "nic/bpf.h"

#include <sys/syscall.h>

#include <cerrno>
#include <cstring>

namespace vale::bpf {
namespace {

int call(int command, void* attributes, size_t bytes) {
  return static_cast<int>(syscall(SYS_bpf, command, attributes, bytes));
}

// The start of union bpf_attr for BPF_LINK_CREATE; what follows, for TCX, is where among others.
struct LinkCreate {
  uint32_t program;
  uint32_t interface;
  uint32_t attach_type;
  uint32_t flags;
  uint32_t relative;
  uint32_t padding;
  uint64_t revision;
};

Handle link(const Handle& program, int interface, uint32_t attach_type, uint32_t flags) {
  LinkCreate request = {};
  request.program = static_cast<uint32_t>(program.fd());
  request.interface = static_cast<uint32_t>(interface);
  request.attach_type = attach_type;
  request.flags = flags;
  return Handle(call(BPF_LINK_CREATE, &request, sizeof request));
}

}  // namespace

Handle load(uint32_t type, uint32_t attach_type, uint32_t flags, const bpf_insn* code,
            size_t count) {
  static const char licence[] = "Dual BSD/GPL";
  bpf_attr request;
  std::memset(&request, 0, sizeof request);
  request.prog_type = type;
  request.expected_attach_type = attach_type;
  request.prog_flags = flags;
  request.insns = reinterpret_cast<uint64_t>(code);
  request.insn_cnt = static_cast<uint32_t>(count);
  request.license = reinterpret_cast<uint64_t>(licence);
  std::memcpy(request.prog_name, "vale_wire", sizeof "vale_wire");
  return Handle(call(BPF_PROG_LOAD, &request, sizeof request));
}

Handle attach_tcx(const Handle& program, int interface, uint32_t attach_type, uint32_t order) {
  return link(program, interface, attach_type, order);
}

Handle attach_xdp(const Handle& program, int interface, uint32_t mode) {
  return link(program, interface, kXdp, mode);
}

Handle make_xsk_map(uint32_t entries) {
  bpf_attr request;
  std::memset(&request, 0, sizeof request);
  request.map_type = BPF_MAP_TYPE_XSKMAP;
  request.key_size = request.value_size = 4;
  request.max_entries = entries;
  return Handle(call(BPF_MAP_CREATE, &request, sizeof request));
}

bool put(const Handle& map, uint32_t key, uint32_t value) {
  bpf_attr request;
  std::memset(&request, 0, sizeof request);
  request.map_fd = static_cast<uint32_t>(map.fd());
  request.key = reinterpret_cast<uint64_t>(&key);
  request.value = reinterpret_cast<uint64_t>(&value);
  return call(BPF_MAP_UPDATE_ELEM, &request, sizeof request) == 0;
}

}  // namespace vale::bpf
