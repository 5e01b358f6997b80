// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. move() copies the frames of a guest's transmit queue into a tx ring of its port:
//   Frames of a buffer each go many at a time, in the same steps (plain.h), the others one by one:
//   1. take a chain; read its header once, and check it (rules.h);
//   2. give the frame to another guest at once, if it is for one that is served here (crossing.h); else copy
//      what is behind the header into slots, with the port's header in front;
//   3. use the chain. The caller syncs the port, then publishes the queue: a frame is given back to
//      the guest when it is on its way, so one is sent again rather than lost if we die in between.
// Owns. Nothing but scratch memory.
// Invariants. A frame is in slots whole or not at all. Guest memory is only read.
// Not here. The ring's sync, the queue's positions (queue.h).
#pragma once

#include <linux/if_ether.h>

#include <vector>

#include "ring_view.h"
#include "vhost/counts.h"
#include "vhost/crossing.h"
#include "vhost/plain.h"
#include "vhost/queue.h"
#include "vhost/rules.h"

namespace vale::vhost {

class FromGuest {
 public:
  // How many chains were used; *broken: the queue has failed. crossing: aimed, or null.
  uint32_t move(Queue& queue, const Rules& rules, const RingView& to, uint32_t most, Counts* counts,
                bool* broken, Crossing* crossing);

 private:
  static constexpr uint32_t kMostPieces = 64;  // of a frame that goes to another guest at once

  struct Done {
    uint16_t id, slots;
  };
  struct Place {  // how far it has come
    uint32_t cursor = 0, head = 0, room = 0, used = 0;
    uint32_t frames = 0;
    uint64_t bytes = 0;
  };

  bool read_plain(Queue& queue, const Rules& rules, const RingView& to, uint32_t most);
  uint32_t end_of_run(uint32_t first, uint32_t count) const;
  uint32_t put_in_ring(const RingView& to, uint32_t first, uint32_t count);
  void finish(Queue& queue, uint32_t first, uint32_t count);
  void begin_crossing();
  void end_crossing();
  bool read(Queue& queue, const Rules& rules, const RingView& to, Counts* counts);
  Crossing::Give give(uint32_t bytes, uint32_t slots);
  bool settle(Queue& queue);
  bool refuse(Drop why, uint32_t before, Queue& queue, Counts* counts);
  void take(char* to, uint32_t bytes);
  bool header(const Rules& rules);
  void copy(const RingView& to, uint32_t at, uint32_t bytes);

  Chain chain_;
  VnetHeader vnet_;
  uint32_t piece_ = 0, taken_ = 0;  // of the chain: what is behind its header

  // Of a move.
  Crossing* crossing_ = nullptr;
  bool crosses_ = false, broken_ = false;
  bool full_ = false;        // some ring took no more: whoever empties it goes first
  uint32_t singly_ = 0;      // chains to be read one by one before many are looked at again
  Place at_, settled_;       // settled_: up to there nothing is given back any more
  std::vector<Done> done_;   // chains since settled_
  char ethernet_[ETH_HLEN];  // of the frame at hand
  Fragment fragment_[kMostPieces];
  Plain plain_[Plain::kMost];
  PlainFrame frames_[Plain::kMost];
};

}  // namespace vale::vhost
