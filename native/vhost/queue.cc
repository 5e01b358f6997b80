// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/queue.h"

namespace vale::vhost {

const char* Queue::start(const QueueSetup& setup, GuestMemory* memory, uint64_t features) {
  if (setup.size == 0 || setup.size > kMaxQueueSize) return "a ring of an impossible size";
  setup_ = setup;
  packed_ = (features & kPacked) != 0;
  events_ = (features & kEventIndex) != 0;
  reader_.set(memory, (features & kIndirect) != 0);
  const char* wrong = relocate();
  if (wrong == nullptr)
    wrong = packed_ ? packed_ring_.begin(setup.base) : split_ring_.begin(setup.base);
  running_ = wrong == nullptr;
  want_kicks(true);
  return wrong;
}

const char* Queue::relocate() {
  const char* const wrong =
      packed_ ? packed_ring_.place(setup_.address, setup_.size, &reader_.memory(), events_)
              : split_ring_.place(setup_.address, setup_.size, &reader_.memory(), events_);
  if (wrong != nullptr) running_ = false;
  return wrong;
}

void Queue::set_logging(const RingAddress& address) {
  setup_.address = address;
  packed_ ? packed_ring_.set_logging(address) : split_ring_.set_logging(address);
}

uint32_t Queue::stop() {
  publish();
  running_ = false;
  return packed_ ? packed_ring_.base() : split_ring_.base();
}

void Queue::publish() {
  if (running_ && (packed_ ? packed_ring_.publish() : split_ring_.publish())) interrupt();
}

void Queue::interrupt() {
  if (call.valid()) bell->ring(call.fd());
}

}  // namespace vale::vhost
