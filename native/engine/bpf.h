// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. set() checks a program that libpcap has compiled (classic BPF); run() judges a frame in place.
// Owns. A copy of the program.
// Invariants. What set() has accepted ends, and reads nothing outside the frame and its own scratch memory:
//   jumps go forward and stay inside, divisors that are constants are not 0. A load outside the frame is "no".
// Not here. Compiling (filter.h). The semantics are those of bpf(4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vale {

// As libpcap lays out a bpf_insn.
struct BpfInstruction {
  uint16_t code;
  uint8_t jt, jf;
  uint32_t k;
};

class Filter {
 public:
  // false: the program jumps, stores or divides where it must not; the old one stays.
  bool set(const BpfInstruction* code, unsigned count);
  // Bytes of the frame to keep, 0 = none of it. `length` bytes of `wire` are at hand.
  uint32_t run(const uint8_t* frame, uint32_t wire, uint32_t length) const;
  bool empty() const { return code_.empty(); }

 private:
  std::vector<BpfInstruction> code_;
};

}  // namespace vale
