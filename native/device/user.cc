// SPDX-License-Identifier: BSD-2-Clause
#include "device/user.h"

#include <net/if.h>

#include "device/addresses.h"
#include "device/agent_list.h"
#include "device/attach.h"
#include "device/registered_port.h"
#include "shm/machine_clock.h"
#include "switch/agents.h"
#include "switch/counters.h"
#include "switch/listing.h"
#include "switch/memory.h"
#include "switch/ports.h"
#include "switch/probe.h"
#include "switch/reap.h"

namespace vale {
namespace {

class UserDevice final : public Device {
 public:
  explicit UserDevice(std::shared_ptr<Runtime> rt) : rt_(std::move(rt)) {}

  const char* name() const override { return "user"; }
  Status open(const OpenRequest& q, std::unique_ptr<Port>* out) override {
    return open_port(rt_, q, out);
  }
  Status adopt(int fd, std::unique_ptr<Port>* out) override { return adopt_port(rt_, fd, out); }
  Status list(std::vector<PortRow>* out) override;
  Status switches(std::vector<SwitchRow>* out) override;
  Status info(const std::string& port, OpenRequest probe, PortInfo* out) override;
  Status pools_info(const std::string& port, OpenRequest probe, PoolsInfo* out) override;
  Status index(const std::string& port, uint32_t* switch_index, uint32_t* port_index) override;
  Status create(const OpenRequest& wish, PortInfo* out) override;
  Status remove(const std::string& name) override;
  Status attach(const AttachRequest& request, uint32_t* port_index, std::string* warning) override;
  Status detach(const std::string& port, uint32_t* port_index) override;
  Status polling(const std::string& port, uint32_t cores, uint32_t first) override;
  Status agents(std::vector<AgentRow>* out) override;
  Status forget_agent(const std::string& port, bool log_shown) override;
  Status set_header_length(const std::string& port, uint32_t length) override;
  Status get_header_length(const std::string& port, uint32_t* length) override;
  Status fdb_show(const std::string& sw, std::vector<FdbRow>* out) override;
  Status fdb_flush(const std::string& sw, uint32_t* removed) override;
  Status fdb_add(const std::string& port, const uint8_t mac[6]) override;
  Status fdb_remove(const std::string& sw, const uint8_t mac[6]) override;
  Status set_ageing(const std::string& sw, uint32_t seconds) override;

 private:
  // Every control call: one thread at a time, the directory lock, a look that reaps.
  struct Look {
    std::unique_lock<std::mutex> guard;
    DirLock lock;
    Status status;
    explicit Look(Runtime& rt, const char* what) : guard(rt.slow) {
      status = lock.acquire(rt.directory, what);
      if (status.ok()) reap(rt);
    }
  };
  Status find_switch(const std::string& name, uint32_t* slot) const;
  Status find_port(const std::string& name, uint32_t* slot) const;
  const Control& control() const { return rt_->control(); }

