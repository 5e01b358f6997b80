// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. move() copies the frames of an rx ring of a port into a guest's receive queue:
//   1. look at the frame's header; one that asks for what the guest has not agreed to is finished here:
//      its checksum completed, a super-frame cut (switch/convert.h);
//      Frames that are as plain as the guest's buffers are moved many at a time (plain.h).
//   2. take as many chains as it needs (one, without mergeable buffers), fill them, use them;
//   3. release the frame's slots. The caller syncs the port, and publishes the queue.
//   offer() fills chains with a frame that is in no ring (crossing.h); settle() uses them, or gives them back.
// Owns. What is left of a frame that is being cut.
// Invariants. A guest gets a frame whole or not at all. Without buffers of the guest's, frames wait in
//   the ring: the switch drops what finds that full, and counts it.
// Not here. The ring's sync, the queue's positions (queue.h).
#pragma once

#include <vector>

#include "ring_view.h"
#include "switch/convert.h"
#include "vhost/counts.h"
#include "vhost/plain.h"
#include "vhost/queue.h"
#include "vhost/rules.h"

namespace vale::vhost {

class ToGuest {
 public:
  struct Moved {
    uint32_t frames = 0;   // released, whatever became of them
    bool blocked = false;  // the next one waits for buffers
    bool broken = false;   // the queue has failed
  };
  Moved move(const RingView& from, Queue& queue, GuestMemory& memory, const Rules& rules,
             uint32_t most, Counts* counts);
  // A frame from elsewhere, whose header the guest takes as it is. False: a frame of the ring's is under way,
  // there are no buffers for it now, or the queue has failed.
  bool offer(Queue& queue, GuestMemory& memory, const Rules& rules, const VnetHeader& vnet,
             const Converter::Pieces& frame);
  // Those since the last call are the guest's with the queue's next publish(), or were never there.
  void settle(Queue& queue, bool keep);
  // The buffers of one chain each that frames from elsewhere may be put into now.
  uint32_t look(const Queue& queue, const GuestMemory& memory, const Rules& rules, Plain* out,
                uint32_t most) const {
    const bool plain = !begun_ && heads_.empty() && !(memory.logs() && rules.logs());
    return plain ? queue.look(true, out, most) : 0;
  }
  // What was being cut is forgotten: it was a frame for another guest, or of another ring.
  void reset() { begun_ = false; }

 private:
  enum class Put { done, blocked, never, broken };

  uint32_t move_plain(const RingView& from, Queue& queue, const GuestMemory& memory,
                      const Rules& rules, uint32_t most, Counts* counts);
  bool gather(const RingView& from);
  bool begin(const Rules& rules, Counts* counts);
  Put deliver(Queue& queue, GuestMemory& memory, const Rules& rules, Counts* counts);
  Put put(Queue& queue, GuestMemory& memory, const Rules& rules, const VnetHeader& vnet,
          const Converter::Pieces& frame);
  void use(Queue& queue);
  void fill(const char* header, uint32_t header_bytes, uint32_t bytes);
  void log(GuestMemory& memory, uint32_t bytes) const;

  struct Head {
    uint16_t id, slots;
    uint32_t written;
  };

  // The frame at the ring's head.
  uint32_t slots_ = 0, count_ = 0, bytes_ = 0;
  Fragment fragment_[NETMAP_MAX_FRAGS];
  VnetHeader vnet_ = {};
  bool begun_ = false;  // it was looked at, and is being delivered
  Converter converter_;
  uint32_t left_ = 0;   // frames that become of it
  bool waits_ = false;  // the first of those is next_
  Converter::Pieces next_ = {};

  Chain chain_;
  std::vector<Head> heads_;           // filled, and not used yet
  uint32_t offered_ = 0;              // the queue's place before those of offer()
  const Fragment* source_ = nullptr;  // what of the frame is copied next
  uint32_t taken_ = 0;                // bytes of that
  Piece buffers_[2] = {};             // where in its header the number of chains goes
  Plain plain_[Plain::kMost];
};

}  // namespace vale::vhost
