// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What makes a network interface a port of a switch, in a process of its own (service.h):
//   1. attach(): become the runtime directory's owner, enter the directory, take a record; for the
//      interface, and for its host stack if that is wanted, open a switch port and, with buffers of
//      that port, the wire; give up what privilege is left.
//   2. For each side an engine (engine/bridge.h) moves frames both ways, in a thread of its
//      own, by swapping buffers; polled on two cores, one engine moves what comes in and one what goes out.
//      The process's own thread calls look() when its doorbell rang or something ended, and once a second:
//      at what is asked for, the link and the directory.
//   3. Asked to stop (its record, or SIGTERM), or destroyed: first the interface is as it was, then the port is gone,
//      then the record.
//   4. What makes going on impossible (the interface was removed, the directory deleted) ends it too,
//      and the reason stays in its record until somebody was told.
//
// Owns. The interface and its host stack as Ports, their switch ports, its record and log.
// Invariants. The directory is touched only as its owner. A switch port outlives its wire. Nothing it does on the way of frames
//   takes the directory lock.
//   With a virtual machine in place of an interface the same, by an engine that serves all those of this
//   process (machines.h).
// Not here. How an interface is driven (device/wire.h), what others ask of it (device/attach.h).
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/log.h"
#include "agent/machines.h"
#include "agent/options.h"
#include "device/device.h"
#include "device/wire.h"
#include "engine/bridge.h"
#include "engine/engine.h"
#include "nic/link_watch.h"
#include "shm/runtime.h"
#include "vhost/guest_link.h"

namespace vale {

class Agent {
 public:
  // wake: look() is due, as an engine has ended or has news; by its thread. machines stay the caller's.
  Agent(AgentOptions options, std::function<void()> wake, Machines* machines);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // rt: of the process, when it serves something already; else null.
  // errno as the reference's attach: EINVAL no such interface, or one that cannot be a port; EBUSY;
  // EPERM; ENOMEM. EALREADY: another process has the name.
  // *warning: one line when something could not be had, else empty.
  Status attach(std::shared_ptr<Runtime> rt, uint32_t* port_index, std::string* warning);

  // After attach() was good:
  enum class Turn {
    serves,
    over,   // it was detached, or cannot go on; destroy it
    asked,  // to serve another one, by request *number; then answered()
  };
  Turn look(uint32_t* number);
  void answered();
  void say_signalled();
  int doorbell() const { return doorbell_; }
  uint32_t slot() const { return static_cast<uint32_t>(slot_); }
  const std::shared_ptr<Runtime>& runtime() const { return rt_; }

 private:
  // The interface or its host stack: a port of the switch, and what is joined to it.
  struct Side {
    std::unique_ptr<Port> port, wire;
    vhost::GuestLink* guest = nullptr;             // the wire, where that is a virtual machine
    std::vector<std::unique_ptr<Engine>> engines;  // one both ways, or one each way
  };

  Status enter_directory();
  Status take_record();
  bool is_host(const Side& side) const { return &side != sides_.data(); }
  OpenRequest wire_request(const Side& side) const;
  Status wire_options(WireOptions* out) const;
  Status claim_interface();
  Status open_port_of(Side& side);
  Status open_wire_of(Side& side);
  // A virtual machine instead of an interface: guest.cc.
  bool has_guest() const { return !options_.attach.machine().empty(); }
  Status open_port_of_guest(OpenRequest request, std::unique_ptr<Port>* out);
  Status open_guest(Side& side);
  void note_made_device();
  Status find_index(uint32_t* port_index) const;

  Status start_engines(Side& side);
  Status start_engine(Side& side, const BridgeConfig& config, Port* from, Port* to);
  void stop_engines(Side& side);
  void detach();
  Turn answer(uint32_t* number);
  void poll_on(uint32_t cores, uint32_t first);
  // Its interface, as it is now: link.cc.
  void say_serving();
  void look_at_link();
  void say_queues(const WireState& now);
  std::string attach_again() const;
  void publish();
  void log_messages(Side& side);
  void log_news();
  std::string trouble();  // why it cannot go on; empty: it can
  void close_sides();
  void end(const std::string& why);
  AgentRec& record() const;

  const AgentOptions options_;
  const std::function<void()> wake_;
  Machines* const machines_;
  std::string interface_name_;
  int interface_index_ = 0;
  LinkWatch watch_;
  std::unique_ptr<Peer> peer_;  // of the interface, where it matters
  std::shared_ptr<const Claim> claim_;
  std::shared_ptr<Runtime> rt_;
  int32_t slot_ = -1;
  int doorbell_ = -1;
  uint32_t asked_ = 0;  // what AgentRec::asked was at the last look
  AgentLog log_;
  std::mutex news_lock_;
  std::vector<std::string> news_;  // of the virtual machine, from the engine's thread
  std::vector<Side> sides_;        // the interface, then its host stack
  WireState link_;
};

}  // namespace vale
