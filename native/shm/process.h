// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A process that works in a runtime directory has a slot:
//   1. enter(): take a free slot with a new generation, create its lease file, lock it (F_SETLK).
//   2. Lock words in shared memory carry {slot, generation, thread}.
//   3. Whoever meets such a word long enough asks alive(): the kernel answers for the lease file.
//
// Owns. The lease file's descriptor, which keeps the lock: classic record locks are not inherited by
//   fork, vanish at exec and with the process whatever kills it, and mean the same in every pid
//   namespace. Any other descriptor of the own lease file, once closed, would drop it, so it is never
//   opened a second time.
//
// Invariants. A forked child has no identity (its page is wiped by the kernel) and must enter() anew
//   before it takes a lock. A slot is reused only after every lock word of its last owner was cleared.
//
// Not here. Clearing those words (switch/reap.h).
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include "shm/directory.h"

namespace vale {

class Process {
 public:
  Process() = default;
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Takes a slot; call under the directory lock. After a fork it may be called again in the child.
  Status enter(Directory& directory);
  // Gives the slot back; call under the directory lock, when no thread holds a lock word.
  void leave(Directory& directory);

  bool valid() const { return identity_ != nullptr && identity_->gen != 0; }
  uint32_t slot() const { return identity_->slot; }
  uint32_t gen() const { return identity_->gen; }

  // A lock word for this thread, different at each call from the last one (16 bits of sequence).
  uint64_t word(uint16_t sequence) const {
    if (thread_ == 0) [[unlikely]]
      thread_ = syscall(SYS_gettid) & 0xffff;
    return identity_->base | static_cast<uint64_t>(thread_) << 16 | sequence;
  }

  // The upper half of every lock word of this process; 0 when it has no identity.
  uint32_t identity() const { return valid() ? static_cast<uint32_t>(identity_->base >> 32) : 0; }

  static uint32_t word_slot(uint64_t w) { return static_cast<uint32_t>(w >> 52); }
  static uint32_t word_gen(uint64_t w) { return static_cast<uint32_t>(w >> 32) & 0xfffff; }
  // Whether the owner of a word is this very thread.
  bool is_self(uint64_t w) const { return (w ^ word(0)) >> 16 == 0; }

  // Whether the process that owns this lock word still runs (or is stopped). A few microseconds.
  bool alive(const Directory& directory, uint64_t word) const;
  bool alive(const Directory& directory, uint32_t slot, uint32_t gen) const;

  static void lease_name(char (&name)[32], uint32_t slot, uint32_t gen);

 private:
  struct Identity {
    uint32_t slot, gen;
    uint64_t base;
  };
  // Of the thread that asks. Plainly initialised and in static storage, in the addon too: each sync reads it.
  [[gnu::tls_model("initial-exec")]] static inline thread_local uint32_t thread_ = 0;
  Identity* identity_ = nullptr;
  int lease_ = -1;
};

}  // namespace vale