  std::shared_ptr<Runtime> rt_;
};

Status UserDevice::find_switch(const std::string& name, uint32_t* slot) const {
  const std::string bare = name.substr(0, name.find(':'));
  const int32_t found = switch_find(control(), bare);
  if (found < 0)
    return Status::fail(ENOENT, "%s: no such switch; `vale ctl` lists what is there", bare.c_str());
  *slot = static_cast<uint32_t>(found);
  return Status::good();
}

Status UserDevice::find_port(const std::string& name, uint32_t* slot) const {
  int32_t found;
  if (Status s = port_lookup(control(), name, ENXIO, &found); !s.ok()) return s;
  if (found < 0)
    return Status::fail(ENXIO, "%s: no such port; `vale ctl` lists what is there", name.c_str());
  *slot = static_cast<uint32_t>(found);
  return Status::good();
}

Status UserDevice::list(std::vector<PortRow>* out) {
  Look look(*rt_, "listing");
  if (!look.status.ok()) return look.status;
  list_ports(control(), out);
  return Status::good();
}

Status UserDevice::switches(std::vector<SwitchRow>* out) {
  Look look(*rt_, "listing");
  if (!look.status.ok()) return look.status;
  const Control& c = control();
  out->clear();
  for (uint32_t s = 0; s < c.switches(); s++) {
    const SwitchRec& sw = c.sw(s);
    if (sw.state.load() != State::live) continue;
    SwitchRow r;
    r.name = sw.name;
    r.index = s;
    r.ports = sw.active.load();
    r.ageing_s = sw.ageing_s.load();
    if (const Fdb fdb = switch_fdb(*rt_, s); fdb.mapped())
      r.fdb_entries = fdb.count(sw, machine_seconds());
    r.totals = to_counters(switch_totals(c, s));
    out->push_back(std::move(r));
  }
  return Status::good();
}

Status UserDevice::info(const std::string& port, OpenRequest probe, PortInfo* out) {
  std::lock_guard<std::mutex> guard(rt_->slow);
  if (port.empty()) return probe_memory(*rt_, probe.mem_id, out);
  probe.name = port;
  return probe_port(*rt_, probe, out);
}

Status UserDevice::pools_info(const std::string& port, OpenRequest probe, PoolsInfo* out) {
  std::lock_guard<std::mutex> guard(rt_->slow);
  probe.name = port;
  return probe_pools(*rt_, probe, out);
}

Status UserDevice::index(const std::string& port, uint32_t* switch_index, uint32_t* port_index) {
  if (port.compare(0, 4, "vale") != 0)
    return Status::fail(EINVAL, "%s: expected a name that begins with vale", port.c_str());
  Look look(*rt_, "looking up a port");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_switch(port, &slot); !s.ok()) return s;
  *switch_index = slot;
  *port_index = 255;
  uint32_t p;
  if (port.find(':') != std::string::npos && find_port(port, &p).ok() &&
      control().port(p).kind == Kind::port)
    *port_index = control().port(p).port_index.load();
  return Status::good();
}

Status UserDevice::create(const OpenRequest& wish, PortInfo* out) {
  const char* n = wish.name.c_str();
  if (wish.name.compare(0, 4, "vale") == 0 || wish.name.empty() || wish.name.size() > 15 ||
      wish.name.find_first_of(":{}*^/@- ") != std::string::npos) {
    return Status::fail(
        EINVAL,
        "%s: expected 1 to 15 characters, not beginning with vale and without : { } * ^ / @ -", n);
  }
  if (if_nametoindex(n) != 0)
    return Status::fail(EEXIST, "%s: an interface has this name already", n);
  Look look(*rt_, "creating a port");
  if (!look.status.ok()) return look.status;
  if (persistent_find(control(), wish.name) >= 0)
    return Status::fail(EEXIST, "%s: a persistent port has this name already", n);
  Change change(*rt_);
  uint32_t slot;
  if (Status s = port_create(*rt_, wish.name, wish, true, &slot); !s.ok()) return s;
  if (Status s = memory_assign(*rt_, slot, wish.extra_bufs); !s.ok()) {
    port_destroy(*rt_, slot);
    return s;
  }
  control().port(slot).state.store(State::live, std::memory_order_release);
  fill_info(control(), control().port(slot), out);
  return Status::good();
}

Status UserDevice::remove(const std::string& name) {
  const char* n = name.c_str();
  Look look(*rt_, "removing a port");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_port(name, &slot); !s.ok()) {
    if (if_nametoindex(n) == 0) return s;
    return Status::fail(EINVAL, "%s: a network interface, not a persistent port", n);
  }
  PortRec& p = control().port(slot);
  if (p.persistent == 0)
    return Status::fail(ENXIO, "%s: not a persistent port; it goes when it is closed", n);
  if (p.hidden != 0)
    return Status::fail(EINVAL, "%s: made for its pipes; it goes with the last of them", n);
  if (port_has_pipes(control(), slot))
    return Status::fail(EBUSY, "%s: has pipes; close them first", n);
  if (p.switch_slot.load() >= 0) {
    const std::string full = full_name(control(), p);
    return Status::fail(EBUSY, "%s: attached; run: vale ctl -d %s", n, full.c_str());
  }
  if (p.reg_mask.load() != 0) return Status::fail(EBUSY, "%s: still open; close it first", n);
  Change change(*rt_);
  if (!port_destroy(*rt_, slot))
    return Status::fail(
        EBUSY, "%s: a stopped process is inside it; it goes once that process continues or ends",
        n);
  return Status::good();
}

