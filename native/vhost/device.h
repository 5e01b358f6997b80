// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The network device that a guest sees, from the first message of its process to the last:
//   1. handle(): features are agreed on, memory is mapped, queues are described, started, stopped.
//      While memory is removed and added, queues rest; wake(), now and then, ends that.
//   2. to_guest(), from_guest(): frames between its queues and the rings of its port; offer(), settle(): those of
//      other guests.
//   3. Whatever the guest or its process does that cannot be is trouble(): then nothing more is done
//      for it, and the owner throws the device away.
//
// Owns. The guest's memory, its queues, and what was agreed.
// Invariants. Ring r serves queue pair r modulo the pairs that run. A queue runs once its process has
//   described it and given it its kick. One thread.
// Not here. The socket (channel.h, endpoint.h), sleeping and the switch (guest_port.h).
#pragma once

#include <string>
#include <vector>

#include "device/device.h"
#include "vhost/bell.h"
#include "vhost/channel.h"
#include "vhost/crossing.h"
#include "vhost/from_guest.h"
#include "vhost/guest_memory.h"
#include "vhost/queue.h"
#include "vhost/to_guest.h"

namespace vale::vhost {

class Device {
 public:
  explicit Device(uint32_t pairs);

  // False: trouble. *answer is to be sent if its header says reply.
  bool handle(Message& message, Message* answer);
  bool broken() const { return !trouble_.empty(); }
  // When queues rest: to be called again after so many ms, or sooner. 0: none does.
  int wake();
  const std::string& trouble() const { return trouble_; }
  // What the master that ends now may have missed here: whoever has asked how many pairs of queues there are,
  // and never came to agree on features, may have more of them. Empty: nothing.
  std::string missed() const;
  // What the master asked to be told to the whole switch: a frame, or empty.
  std::string take_announcement();

  // Frames that wait in the rx rings of `port`, to the guest, and the other way; the caller syncs the
  // port. Whether any moved.
  bool to_guest(Port& port, Counts* counts);
  // By way of `crossing`, if any, to other guests at once.
  bool from_guest(Port& port, Counts* counts, GuestLink* self, Crossing* crossing);
  // Frames of other guests (guest_link.h).
  bool offer(unsigned ring, VnetHeader vnet, const Fragment* frame, uint32_t pieces,
             uint32_t bytes);
  void settle(unsigned ring, bool keep);
  uint32_t lend(unsigned ring, uint32_t most, Plain* out, const Rules** rules);
  void keep(unsigned ring, const Plain* filled, uint32_t frames);
  // What was used since is the guest's again.
  void publish();
  // Whether some queue has what those two did not see.
  bool more() const;
  void want_kicks(bool wanted);
  // Whether every rx ring waits for buffers of the guest.
  bool blocked(const Port& port) const;

  uint32_t mtu() const { return mtu_; }
  // Descriptors that kick, of queues that run; the generation changes with them.
  std::vector<int> kicks() const;
  uint32_t generation() const { return generation_; }

 private:
  struct Ring {
    QueueSetup setup;
    Queue queue;
    bool kicked = false;  // its kick was given: it may run
    bool rests = false;   // memory was removed: it may again when that is back
  };

  bool act(Message& message, Message* answer);
  bool set_features(uint64_t features);
  bool set_memory(Message& message);
  bool set_log(Message& message);
  bool change_memory(Message& message, bool add);
  bool set_ring(Message& message);
  bool stop_ring(Message& message, Message* answer);
  bool set_event(Message& message);
  bool start_rings();
  void stop_rings();
  bool remove_memory(const MemoryRegion& region);
  void rest();
  bool relocate();
  bool announce(uint64_t mac);
  Ring* ring_of(uint32_t index);
  bool active(const Ring& ring) const { return ring.queue.running() && ring.setup.enabled; }
  bool fail(const std::string& why);
  bool failed(const Ring& ring);
  unsigned receivers() const;

  const uint32_t pairs_;
  uint64_t protocol_ = 0;
  Rules rules_;
  uint8_t status_ = 0;
  uint32_t mtu_ = 0;
  uint32_t generation_ = 0;
  GuestMemory memory_;
  uint64_t rested_ = 0;  // when the rest ends, ns of CLOCK_MONOTONIC; 0: it has
  Bell bell_;
  std::vector<Ring> rings_;  // of pair p: 2p the guest receives from, 2p+1 it sends by
  std::vector<ToGuest> to_guest_;
  FromGuest from_guest_;
  bool blocked_[kMaxQueuePairs] = {};
  std::string announcement_;
  std::string trouble_;
  bool counted_ = false;  // it has asked for pairs_
};

}  // namespace vale::vhost
