// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "vhost/device.h"
#include "vhost/slots.h"

namespace vale::vhost {
namespace {

// Frames of one queue a turn. More to a guest than from one: frames that wait in a ring get fewer, and those behind
// them may go past it again (crossing.h).
constexpr uint32_t kFromGuest = 256, kToGuest = 2 * kFromGuest;

}  // namespace

// The queues that receive: the first ones, as many as run.
unsigned Device::receivers() const {
  unsigned n = 0;
  while (n < pairs_ && active(rings_[2 * n])) n++;
  return n;
}

bool Device::failed(const Ring& ring) {
  const long index = &ring - rings_.data();
  if (ring.queue.error.valid()) bell_.ring(ring.queue.error.fd());
  const std::string why = ring.queue.trouble();
  return fail("queue " + std::to_string(index) + ": " + why);
}

bool Device::to_guest(Port& port, Counts* counts) {
  if (rested_ != 0) {  // not for long
    std::fill(blocked_, blocked_ + pairs_, true);
    return false;
  }
  const unsigned queues = broken() ? 0 : receivers();
  bool moved = false;
  for (unsigned r = port.first_rx(); r < port.last_rx(); r++) {
    const RingView& from = port.rx_view(r);
    blocked_[r] = false;
    if (from.head() == from.tail()) continue;
    if (queues == 0) {
      to_guest_[r].reset();
      moved |= discard(from, kPortHeader, counts);
      continue;
    }
    Ring& ring = rings_[2 * (r % queues)];
    const ToGuest::Moved one =
        to_guest_[r].move(from, ring.queue, memory_, rules_, kToGuest, counts);
    blocked_[r] = one.blocked;
    moved |= one.frames != 0;
    if (one.broken) return failed(ring);
  }
  if (memory_.lost()) return fail("its memory was taken away");
  return moved;
}

bool Device::offer(unsigned ring, VnetHeader vnet, const Fragment* frame, uint32_t pieces,
                   uint32_t bytes) {
  const unsigned queues = broken() ? 0 : receivers();
  if (queues == 0 || vhost::to_guest(rules_, &vnet, bytes) != Verdict::good) return false;
  Ring& to = rings_[2 * (ring % queues)];
  if (to_guest_[ring].offer(to.queue, memory_, rules_, vnet, {frame, pieces, bytes})) return true;
  if (!to.queue.running()) failed(to);
  return false;
}

void Device::settle(unsigned ring, bool keep) {
  const unsigned queues = receivers();
  // Where the guest broke the rules meanwhile there is none any more.
  if (queues != 0) to_guest_[ring].settle(rings_[2 * (ring % queues)].queue, keep);
}

uint32_t Device::lend(unsigned ring, uint32_t most, Plain* out, const Rules** rules) {
  const unsigned queues = broken() ? 0 : receivers();
  if (queues == 0) return 0;
  *rules = &rules_;
  return to_guest_[ring].look(rings_[2 * (ring % queues)].queue, memory_, rules_, out, most);
}

void Device::keep(unsigned ring, const Plain* filled, uint32_t frames) {
  rings_[2 * (ring % receivers())].queue.finish(filled, frames, true);
}

bool Device::from_guest(Port& port, Counts* counts, GuestLink* self, Crossing* crossing) {
  const unsigned tx_rings = port.last_tx() - port.first_tx();
  bool moved = false;
  for (unsigned p = 0; p < pairs_ && !broken(); p++) {
    Ring& ring = rings_[2 * p + 1];
    if (!active(ring)) continue;
    bool broken = false;
    const unsigned r = port.first_tx() + p % tx_rings;
    if (crossing != nullptr) crossing->aim(self, port, r);
    moved |= from_guest_.move(ring.queue, rules_, port.tx_view(r), kFromGuest, counts, &broken,
                              crossing) != 0;
    if (broken) failed(ring);
  }
  if (memory_.lost()) fail("its memory was taken away");
  return moved;
}

void Device::publish() {
  for (Ring& ring : rings_) {
    if (ring.queue.running()) ring.queue.publish();
  }
}

bool Device::more() const {
  for (uint32_t i = 0; i < rings_.size(); i++) {
    if (!active(rings_[i]) || !rings_[i].queue.more()) continue;
    const bool sends = i % 2 != 0;
    if (sends || std::any_of(blocked_, blocked_ + pairs_, [](bool b) { return b; })) return true;
  }
  return false;
}

bool Device::blocked(const Port& port) const {
  return std::all_of(blocked_ + port.first_rx(), blocked_ + port.last_rx(),
                     [](bool b) { return b; });
}

void Device::want_kicks(bool wanted) {
  for (uint32_t i = 0; i < rings_.size(); i++) {
    if (!active(rings_[i])) continue;
    const bool sends = i % 2 != 0;
    const bool waits = sends || std::any_of(blocked_, blocked_ + pairs_, [](bool b) { return b; });
    rings_[i].queue.want_kicks(wanted && waits);
  }
}

std::vector<int> Device::kicks() const {
  std::vector<int> fds;
  for (const Ring& ring : rings_) {
    if (active(ring) && ring.queue.kick.valid()) fds.push_back(ring.queue.kick.fd());
  }
  return fds;
}

}  // namespace vale::vhost
