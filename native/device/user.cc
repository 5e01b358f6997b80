// SPDX-License-Identifier: BSD-2-Clause
#include "device/user.h"

#include "device/addresses.h"
#include "device/agent_list.h"
#include "device/attach.h"
#include "device/look.h"
#include "device/port_life.h"
#include "device/registered_port.h"
#include "shm/machine_clock.h"
#include "switch/counters.h"
#include "switch/listing.h"
#include "switch/ports.h"
#include "switch/probe.h"

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
  Status create(const OpenRequest& wish, PortInfo* out) override {
    return create_port(*rt_, wish, out);
  }
  Status remove(const std::string& name) override { return remove_port(*rt_, name); }
  Status attach(const AttachRequest& request, uint32_t* port_index, std::string* warning) override {
    return attach_port(*rt_, request, port_index, warning);
  }
  Status detach(const std::string& port, uint32_t* port_index) override {
    return detach_port(*rt_, port, port_index);
  }
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
  const Control& control() const { return rt_->control(); }

  std::shared_ptr<Runtime> rt_;
};

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
  if (Status s = find_switch(control(), port, &slot); !s.ok()) return s;
  *switch_index = slot;
  *port_index = 255;
  uint32_t p;
  if (port.find(':') != std::string::npos && find_port(control(), port, &p).ok() &&
      control().port(p).kind == Kind::port)
    *port_index = control().port(p).port_index.load();
  return Status::good();
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
  if (Status s = find_port(control(), port, &slot); !s.ok()) return s;
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
  if (Status s = find_port(control(), port, &slot); !s.ok()) {
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
  if (Status s = find_switch(control(), sw, &slot); !s.ok()) return s;
  return addresses_of(*rt_, slot, out);
}

Status UserDevice::fdb_flush(const std::string& sw, uint32_t* removed) {
  Look look(*rt_, "flushing addresses");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_switch(control(), sw, &slot); !s.ok()) return s;
  *removed = forget_addresses(*rt_, slot);
  return Status::good();
}

Status UserDevice::fdb_add(const std::string& port, const uint8_t mac[6]) {
  if (mac[0] & 1) return Status::fail(EINVAL, "a group address belongs to no single port");
  Look look(*rt_, "adding an address");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_port(control(), port, &slot); !s.ok()) return s;
  return bind_address(*rt_, slot, mac);
}

Status UserDevice::fdb_remove(const std::string& sw, const uint8_t mac[6]) {
  Look look(*rt_, "removing an address");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_switch(control(), sw, &slot); !s.ok()) return s;
  return forget_address(*rt_, slot, mac);
}

Status UserDevice::set_ageing(const std::string& sw, uint32_t seconds) {
  Look look(*rt_, "changing a switch");
  if (!look.status.ok()) return look.status;
  uint32_t slot;
  if (Status s = find_switch(control(), sw, &slot); !s.ok()) return s;
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
