// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. move() copies the frames of a guest's transmit queue into a tx ring of its port:
//   1. take a chain; read its header once, and check it (rules.h);
//   2. copy what is behind the header into slots, with the port's header in front;
//   3. use the chain. The caller syncs the port, then publishes the queue: a frame is given back to
//      the guest when it is on its way, so one is sent again rather than lost if we die in between.
// Owns. Nothing but scratch memory.
// Invariants. A frame is in slots whole or not at all. Guest memory is only read.
// Not here. The ring's sync, the queue's positions (queue.h).
#pragma once

#include "device/ring_view.h"
#include "vhost/counts.h"
#include "vhost/queue.h"
#include "vhost/rules.h"

namespace vale::vhost {

class FromGuest {
 public:
  // How many chains were used; *broken: the queue has failed.
  uint32_t move(Queue& queue, const Rules& rules, const RingView& to, uint32_t most, Counts* counts,
                bool* broken);

 private:
  bool header(const Rules& rules);
  void copy(const RingView& to, uint32_t at, uint32_t bytes);

  Chain chain_;
  VnetHeader vnet_;
  uint32_t piece_ = 0, taken_ = 0;  // of the chain: what is behind its header
};

}  // namespace vale::vhost
