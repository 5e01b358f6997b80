// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/crossing.h"

#include <algorithm>

#include "vhost/rules.h"

namespace vale::vhost {

void Crossing::add(Port& port, GuestLink& guest) {
  for (unsigned r = port.first_rx(); r < port.last_rx(); r++) {
    if (const uint32_t at = port.direct_place(r); at != ~uint32_t{0})
      places_[at] = {&guest, r, &port.rx_view(r)};
  }
}

void Crossing::remove(GuestLink& guest) {
  for (auto at = places_.begin(); at != places_.end();)
    at = at->second.guest == &guest ? places_.erase(at) : std::next(at);
}

void Crossing::aim(GuestLink* giver, Port& port, unsigned tx_ring) {
  giver_ = giver;
  sender_ = port.direct_sender(tx_ring);
}

bool Crossing::begin() {
  if (sender_ == nullptr || !sender_->begin()) return false;
  way_ = asked_ = {};
  place_ = nullptr;
  pending_ = 0;
  pending_bytes_ = 0;
  std::fill(std::begin(passed_), std::end(passed_), 0);
  all_passed_ = false;
  return true;
}

// Whether frames may be carried to the guest at that way's end.
bool Crossing::find(const DirectSender::Way& way) {
  const auto found = places_.find(way.rx_index);
  if (found == places_.end() || found->second.guest == giver_) return false;
  if (!sender_->empty(way, *found->second.view)) return false;
  place_ = &found->second;
  way_ = way;
  return true;
}

Crossing::Give Crossing::give(const VnetHeader& vnet, const Fragment* frame, uint32_t pieces,
                              uint32_t bytes, uint32_t slots) {
  switch (sender_->way(frame[0].data, &asked_)) {
    case DirectSender::Where::everywhere:
      all_passed_ = true;
      return Give::ring;
    case DirectSender::Where::nowhere:
      return Give::ring;
    case DirectSender::Where::port:
      break;
  }
  const uint32_t dest = asked_.dest;
  if (asked_.member == 0 || all_passed_ || passed(dest)) return pass(dest);
  if (asked_.rx_index != way_.rx_index || asked_.member != way_.member) {
    if (pending_ != 0) return Give::after;
    if (!find(asked_)) return pass(dest);
  }
  const RingView& view = *place_->view;
  const uint32_t needed = std::max(slots, (kPortHeader + bytes - 1) / view.buf_size() + 1);
  if (needed > NETMAP_MAX_FRAGS || needed > view.slots() - 1) return pass(dest);
  if (!place_->guest->offer(place_->ring, vnet, frame, pieces, bytes)) return pass(dest);
  pending_++;
  pending_bytes_ += bytes;
  return Give::given;
}

bool Crossing::commit() {
  if (pending_ == 0) return true;
  const uint64_t with_headers = pending_bytes_ + uint64_t{pending_} * kPortHeader;
  const bool good = sender_->commit(way_, *place_->view, pending_, with_headers);
  GuestLink& guest = *place_->guest;
  guest.settle(place_->ring, good ? pending_ : 0, pending_bytes_);
  if (good && (reached_.empty() || reached_.back() != &guest)) reached_.push_back(&guest);
  pending_ = 0;
  pending_bytes_ = 0;
  return good;
}

void Crossing::end() { sender_->end(); }

void Crossing::publish() {
  for (GuestLink* guest : reached_) guest->publish();
  reached_.clear();
}

}  // namespace vale::vhost
