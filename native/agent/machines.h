// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The virtual machines that one agent process serves, all by one engine (engine/guest.h):
//   1. join(), leave(), poll(): the engine ends and another begins, with one more, one less, or on another
//      core. Frames wait in rings and queues meanwhile.
//   2. trouble(): why one is served no longer.
//
// Owns. The engine. Not the machines' sides: they leave before they end.
// Invariants. One thread calls all of this. What ends one machine's service leaves the others theirs, unless
//   no engine can be started. It polls while any of them is to be polled, on the core of the first of those.
// Not here. Records and logs (agent.h), which process serves whom (service.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/guest.h"

namespace vale {

// µs, of every engine of an agent: none where the spinner would keep the only core from who sends.
uint32_t spin_before_sleep();

class Machines {
 public:
  explicit Machines(std::function<void()> on_trouble);
  ~Machines() { stop(); }

  // EAGAIN when there are no more threads, EMFILE no more descriptors, E2BIG too many of them.
  Status join(const GuestSeat& seat);
  void leave(const vhost::GuestLink* guest);
  // cores 0: no more. EINVAL: no such core; then all go on unpolled.
  Status poll(const vhost::GuestLink* guest, uint32_t cores, uint32_t first);
  // Empty: it is served.
  std::string trouble(const vhost::GuestLink* guest);
  // All at once, before they leave one by one.
  void stop();

 private:
  struct Served {
    GuestSeat seat;
    bool polled = false;
    uint32_t core = 0;
  };

  Status start();
  Served* find(const vhost::GuestLink* guest);

  std::function<void()> on_trouble_;
  std::vector<Served> served_;
  std::unique_ptr<Engine> engine_;
  std::string broken_;  // why there is no engine
  std::mutex lock_;     // guards what the engine's thread tells
  std::map<const vhost::GuestLink*, Status> gone_;
};

}  // namespace vale
