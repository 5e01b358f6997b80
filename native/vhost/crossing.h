// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Frames straight from one guest to another that the same thread serves, without the rings between; or, where
// it does not, into the other's rx ring, past the giver's tx ring:
//   1. add(): the ports whose guests take part.
//   2. For one transmit queue: aim() at its tx ring; begin() when there are frames; carry() those in a row
//      to one address, or give() one at a time, and commit() those given since the last one; end().
//   3. publish(): who got something has it, before the givers have their buffers back.
//
// Owns. What is under way of one queue's frames.
// Invariants. What is not given goes through the tx ring, and is known to go there: no later frame of that
//   queue overtakes it. Those given since the last commit() are all for one rx ring. A frame is as
//   checked, counted and learned from as by way of the rings (switch/direct.h). The address that decides
//   where a frame goes is in memory of ours.
// Not here. Reading and filling queues (from_guest.h, to_guest.h).
#pragma once

#include <unordered_map>
#include <vector>

#include "device/device.h"
#include "switch/direct.h"
#include "vhost/guest_link.h"
#include "vhost/plain.h"

namespace vale::vhost {

class Crossing {
 public:
  void add(Port& port, GuestLink& guest);
  void remove(GuestLink& guest);

  enum class Give {
    given,
    ring,   // it goes through the tx ring
    after,  // commit() first, then ask again
  };

  struct Carried {
    uint32_t frames;  // of the first ones: carried and counted
    // Of those that were not, if any: by the tx ring; the next one by give(); ended: all of this queue's by the ring,
    // as when commit() fails; later: that ring is full, and more would be dropped.
    enum { ring, singly, ended, later } rest;
  };

  void aim(GuestLink* giver, Port& port, unsigned tx_ring);
  // False: all of this queue's frames go through the ring for now, and end() is not called.
  bool begin();
  // Frames of the same addresses; none is pending.
  Carried carry(const PlainFrame* frames, uint32_t count);
  // The Ethernet header is in the first fragment. slots: how many it would take of a ring like the giver's.
  Give give(const VnetHeader& vnet, const Fragment* frame, uint32_t pieces, uint32_t bytes,
            uint32_t slots);
  // A frame that is not offered to give() goes through the ring.
  void pass_all() { all_passed_ = true; }
  uint32_t pending() const { return pending_; }
  // False: they are taken back, and have to go through the ring with all that follows.
  bool commit();
  void end();

  // To be called by the giver after its sync, before its own publish().
  void publish();

 private:
  struct Place {
    GuestLink* guest;
    unsigned ring;
    const RingView* view;
  };

  bool straight(const char* addresses);
  bool changes() const { return asked_.rx_index != way_.rx_index || asked_.member != way_.member; }
  Carried deliver(const PlainFrame* frames, uint32_t count);
  bool find(const DirectSender::Way& way);
  bool passed(uint32_t dest) const { return passed_[dest / 64] >> (dest % 64) & 1; }
  void reach(GuestLink& guest) {
    if (reached_.empty() || reached_.back() != &guest) reached_.push_back(&guest);
  }
  Give pass(uint32_t dest) {
    passed_[dest / 64] |= uint64_t{1} << (dest % 64);
    return Give::ring;
  }

  std::unordered_map<uint32_t, Place> places_;  // by Port::direct_place()
  std::vector<GuestLink*> reached_;             // since publish()

  GuestLink* giver_ = nullptr;
  DirectSender* sender_ = nullptr;
  DirectSender::Way way_;         // of those given last
  DirectSender::Way asked_;       // of the frame asked for last
  const Place* place_ = nullptr;  // of way_
  uint32_t pending_ = 0;
  uint64_t pending_bytes_ = 0;  // without headers
  uint64_t passed_[4] = {};     // ports that frames go to through the ring now
  bool all_passed_ = false;
  Plain buffers_[Plain::kMost];
  SlotTarget targets_[Plain::kMost];
};

}  // namespace vale::vhost
