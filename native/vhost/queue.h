// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The device's side of a virtqueue:
//   1. start(): find its three parts in the guest's memory.
//   2. take(): the next chain of buffers that the guest makes available; every descriptor is read once
//      and checked. rewind() gives back what was taken and not yet used.
//   3. use(): a chain is done with, in the order in which chains were taken.
//   4. publish(): the guest sees what was used, and is interrupted if it asked for that.
//   5. want_kicks(): whether the guest is to say when it makes more available.
//
// Owns. Positions in the ring; the descriptors of its events. Not the memory.
// Invariants. Whatever the guest writes, a take() ends, and what it yields lies in the guest's memory.
//   A chain that breaks the rules makes the queue fail() for good, with what is wrong.
//   One thread at a time.
// Not here. What is in the buffers (to_guest.h, from_guest.h), messages (device.h).
#pragma once

#include <cstdint>

#include "nic/bpf.h"
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
  uint32_t readable, writable;  // pieces: [0, readable), and `writable` more behind them
  uint32_t readable_bytes, writable_bytes;
  Piece piece[kMost];
};

enum class Take { none, chain, broken };

// What messages have said of a queue.
struct QueueSetup {
  uint32_t size = 0;
  RingAddress address = {};
  bool addressed = false;
  uint32_t base = 0;
  bool enabled = false;
};

class Queue {
 public:
  // Null: it runs; else what is wrong. `memory` stays the caller's.
  const char* start(const QueueSetup& setup, GuestMemory* memory, uint64_t features);
  // The same places again, after the memory was mapped anew.
  const char* relocate();
  // Whether the used ring is logged, and where it lies then.
  void set_logging(const RingAddress& address) { setup_.address = address; }
  // What get_vring_base answers.
  uint32_t stop();
  bool running() const { return descriptors_ != nullptr; }
  uint32_t size() const { return size_; }

  // Whether there is more than when take() last looked.
  bool more() const;
  Take take(Chain* out);
  uint16_t cursor() const { return next_; }
  void rewind(uint16_t to) { next_ = to; }
  void use(uint16_t id, uint32_t written);  // Chain::id
  void publish();
  void want_kicks(bool wanted);
  // Ends it: the guest has broken the rules.
  void fail(const char* why) {
    trouble_ = why;
    descriptors_ = nullptr;
  }
  // What was wrong.
  const char* trouble() const { return trouble_; }

  Handle kick, call, error;  // eventfds; not valid: the other side does without

 private:
  bool walk(uint16_t head, Chain* out);
  bool table(uint64_t address, uint64_t bytes, uint32_t* count, const SplitDescriptor** out);
  bool piece(const SplitDescriptor& d, Chain* out);
  bool broken(const char* why) {
    trouble_ = why;
    return false;
  }
  bool wants_interrupt(uint16_t before, uint16_t now) const;
  void log_used(uint64_t offset, uint64_t bytes);

  GuestMemory* memory_ = nullptr;
  QueueSetup setup_;
  uint32_t size_ = 0;
  bool events_ = false, indirect_ = false;

  SplitDescriptor* descriptors_ = nullptr;
  AvailableRing* available_ = nullptr;
  UsedRing* used_ = nullptr;
  uint16_t next_ = 0;        // to be taken
  uint16_t seen_ = 0;        // what the guest had made available when that was last looked at
  uint16_t used_index_ = 0;  // of the next element of the used ring
  uint16_t shown_ = 0;       // as the guest sees it
  bool told_ = false;        // an interrupt was considered since the start
  bool kicks_ = true;
  const char* trouble_ = "";
};

}  // namespace vale::vhost
