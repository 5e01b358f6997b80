// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What the engine between a virtual machine and its port (engine/guest.h) knows of the machine's side:
//   a Port without rings, which takes part in wait_ports(), and by one thread
//   1. attend(): the machine's process is met, or its end noticed;
//   2. to_guest(), from_guest(), publish(): frames; offer(), settle(): those from a machine that the same thread
//      serves (crossing.h).
//   Here is what all kinds of machines do alike: where they are met, being there or not, and being slept on.
// Owns. The endpoint, what is slept on, what is counted, what is told of the machine.
// Invariants. wire_state() and counters() may be called by any thread.
// Not here. The kinds: guest_port.h, stream_port.h, dgram_port.h.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "device/device.h"
#include "nic/bpf.h"
#include "offload/vnet_header.h"
#include "switch/batch.h"
#include "vhost/counts.h"
#include "vhost/endpoint.h"

namespace vale::vhost {

class Crossing;
struct Plain;
struct Rules;

class GuestLink : public Port {
 public:
  // A line for the log of what happens from now on.
  void on_news(std::function<void(std::string)> say) { say_ = std::move(say); }

  // Meets the machine's process, notices its end. Now and then, and after each wait.
  virtual void attend() = 0;
  // Frames that wait in the rx rings of `port`, to the machine, and the other way; the caller syncs the
  // port. Whether any moved.
  virtual bool to_guest(Port& port) = 0;
  virtual bool from_guest(Port& port) = 0;
  // Frames of its guest may go to others by this from now on; null: no more. It stays the caller's.
  void meet_neighbours(Crossing* crossing) { crossing_ = crossing; }
  // A frame from a neighbour, for the guest's queue that rx ring `ring` leads to; whether it is there.
  virtual bool offer(unsigned, const VnetHeader&, const Fragment*, uint32_t, uint32_t) {
    return false;
  }
  // All those since the last call are counted, and the guest's with the next publish(); frames 0: none of
  // them was ever there.
  virtual void settle(unsigned, uint32_t, uint64_t) {}
  // The same for many of one buffer each: the buffers that come next there, as far as they will do, at most
  // `most`, and what the guest has agreed to; those that were filled, whose frames are counted.
  virtual uint32_t lend(unsigned, uint32_t, Plain*, const Rules**) { return 0; }
  virtual void keep(unsigned, const Plain*, uint32_t, uint64_t) {}
  // After that sync: what was sent is the machine's again.
  virtual void publish() {}
  // Whether all that waits for the machine waits for room there.
  virtual bool blocked(const Port& port) const = 0;
  // A frame that the switch is to see; empty: none.
  virtual std::string take_announcement() { return {}; }
  // How long nothing need be attended to unless it wakes the sleeper, ms.
  virtual int patience() const = 0;

  const Counts& counts() const { return counts_; }

  int txsync() override { return 0; }
  int rxsync() override { return 0; }
  short poll_events(short) const override { return POLLIN; }
  int fd() const override { return set_.fd(); }
  void disarm() override;
  PortCounters counters() const override { return counts_.read(); }
  bool wire_state(WireState* out) const override;

 protected:
  static constexpr uint64_t kTryNs =
      250'000'000;  // between two tries to meet who does not come here
  static constexpr uint64_t kLookNs = 1'000'000'000;  // between two looks at the socket

  // backend: a literal.
  GuestLink(const std::string& path, const char* backend);

  // The machine's process is there; or no more, and why: empty when it has just ended, and then more about it.
  void came();
  void went(const std::string& why, const std::string& more = {});
  // Nobody is at that path, for the moment, and why: told once, until that changes or one came.
  void missing(const std::string& where, int err);
  // Once a second: whether machines find the socket, and whether another one waits there while `met` is served; what
  // changes is told. True: the endpoint has another descriptor, to be slept on.
  bool tend(bool met);
  // Whether a try is due so long after the last one; then it is made now.
  bool due(uint64_t every_ns = kTryNs);

  struct Watched {
    int fd;  // -1: none
    uint32_t events;
  };
  // A set anew: what was in the old one may still be open in the other process, and would go on waking.
  Status sleep_on(const std::vector<Watched>& all);

  // patience() of who waits at the endpoint, or for a client to be let in.
  int patience_until_met(bool met) const {
    return static_cast<int>((endpoint_.client() && !met ? kTryNs : kLookNs) / 1'000'000);
  }

  // Frames for a machine that is not there, each behind `header` bytes. Whether there were any.
  bool discard(Port& port, uint32_t header);

  const std::string path_;
  Endpoint endpoint_;
  Crossing* crossing_ = nullptr;
  bool attention_ = true;  // something woke that attend() has not seen
  Counts counts_;
  std::atomic<uint32_t> mtu_{0};

 private:
  void say(const std::string& line) const {
    if (say_) say_(line);
  }

  std::function<void(std::string)> say_;
  Handle set_;  // all that is slept on
  uint64_t last_try_ = 0;
  uint64_t last_look_ = 0;
  int missing_ = 0;   // what was told
  std::string lost_;  // the same
  std::atomic<bool> here_{false}, failed_{false}, unreachable_{false}, another_waits_{false};
  std::atomic<uint64_t> partings_{0};
};

}  // namespace vale::vhost
