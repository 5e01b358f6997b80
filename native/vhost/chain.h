// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Descriptors of a guest's, one by one, as a chain of buffers in its memory:
//   1. begin() an empty chain; piece() adds what a descriptor tells of.
//   2. table(): where an indirect one's table lies.
//   plain(): a chain of one buffer at less expense, only(): out of a table; whatever is none goes by 1.
//   RingParts: where a ring of descriptors lies, of either layout.
// Owns. Nothing.
// Invariants. A chain that is good lies in the guest's memory, what is to be read in front of what is to be
//   written, and is no longer than it can be. Else broken() keeps what is wrong with it.
// Not here. Where descriptors come from (split_ring.h, packed_ring.h).
#pragma once

#include <cstdint>

#include "vhost/guest_memory.h"
#include "vhost/protocol.h"

namespace vale::vhost {

struct Piece {
  char* data;
  uint32_t bytes;
  uint64_t guest;  // its address there, for the log
};

struct Chain {
  static constexpr uint32_t kMost = 1024;

  uint16_t id;                  // by which it is given back
  uint16_t slots;               // of a packed ring, that it takes
  uint32_t readable, writable;  // pieces: [0, readable), and `writable` more behind them
  uint32_t readable_bytes, writable_bytes;
  Piece piece[kMost];
};

// A chain of one buffer.
struct Plain {
  static constexpr uint32_t kMost = 64;  // are looked at at once
  // Frames that are moved one by one after one that had to be: as a rule it is not the only one.
  static constexpr uint32_t kSingly = 8;

  char* data;
  uint32_t bytes;
  uint16_t id;  // of the chain
};

enum class Take { none, chain, broken };

class ChainReader {
 public:
  void set(GuestMemory* memory, bool indirect) {
    memory_ = memory;
    indirect_ = indirect;
  }
  GuestMemory& memory() const { return *memory_; }

  static void begin(Chain* out) {
    out->readable = out->writable = out->readable_bytes = out->writable_bytes = 0;
  }
  // A buffer may lie across regions that are neighbours in the guest. False: broken.
  bool piece(uint64_t address, uint32_t bytes, uint16_t flags, Chain* out);
  // Of a descriptor with kIndirectTable: its first one, and how many; null: broken.
  const char* table(uint64_t address, uint32_t bytes, uint16_t flags, uint32_t* count);

  // False: it is no such chain, or a wrong one.
  bool plain(uint64_t address, uint32_t bytes, uint16_t flags, bool writable, Plain* out) const {
    if ((flags & (kNext | kWritable | kIndirectTable)) != (writable ? kWritable : 0)) return false;
    out->data = memory_->at(address, bytes);
    out->bytes = bytes;
    return out->data != nullptr;
  }
  // The one descriptor of a table, read once. False: it is no such table, or a wrong one.
  bool only(uint64_t address, uint32_t bytes, uint16_t flags, uint64_t descriptor[2]) const;

  bool broken(const char* why) {
    trouble_ = why;
    return false;
  }
  const char* trouble() const { return trouble_; }

 private:
  GuestMemory* memory_ = nullptr;
  bool indirect_ = false;
  const char* trouble_ = "";
};

// The parts of a ring, each of so many bytes.
struct RingParts {
  uint64_t descriptor_bytes, available_bytes, used_bytes;
  char *descriptors = nullptr, *available = nullptr, *used = nullptr;

  // Null: they lie in the memory, aligned and not one over the other.
  const char* find(const RingAddress& address, const GuestMemory& memory,
                   uintptr_t available_align);
};

}  // namespace vale::vhost
