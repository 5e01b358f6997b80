// SPDX-License-Identifier: BSD-2-Clause
#include "agent/agent.h"

#include <linux/if_arp.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "agent/privilege.h"
#include "device/registered_port.h"
#include "engine/bridge.h"
#include "nic/claim.h"
#include "nic/interface.h"
#include "nic/peer.h"
#include "switch/agents.h"
#include "switch/reap.h"

namespace vale {
namespace {

void drain(int fd) {
  char bytes[64];
  while (read(fd, bytes, sizeof bytes) > 0) {
  }
}

}  // namespace

Agent::Agent(AgentOptions options, std::function<void()> wake, Machines* machines)
    : options_(std::move(options)), wake_(std::move(wake)), machines_(machines) {
  const std::string& port = options_.attach.port.name;
  interface_name_ = port.substr(port.find(':') + 1);
}

Agent::~Agent() { detach(); }

AgentRec& Agent::record() const { return rt_->control().agent(static_cast<uint32_t>(slot_)); }

Status Agent::attach(std::shared_ptr<Runtime> rt, uint32_t* port_index, std::string* warning) {
  rt_ = std::move(rt);
  const AttachRequest& q = options_.attach;
  if (!q.netns.empty()) {
    if (Status s = enter_network(q.netns); !s.ok()) return s;
  }
  Interface interface;
  if (WireBackend backend; parse_backend(q.backend, &backend) && is_xdp(backend) &&
                           find_interface(interface_name_, &interface) == 0) {
    peer_ = std::make_unique<Peer>(find_peer(interface));  // others may not look everywhere
  }
  if (Status s = become_owner(options_.directory); !s.ok()) return s;
  if (!has_guest() && find_interface(interface_name_, &interface) == 0) {
    if (interface.hardware == ARPHRD_LOOPBACK) {
      return Status::fail(EINVAL, "%s is this machine's way to itself and cannot be attached",
                          interface_name_.c_str());
    }
    interface_index_ = interface.index;
  }
  watch_.open(interface_index_);
  if (Status s = enter_directory(); !s.ok()) return s;
  if (Status s = claim_interface(); !s.ok()) return s;
  sides_.resize(q.host ? 2 : 1);
  for (Side& side : sides_) {
    if (Status s = open_port_of(side); !s.ok()) return s;
  }
  // The host's wire first: while it is made, what the host sends still leaves by the interface.
  for (size_t i = sides_.size(); i-- > 0;) {
    if (Status s = open_wire_of(sides_[i]); !s.ok()) return s;
  }
  note_made_device();
  if (Status s = drop_privilege(); !s.ok()) return s;
  if (Status s = find_index(port_index); !s.ok()) return s;
  for (Side& side : sides_) {
    if (Status s = start_engines(side); !s.ok()) return s;
  }
  look_at_link();
  publish();
  *warning = link_.warning;
  agent_live(*rt_, static_cast<uint32_t>(slot_));
  if (has_guest()) {
    log_.say("%s: serving the virtual machine at %s, process %d", q.port.name.c_str(),
             q.machine().c_str(), getpid());
    return Status::good();
  }
  say_serving();
  return Status::good();
}

Status Agent::enter_directory() {
  const bool first = rt_ == nullptr;
  if (first) {
    if (Status s = Runtime::join(options_.directory.c_str(), &rt_); !s.ok()) return s;
  }
  DirLock lock;
  if (Status s = lock.acquire(rt_->directory, "attaching an interface"); !s.ok()) return s;
  if (first) {
    if (Status s = rt_->process.enter(rt_->directory); !s.ok()) return s;
  }
  reap(*rt_);
  return take_record();
}

Status Agent::take_record() {
  const Control& c = rt_->control();
  const std::string& port = options_.attach.port.name;
  const uint64_t inode = network_inode();
  const int32_t other =
      interface_index_ == 0 ? -1 : agent_serving(c, inode, static_cast<uint32_t>(interface_index_));
  if (other >= 0) {
    const char* there = c.agent(static_cast<uint32_t>(other)).port;
    return Status::fail(EBUSY, "%s is attached as %s; first run: vale ctl -d %s",
                        interface_name_.c_str(), there, there);
  }
  const std::string& name = options_.attach.agent_name;
  if (const int32_t there = name.empty() ? -1 : agent_named(c, name); there >= 0) {
    const AgentRec& a = c.agent(static_cast<uint32_t>(there));
    if (a.proc != rt_->process.slot() || a.proc_gen != rt_->process.gen())
      return Status::fail(EALREADY, "agent %s runs already", name.c_str());
  }
  uint32_t slot;
  if (Status s = agent_create(*rt_, port, &slot, &doorbell_); !s.ok()) return s;
  slot_ = static_cast<int32_t>(slot);
  AgentRec& a = c.agent(slot);
  std::snprintf(a.name, sizeof a.name, "%s", name.c_str());
  std::snprintf(a.interface, sizeof a.interface, "%s", interface_name_.c_str());
  std::snprintf(a.netns, sizeof a.netns, "%s", options_.attach.netns.c_str());
  a.netns_inode = inode;
  a.interface_index = static_cast<uint32_t>(interface_index_);
  a.host = options_.attach.host;
  std::snprintf(a.socket, sizeof a.socket, "%s", options_.attach.machine().c_str());
  return log_.open(rt_->directory, agent_log(slot, a.gen).text, agent_older_log(slot, a.gen).text);
}

OpenRequest Agent::wire_request(const Side& side) const {
  OpenRequest request;
  request.name = interface_name_;
  request.mode = is_host(side) ? NR_REG_SW : NR_REG_ALL_NIC;
  request.tx_slots = options_.attach.port.tx_slots;
  request.rx_slots = options_.attach.port.rx_slots;
  return request;
}

// Both sides before either is opened: what is refused has changed nothing.
Status Agent::claim_interface() {
  if (has_guest()) return Status::good();
  OpenRequest request;
  request.name = interface_name_;
  request.mode = options_.attach.host ? NR_REG_NIC_SW : NR_REG_ALL_NIC;
  WireOptions options;
  Status s = wire_options(&options);
  if (s.ok()) s = claim_wire(request, options, &claim_);
  // The reference knows no attach of what is not there, so it calls the argument wrong.
  if (s.err == ENXIO) s.err = EINVAL;
  if (s.ok()) record().tap.store(claim_->tap, std::memory_order_release);
  return s;
}

Status Agent::open_port_of(Side& side) {
  OpenRequest port = options_.attach.port;
  if (is_host(side)) port.name += '^';
  port.agent = static_cast<uint32_t>(slot_) + 1;
  if (has_guest()) return open_port_of_guest(std::move(port), &side.port);
  WireOptions options;
  if (Status s = wire_options(&options); !s.ok()) return s;
  // A ring of one slot never holds a frame; an interface's has two at least.
  if (port.tx_slots == 1) port.tx_slots = 2;
  if (port.rx_slots == 1) port.rx_slots = 2;
  port.extra_bufs = wire_buffers(wire_request(side), options);
  if (Status s = open_port(rt_, port, &side.port); !s.ok()) return s;
  const PortInfo& got = side.port->info();
  if (got.extra_bufs >= port.extra_bufs) return Status::good();
  // Buffers are given as far as there are some.
  const uint64_t missing = uint64_t{port.extra_bufs - got.extra_bufs} * got.buf_size;
  if (rt_->directory.bytes_free() < missing)
    return rt_->directory.no_room("an interface's buffers", missing);
  return Status::fail(ENOMEM,
                      "memory %u has %u buffers to spare, and interface %s wants %u; leave out the "
                      "memory, or ask for fewer slots as in @conf:slots=256",
                      got.mem_id, got.extra_bufs, interface_name_.c_str(), port.extra_bufs);
}

Status Agent::wire_options(WireOptions* out) const {
  const AttachRequest& q = options_.attach;
  out->take_over = !q.shared;
  out->force = q.force;
  out->inside = command_inside(q.netns);
  out->port = q.port.name;
  out->claim = claim_;
  out->peer = peer_.get();
  if (!q.backend.empty() && !parse_backend(q.backend, &out->backend)) {
    return Status::fail(EINVAL, "%s: no backend has this name; see vale ctl --help",
                        q.backend.c_str());
  }
  return Status::good();
}

Status Agent::open_wire_of(Side& side) {
  if (has_guest()) return open_guest(side);
  WireOptions options;
  if (Status s = wire_options(&options); !s.ok()) return s;
  options.share = side.port.get();
  return open_wire(wire_request(side), options, &side.wire);
}

// A TAP device that was not there before its wire was opened: nobody else may attach it either.
void Agent::note_made_device() {
  Interface interface;
  if (has_guest() || interface_index_ != 0 || find_interface(interface_name_, &interface) != 0)
    return;
  interface_index_ = interface.index;
  watch_.open(interface_index_);
  record().interface_index = static_cast<uint32_t>(interface_index_);
}

Status Agent::find_index(uint32_t* port_index) const {
  DirLock lock;
  if (Status s = lock.acquire(rt_->directory, "attaching an interface"); !s.ok()) return s;
  const Control& c = rt_->control();
  for (uint32_t i = 0; i < c.ports(); i++) {
    const PortRec& p = c.port(i);
    if (p.agent == static_cast<uint32_t>(slot_) + 1 && p.state.load() == State::live &&
        interface_name_ == p.name)
      *port_index = p.port_index.load();
  }
  return Status::good();
}

Status Agent::start_engines(Side& side) {
  const AgentRec& a = record();
  if (side.guest != nullptr) return machines_->join({side.guest, side.port.get()});
  BridgeConfig config;
  config.spin = spin_before_sleep();
  Port *wire = side.wire.get(), *port = side.port.get();
  if (is_host(side)) return start_engine(side, config, wire, port);
  const uint32_t cores = a.poll_cores.load(std::memory_order_relaxed);
  config.busy = cores != 0;
  if (config.busy) config.affinity = static_cast<int>(a.poll_first.load(std::memory_order_relaxed));
  // A core for each ring of the interface: what comes in, and what goes out.
  config.one_way = cores > 1;
  Status status = start_engine(side, config, wire, port);
  if (!status.ok() || !config.one_way) return status;
  config.affinity++;
  return start_engine(side, config, port, wire);
}

Status Agent::start_engine(Side& side, const BridgeConfig& config, Port* from, Port* to) {
  std::unique_ptr<Engine> engine;
  const Status status = start_bridge(config, from, to, wake_, &engine);
  if (status.ok()) side.engines.push_back(std::move(engine));
  return status;
}

void Agent::stop_engines(Side& side) {
  if (side.guest != nullptr) machines_->leave(side.guest);
  log_news();
  for (auto& engine : side.engines) engine->stop();
  for (auto& engine : side.engines) engine->join();
  log_messages(side);
  side.engines.clear();
}

void Agent::say_signalled() { log_.say("asked to end by a signal: detaching"); }

Agent::Turn Agent::look(uint32_t* number) {
  drain(doorbell_);
  look_at_link();
  for (Side& side : sides_) log_messages(side);
  log_news();
  const Turn turn = answer(number);
  if (turn == Turn::over) log_.say("asked to detach");
  if (turn != Turn::serves) return turn;
  const std::string why = trouble();
  if (why.empty()) return turn;
  end(why);
  return Turn::over;
}

Agent::Turn Agent::answer(uint32_t* number) {
  AgentRec& a = record();
  asked_ = a.asked.load(std::memory_order_acquire);
  if (asked_ == a.answered.load(std::memory_order_relaxed)) return Turn::serves;
  const AgentWish wish = agent_take_wish(a);
  if (wish.what == AgentWish::What::serve) {
    *number = wish.first;
    return Turn::asked;
  }
  if (wish.what == AgentWish::What::poll) poll_on(wish.cores, wish.first);
  publish();
  answered();
  return wish.what == AgentWish::What::stop ? Turn::over : Turn::serves;
}

void Agent::answered() { record().answered.store(asked_, std::memory_order_release); }

void Agent::poll_on(uint32_t cores, uint32_t first) {
  AgentRec& a = record();
  a.poll_first.store(first, std::memory_order_relaxed);
  a.poll_cores.store(cores, std::memory_order_release);
  Side& side = sides_[0];
  Status status;
  if (side.guest != nullptr) {
    status = machines_->poll(side.guest, cores, first);
  } else {
    stop_engines(side);
    status = start_engines(side);
  }
  if (!status.ok()) {
    a.poll_cores.store(0, std::memory_order_release);
    log_.say("polling: %s", status.text.c_str());
    return;
  }
  if (cores == 0) {
    log_.say("polling ended");
  } else if (cores == 1) {
    log_.say("polling on core %u", first);
  } else {
    log_.say("polling on cores %u, what comes in, and %u, what goes out", first, first + 1);
  }
}

void Agent::log_messages(Side& side) {
  for (auto& engine : side.engines) {
    for (const EngineSample& sample : engine->sample()) {
      for (const EngineMessage& message : sample.messages) log_.say("%s", message.text.c_str());
    }
  }
}

std::string Agent::trouble() {
  if (!rt_->directory.present().ok()) return "the runtime directory was removed";
  for (const Side& side : sides_) {
    if (side.guest != nullptr) {
      if (std::string why = machines_->trouble(side.guest); !why.empty()) return why;
      continue;
    }
    if (side.engines.empty()) return "its engine could not be started again";
    const auto ended = std::find_if(side.engines.begin(), side.engines.end(),
                                    [](const auto& engine) { return engine->done(); });
    if (ended == side.engines.end()) continue;
    WireState state;
    if (side.wire->wire_state(&state) && state.removed) {
      Interface there;
      if (is_host(side) && find_interface(interface_index_, &there) == 0)
        return "the device of its host side, " + interface_name_ + "^, was removed";
      return "its interface " + link_.interface +
             (watch_.moved() ? " was moved to another network namespace" : " was removed");
    }
    return (*ended)->join().text;
  }
  return {};
}

// Wires first: the interface is as it was before its port is gone, and their buffers are the ports'.
void Agent::close_sides() {
  for (Side& side : sides_) stop_engines(side);
  for (Side& side : sides_) side.wire.reset();
  for (Side& side : sides_) side.port.reset();
  sides_.clear();
  claim_.reset();
}

void Agent::end(const std::string& why) {
  log_.say("%s: detaching", why.c_str());
  close_sides();
  DirLock lock;
  if (rt_->directory.present().ok() && lock.acquire(rt_->directory, "ending").ok())
    agent_end(*rt_, static_cast<uint32_t>(slot_), why.c_str());
  slot_ = -1;
}

void Agent::detach() {
  close_sides();
  if (rt_ != nullptr && rt_->directory.present().ok()) {
    DirLock lock;
    if (lock.acquire(rt_->directory, "detaching an interface").ok()) {
      if (slot_ >= 0) agent_destroy(*rt_, static_cast<uint32_t>(slot_));
      if (rt_.use_count() == 1) rt_->process.leave(rt_->directory);
    }
  }
  slot_ = -1;
  if (doorbell_ >= 0) close(doorbell_);
  doorbell_ = -1;
  rt_.reset();
}

}  // namespace vale
