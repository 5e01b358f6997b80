// SPDX-License-Identifier: BSD-2-Clause
#include "engine/bpf.h"

#include <cstring>

namespace vale {
namespace {

// Classes, sizes, modes, operations: the encoding of classic BPF.
enum : uint16_t {
  LD = 0,
  LDX = 1,
  ST = 2,
  STX = 3,
  ALU = 4,
  JMP = 5,
  RET = 6,
  MISC = 7,
  W = 0x00,
  H = 0x08,
  B = 0x10,
  IMM = 0x00,
  ABS = 0x20,
  IND = 0x40,
  MEM = 0x60,
  LEN = 0x80,
  MSH = 0xa0,
  ADD = 0x00,
  SUB = 0x10,
  MUL = 0x20,
  DIV = 0x30,
  OR = 0x40,
  AND = 0x50,
  LSH = 0x60,
  RSH = 0x70,
  NEG = 0x80,
  MOD = 0x90,
  XOR = 0xa0,
  JA = 0x00,
  JEQ = 0x10,
  JGT = 0x20,
  JGE = 0x30,
  JSET = 0x40,
  K = 0x00,
  X = 0x08,
  A = 0x10,
  TAX = 0x00,
  TXA = 0x80,
};
constexpr unsigned kWords = 16, kMost = 65536;

bool valid(const BpfInstruction& i, unsigned at, unsigned count) {
  const unsigned after = count - at - 1;  // instructions that follow
  switch (i.code & 7) {
    case LD:
    case LDX:
      return (i.code & 0xe0) != MEM || i.k < kWords;
    case ST:
    case STX:
      return i.k < kWords;
    case ALU:
      return !(((i.code & 0xf0) == DIV || (i.code & 0xf0) == MOD) && !(i.code & X) && i.k == 0);
    case JMP:
      return (i.code & 0xf0) == JA ? i.k < after : i.jt < after && i.jf < after;
    default:
      return true;
  }
}

uint32_t load32(const uint8_t* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return __builtin_bswap32(v);
}
uint32_t load16(const uint8_t* p) {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return __builtin_bswap16(v);
}

}  // namespace

bool Filter::set(const BpfInstruction* code, unsigned count) {
  if (count > kMost || (count != 0 && (code[count - 1].code & 7) != RET)) return false;
  for (unsigned i = 0; i < count; i++) {
    if (!valid(code[i], i, count)) return false;
  }
  code_.assign(code, code + count);
  return true;
}

uint32_t Filter::run(const uint8_t* p, uint32_t wire, uint32_t length) const {
  if (code_.empty()) return ~0u;
  uint32_t a = 0, x = 0, memory[kWords] = {};
  // Ends at a RET: the last instruction is one and every jump goes forward.
  for (const BpfInstruction* i = code_.data();; i++) {
    const uint32_t k = i->k;
    uint32_t at;
    switch (i->code) {
      case RET | K:
        return k;
      case RET | A:
        return a;
      case LD | W | ABS:
        if (k > length || length - k < 4) return 0;
        a = load32(p + k);
        break;
      case LD | H | ABS:
        if (k > length || length - k < 2) return 0;
        a = load16(p + k);
        break;
      case LD | B | ABS:
        if (k >= length) return 0;
        a = p[k];
        break;
      case LD | W | IND:
        at = x + k;
        if (at < x || at > length || length - at < 4) return 0;
        a = load32(p + at);
        break;
      case LD | H | IND:
        at = x + k;
        if (at < x || at > length || length - at < 2) return 0;
        a = load16(p + at);
        break;
      case LD | B | IND:
        at = x + k;
        if (at < x || at >= length) return 0;
        a = p[at];
        break;
      case LDX | B | MSH:
        if (k >= length) return 0;
        x = (p[k] & 15u) << 2;
        break;
      case LD | W | LEN:
        a = wire;
        break;
      case LDX | W | LEN:
        x = wire;
        break;
      case LD | IMM:
        a = k;
        break;
      case LDX | IMM:
        x = k;
        break;
      case LD | MEM:
        a = memory[k];
        break;
      case LDX | MEM:
        x = memory[k];
        break;
      case ST:
        memory[k] = a;
        break;
      case STX:
        memory[k] = x;
        break;
      case JMP | JA:
        i += k;
        break;
      case JMP | JEQ | K:
        i += a == k ? i->jt : i->jf;
        break;
      case JMP | JGT | K:
        i += a > k ? i->jt : i->jf;
        break;
      case JMP | JGE | K:
        i += a >= k ? i->jt : i->jf;
        break;
      case JMP | JSET | K:
        i += a & k ? i->jt : i->jf;
        break;
      case JMP | JEQ | X:
        i += a == x ? i->jt : i->jf;
        break;
      case JMP | JGT | X:
        i += a > x ? i->jt : i->jf;
        break;
      case JMP | JGE | X:
        i += a >= x ? i->jt : i->jf;
        break;
      case JMP | JSET | X:
        i += a & x ? i->jt : i->jf;
        break;
      case ALU | ADD | K:
        a += k;
        break;
      case ALU | SUB | K:
        a -= k;
        break;
      case ALU | MUL | K:
        a *= k;
        break;
      case ALU | DIV | K:
        a /= k;
        break;
      case ALU | MOD | K:
        a %= k;
        break;
      case ALU | AND | K:
        a &= k;
        break;
      case ALU | OR | K:
        a |= k;
        break;
      case ALU | XOR | K:
        a ^= k;
        break;
      case ALU | LSH | K:
        a = k < 32 ? a << k : 0;
        break;
      case ALU | RSH | K:
        a = k < 32 ? a >> k : 0;
        break;
      case ALU | ADD | X:
        a += x;
        break;
      case ALU | SUB | X:
        a -= x;
        break;
      case ALU | MUL | X:
        a *= x;
        break;
      case ALU | DIV | X:
        if (x == 0) return 0;
        a /= x;
        break;
      case ALU | MOD | X:
        if (x == 0) return 0;
        a %= x;
        break;
      case ALU | AND | X:
        a &= x;
        break;
      case ALU | OR | X:
        a |= x;
        break;
      case ALU | XOR | X:
        a ^= x;
        break;
      case ALU | LSH | X:
        a = x < 32 ? a << x : 0;
        break;
      case ALU | RSH | X:
        a = x < 32 ? a >> x : 0;
        break;
      case ALU | NEG:
        a = 0u - a;
        break;
      case MISC | TAX:
        x = a;
        break;
      case MISC | TXA:
        a = x;
        break;
      default:
        return 0;
    }
  }
}

}  // namespace vale