Status UserDevice::attach(const AttachRequest& request, uint32_t* port_index,
                          std::string* warning) {
  std::string unheard;
  if (warning == nullptr) warning = &unheard;
  warning->clear();
  const OpenRequest& q = request.port;
  const char* n = q.name.c_str();
  SplitName name;
  if (q.name.compare(0, 4, "vale") != 0 || q.name.find(':') == std::string::npos) {
    return Status::fail(EINVAL, "%s: expected SWITCH:PORT, as in vale0:%s", n, n);
  }
  if (Status s = split_name(q.name, ENOMEM, &name); !s.ok()) return s;
  if (!request.agent_name.empty()) {
    if (request.machine().empty())
      return Status::fail(EINVAL, "%s: an agent has a name where it serves virtual machines", n);
    if (request.agent_name.size() >= sizeof AgentRec::name) {
      return Status::fail(EINVAL, "%s: expected at most %zu bytes for an agent's name", n,
                          sizeof AgentRec::name - 1);
    }
  }
  {
    Look look(*rt_, "attaching a port");
    if (!look.status.ok()) return look.status;
    const Control& c = control();
    if (const int32_t there = port_find(c, name); there >= 0) {
      const bool kept = c.port(there).persistent != 0 || c.port(there).agent != 0;
      if (!kept) return Status::fail(EBUSY, "%s: a program has it open; close it there", n);
      return Status::fail(EBUSY,
                          "%s: attached already; to attach it otherwise first run: vale ctl "
                          "-d %s",
                          n, n);
    }
    if (q.mem_id != 0) {
      uint32_t region;
      if (Status s = region_find(*rt_, q.mem_id, &region); !s.ok()) return s;
    }
    if (const int32_t found = persistent_find(c, name.port); found >= 0) {
      const uint32_t slot = static_cast<uint32_t>(found);
      PortRec& p = c.port(slot);
      if (request.host)
        return Status::fail(EINVAL, "%s: a persistent port has no host stack; use -a", n);
      if (!request.machine().empty()) {
        return Status::fail(EEXIST,
                            "%s: a persistent port is named %s; give the virtual machine's port "
                            "another name",
                            n, name.port.c_str());
      }
      if (p.hidden != 0)
        return Status::fail(EINVAL, "%s: %s was made for its pipes and goes with them", n,
                            name.port.c_str());
      if (p.switch_slot.load() >= 0) {
        const std::string there = full_name(c, p);
        return Status::fail(EBUSY, "%s: %s is attached as %s; first run: vale ctl -d %s", n,
                            name.port.c_str(), there.c_str(), there.c_str());
      }
      Change change(*rt_);
      if (Status s = port_attach(*rt_, slot, name.sw); !s.ok()) return s;
      *port_index = p.port_index.load();
      return Status::good();
    }
  }
  const bool seen_from_here =
      request.netns.empty() && request.backend != "tap" && request.machine().empty();
  if (seen_from_here && if_nametoindex(name.port.c_str()) == 0) {
    const char* p = name.port.c_str();
    if (name.port.compare(0, 4, "vale") == 0) {
      return Status::fail(EINVAL,
                          "%s: no interface is named %s, and no persistent port can be, as names "
                          "with \"vale\" are of switches; a port of that name is there while a "
                          "program has it open, as in: vale pkt-gen -i %s",
                          n, p, n);
    }
    return Status::fail(EINVAL,
                        "%s: no persistent port or interface is named %s; first run: vale ctl -n "
                        "%s, or see: ip link",
                        n, p, p);
  }
  return attach_interface(*rt_, request, port_index, warning);
}

