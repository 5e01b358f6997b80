// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Small programs for the kernel, written as instructions and loaded through bpf(2): build one
//   with the namespace `op`, load it, attach it by a link.
// Owns. A Handle owns a descriptor of the kernel: program, map or link.
// Invariants. A link lives while its descriptor is open, so the kernel takes the program away when
//   the process dies, however it dies. Numbers newer than the headers one may build with stand here.
// Not here. What programs do (take_over.cc, xdp_socket.cc).
#pragma once

#include <linux/bpf.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace vale {

class Handle {
 public:
  Handle() = default;
  explicit Handle(int fd) : fd_(fd) {}
  Handle(Handle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Handle() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

namespace bpf {

constexpr uint32_t kXdp = 37;         // BPF_XDP
constexpr uint32_t kTcxIngress = 46;  // Linux 6.6
constexpr uint32_t kTcxEgress = 47;
constexpr uint32_t kFirst = 1u << 3;  // BPF_F_BEFORE nothing: run before all others
constexpr uint32_t kLast = 1u << 4;   // BPF_F_AFTER nothing

// Each returns an invalid handle with errno set when the kernel refuses: EPERM without CAP_BPF and
// CAP_NET_ADMIN in the first user namespace, EINVAL where it does not know the kind.
Handle load(uint32_t type, uint32_t attach_type, uint32_t flags, const bpf_insn* code,
            size_t count);
Handle attach_tcx(const Handle& program, int interface, uint32_t attach_type, uint32_t order);
// mode: XDP_FLAGS_DRV_MODE or XDP_FLAGS_SKB_MODE. EBUSY: the interface has an XDP program.
Handle attach_xdp(const Handle& program, int interface, uint32_t mode);
Handle make_xsk_map(uint32_t entries);
bool put(const Handle& map, uint32_t key, uint32_t value);

namespace op {

constexpr bpf_insn make(int code, int dst, int src, int off, int32_t imm) {
  bpf_insn one{};
  one.code = static_cast<uint8_t>(code);
  one.dst_reg = static_cast<uint8_t>(dst & 15);
  one.src_reg = static_cast<uint8_t>(src & 15);
  one.off = static_cast<int16_t>(off);
  one.imm = imm;
  return one;
}
constexpr bpf_insn move(int dst, int32_t value) {
  return make(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value);
}
constexpr bpf_insn copy(int dst, int src) {
  return make(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}
constexpr bpf_insn load32(int dst, int src, int off) {
  return make(BPF_LDX | BPF_MEM | BPF_W, dst, src, off, 0);
}
constexpr bpf_insn store32(int dst, int off, int src) {
  return make(BPF_STX | BPF_MEM | BPF_W, dst, src, off, 0);
}
constexpr bpf_insn skip_unless(int reg, int32_t value, int off) {  // 32 bits compared
  return make(BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, off, value);
}
constexpr bpf_insn call(int helper) { return make(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
constexpr bpf_insn exit() { return make(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

}  // namespace op
}  // namespace bpf
}  // namespace vale
