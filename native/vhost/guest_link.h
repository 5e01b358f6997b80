// SPDX-License-Identifier: BSD-2-Clause
// What the engine between a virtual machine and its port (engine/guest.h) knows of the machine's side: a
// Port without rings, which takes part in wait_ports(), and the calls below, by one thread.
#pragma once

#include <functional>
#include <string>

#include "device/device.h"

namespace vale::vhost {

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
  // After that sync: what was sent is the machine's again.
  virtual void publish() {}
  // Whether all that waits for the machine waits for room there.
  virtual bool blocked(const Port& port) const = 0;
  // A frame that the switch is to see; empty: none.
  virtual std::string take_announcement() { return {}; }
  // How long nothing need be attended to unless it wakes the sleeper, ms; -1: for ever.
  virtual int patience() const = 0;

  int txsync() override { return 0; }
  int rxsync() override { return 0; }
  short poll_events(short) const override { return POLLIN; }

 protected:
  std::function<void(std::string)> say_;
};

}  // namespace vale::vhost
