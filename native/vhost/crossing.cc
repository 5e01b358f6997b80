// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/crossing.h"

#include <algorithm>

#include "vhost/rules.h"

namespace vale::vhost {

static_assert(Plain::kMost <= DirectSender::kMostReserved);

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

// Whether frames of these addresses may go past the ring, to where asked_ leads.
bool Crossing::straight(const char* addresses) {
  switch (sender_->way(addresses, &asked_)) {
    case DirectSender::Where::everywhere:
      all_passed_ = true;
      return false;
    case DirectSender::Where::nowhere:
      return false;
    case DirectSender::Where::port:
      break;
  }
  if (asked_.member != 0 && !all_passed_ && !passed(asked_.dest)) return true;
  pass(asked_.dest);
  return false;
}

Crossing::Carried Crossing::carry(const PlainFrame* frames, uint32_t count) {
  if (!straight(frames[0].addresses)) return {0, Carried::ring};
  if (changes() && !find(asked_)) return deliver(frames, count);
  const RingView& view = *place_->view;
  GuestLink& guest = *place_->guest;
  const Rules* rules;
  count = guest.lend(place_->ring, count, buffers_, &rules);
  if (count == 0) return {0, Carried::singly};
  for (uint32_t i = 0; i < count; i++) prefetch_for_write(buffers_[i].data);
  const uint32_t header = rules->header(), longest = view.buf_size() - kPortHeader;
  uint64_t bytes = 0;
  uint32_t n = 0;
  for (; n < count; n++) {
    const PlainFrame& frame = frames[n];
    if (frame.bytes > longest || !put_plain(*rules, header, frame, &buffers_[n])) break;
    bytes += frame.bytes;
  }
  if (n == 0) return {0, Carried::singly};
  if (!sender_->commit(way_, view, n, bytes + uint64_t{n} * kPortHeader))
    return {0, Carried::ended};
  guest.keep(place_->ring, buffers_, n, bytes);
  reach(guest);
  return {n, Carried::singly};
}

// Into the rx ring where asked_ leads, of a port that others serve or where frames wait.
Crossing::Carried Crossing::deliver(const PlainFrame* frames, uint32_t count) {
  uint64_t bytes = 0;
  uint32_t longest = 0, room;
  for (uint32_t i = 0; i < count; i++) {
    bytes += kPortHeader + frames[i].bytes;
    longest = std::max(longest, kPortHeader + frames[i].bytes);
  }
  if (!sender_->reserve(asked_, count, bytes, longest, targets_, &room)) {
    pass(asked_.dest);
    return {0, Carried::ring};
  }
  for (uint32_t i = 0; i < room; i++) {
    put_behind_header(frames[i], targets_[i].data);
    targets_[i].length = kPortHeader + frames[i].bytes;
  }
  sender_->deliver(asked_, targets_, room, count);
  return {count, room == count ? Carried::singly : Carried::later};
}

Crossing::Give Crossing::give(const VnetHeader& vnet, const Fragment* frame, uint32_t pieces,
                              uint32_t bytes, uint32_t slots) {
  if (!straight(frame[0].data)) return Give::ring;
  const uint32_t dest = asked_.dest;
  if (changes()) {
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
  if (good) reach(guest);
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
