// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The device's side of a virtqueue, split or packed:
//   1. start(): find its three parts in the guest's memory.
//   2. take(): the next chain of buffers that the guest makes available; every descriptor is read once
//      and checked. rewind() gives back what was taken and not yet used.
//   3. use(): a chain is done with, in the order in which chains were taken.
//      look() shows chains of one buffer each that come next, as far as they are such, and takes none; finish()
//      takes and uses the first of those.
//   4. publish(): the guest sees what was used, and is interrupted if it asked for that.
//   5. want_kicks(): whether the guest is to say when it makes more available.
//
// Owns. Positions in the ring; the descriptors of its events. Not the memory.
// Invariants. Whatever the guest writes, a take() ends, and what it yields lies in the guest's memory.
//   A chain that breaks the rules makes the queue fail() for good, with what is wrong.
//   One thread at a time.
// Not here. The two layouts (split_ring.h, packed_ring.h), what is in the buffers (to_guest.h,
//   from_guest.h), messages (device.h).
#pragma once

#include "nic/bpf.h"
#include "vhost/bell.h"
#include "vhost/packed_ring.h"
#include "vhost/split_ring.h"

namespace vale::vhost {

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
  // Whether what is written into the ring is logged, and where it lies then.
  void set_logging(const RingAddress& address);
  // What get_vring_base answers.
  uint32_t stop();
  bool running() const { return running_; }
  uint32_t size() const { return setup_.size; }

  // Whether there is more than when take() last looked.
  bool more() const { return running_ && (packed_ ? packed_ring_.more() : split_ring_.more()); }
  Take take(Chain* out) {
    if (!running_) return Take::none;
    const Take taken = packed_ ? packed_ring_.take(reader_, out) : split_ring_.take(reader_, out);
    if (taken == Take::broken) fail(reader_.trouble());
    return taken;
  }
  uint32_t cursor() const { return packed_ ? packed_ring_.cursor() : split_ring_.cursor(); }
  void rewind(uint32_t to) { packed_ ? packed_ring_.rewind(to) : split_ring_.rewind(to); }
  // Chain::id and Chain::slots; bytes that were written into it.
  void use(uint16_t id, uint16_t slots, uint32_t written) {
    packed_ ? packed_ring_.use(id, slots, written) : split_ring_.use(id, written);
  }
  // At most `most`. It breaks nothing: take() says what is wrong with what it stops at.
  uint32_t look(bool writable, Plain* out, uint32_t most) const {
    if (!running_) return 0;
    return packed_ ? packed_ring_.look(reader_, writable, out, most)
                   : split_ring_.look(reader_, writable, out, most);
  }
  // writable: their `bytes` are those that were written.
  void finish(const Plain* chains, uint32_t count, bool writable) {
    packed_ ? packed_ring_.finish(chains, count, writable)
            : split_ring_.finish(chains, count, writable);
  }
  void publish();
  // The guest looks at what was used, whatever was shown to it before.
  void interrupt();
  void want_kicks(bool wanted) {
    if (running_) packed_ ? packed_ring_.want_kicks(wanted) : split_ring_.want_kicks(wanted);
  }
  // Ends it: the guest has broken the rules.
  void fail(const char* why) {
    trouble_ = why;
    running_ = false;
  }
  // What was wrong.
  const char* trouble() const { return trouble_; }

  Handle kick, call, error;  // eventfds; not valid: the other side does without
  Bell* bell = nullptr;      // of whoever gives it a call

 private:
  ChainReader reader_;
  QueueSetup setup_;
  bool running_ = false;
  bool packed_ = false, events_ = false;
  SplitRing split_ring_;
  PackedRing packed_ring_;
  const char* trouble_ = "";
};

}  // namespace vale::vhost