Status UserDevice::detach(const std::string& port, uint32_t* port_index) {
  const char* n = port.c_str();
  if (port.compare(0, 4, "vale") != 0) return Status::fail(EINVAL, "%s: expected SWITCH:PORT", n);
  uint32_t agent;
  {
    Look look(*rt_, "detaching a port");
    if (!look.status.ok()) return look.status;
    uint32_t slot;
    if (Status s = find_port(port, &slot); !s.ok()) return s;
    PortRec& p = control().port(slot);
    if (p.kind != Kind::port) return Status::fail(EINVAL, "%s: this is no port of a switch", n);
    *port_index = p.port_index.load();
    if (p.agent == 0) {
      if (p.persistent == 0)
        return Status::fail(EBUSY, "%s: an ephemeral port leaves its switch when it is closed", n);
      Change change(*rt_);
      port_detach(*rt_, slot);
      return Status::good();
    }
    agent = p.agent - 1;
    const AgentRec& a = control().agent(agent);
    if (port != a.port) {
      return Status::fail(EBUSY, "%s: it goes with its interface; run: vale ctl -d %s", n, a.port);
    }
  }
  std::lock_guard<std::mutex> guard(rt_->slow);
  return detach_interface(*rt_, agent);
}

Status UserDevice::polling(const std::string& port, uint32_t cores, uint32_t first) {
  std::lock_guard<std::mutex> guard(rt_->slow);
  return poll_interface(*rt_, port, cores, first);
}

Status UserDevice::agents(std::vector<AgentRow>* out) {
  std::lock_guard<std::mutex> guard(rt_->slow);
  return list_agents(*rt_, out);
}

Status UserDevice::forget_agent(const std::string& port, bool log_shown) {
  std::lock_guard<std::mutex> guard(rt_->slow);
  return vale::forget_agent(*rt_, port, log_shown);
}

Status UserDevice::set_header_length(const std::string& port, uint32_t length) {
  if (length != 0 && length != 10 && length != 12) {
    return Status::fail(
        EINVAL, "expected 0, 10 or 12 for the virtio-net header length but received %u", length);
  }
  Look look(*rt_, "changing a port");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_port(port, &slot); !s.ok()) return s;
  if (control().port(slot).kind != Kind::port)
    return Status::fail(ENXIO, "%s: only a switch port has a header length of its own",
                        port.c_str());
  Change change(*rt_);
  control().port(slot).header_length.store(length);
  port_refresh(*rt_, slot);
  return Status::good();
}

Status UserDevice::get_header_length(const std::string& port, uint32_t* length) {
  Look look(*rt_, "looking up a port");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_port(port, &slot); !s.ok()) {
    if (is_pipe(port)) s.err = ENODEV;
    return s;
  }
  *length = control().port(slot).header_length.load();
  return Status::good();
}

Status UserDevice::fdb_show(const std::string& sw, std::vector<FdbRow>* out) {
  Look look(*rt_, "reading addresses");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_switch(sw, &slot); !s.ok()) return s;
  return addresses_of(*rt_, slot, out);
}

Status UserDevice::fdb_flush(const std::string& sw, uint32_t* removed) {
  Look look(*rt_, "flushing addresses");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_switch(sw, &slot); !s.ok()) return s;
  *removed = forget_addresses(*rt_, slot);
  return Status::good();
}

Status UserDevice::fdb_add(const std::string& port, const uint8_t mac[6]) {
  if (mac[0] & 1) return Status::fail(EINVAL, "a group address belongs to no single port");
  Look look(*rt_, "adding an address");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_port(port, &slot); !s.ok()) return s;
  return bind_address(*rt_, slot, mac);
}

Status UserDevice::fdb_remove(const std::string& sw, const uint8_t mac[6]) {
  Look look(*rt_, "removing an address");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_switch(sw, &slot); !s.ok()) return s;
  return forget_address(*rt_, slot, mac);
}

Status UserDevice::set_ageing(const std::string& sw, uint32_t seconds) {
  Look look(*rt_, "changing a switch");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_switch(sw, &slot); !s.ok()) return s;
  control().sw(slot).ageing_s.store(seconds, std::memory_order_relaxed);
  return Status::good();
}

}  // namespace

Status open_user_device(const char* directory, std::unique_ptr<Device>* out, std::string* resolved,
                        std::string* warning) {
  std::shared_ptr<Runtime> rt;
  if (Status s = Runtime::join(directory, &rt); !s.ok()) return s;
  if (resolved != nullptr) *resolved = rt->directory.path();
  if (warning != nullptr) *warning = rt->directory.warning();
  out->reset(new UserDevice(std::move(rt)));
  return Status::good();
}

}  // namespace vale
