// SPDX-License-Identifier: BSD-2-Clause
#include "device/kernel.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "abi/netmap_control.h"
#include "device/kernel_port.h"
#include "device/request_body.h"

namespace vale {
namespace {

using namespace request_body;

constexpr uint32_t kOneCpu = 1, kSeveralCpus = 2;  // nmreq_vale_polling::nr_mode

class KernelDevice final : public Device {
 public:
  explicit KernelDevice(int fd) : fd_(fd) {}
  ~KernelDevice() override { close(fd_); }

  const char* name() const override { return "kernel"; }
  Status open(const OpenRequest& q, std::unique_ptr<Port>* out) override {
    return open_kernel_port(q, out);
  }
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
  Status agents(std::vector<AgentRow>* out) override {
    out->clear();  // it drives attached interfaces itself
    return Status::good();
  }
  Status forget_agent(const std::string&, bool) override { return lacks("no agents"); }
  Status set_header_length(const std::string& port, uint32_t length) override;
  Status get_header_length(const std::string& port, uint32_t* length) override;
  Status fdb_show(const std::string&, std::vector<FdbRow>*) override { return lacks_fdb(); }
  Status fdb_flush(const std::string&, uint32_t*) override { return lacks_fdb(); }
  Status fdb_add(const std::string&, const uint8_t[6]) override { return lacks_fdb(); }
  Status fdb_remove(const std::string&, const uint8_t[6]) override { return lacks_fdb(); }
  Status set_ageing(const std::string&, uint32_t) override {
    return lacks("no ageing: it never forgets an address");
  }

 private:
  static Status lacks(const char* what) {
    return Status::fail(EOPNOTSUPP, "the kernel's netmap has %s; with VALE_DEVICE=user this works",
                        what);
  }
  static Status lacks_fdb() { return lacks("no request that shows or changes addresses"); }

  int ask(uint16_t type, const std::string& name, void* body) const {
    return kernel_control(fd_, type, name, body);
  }
  int port_info(const std::string& name, uint16_t mem_id, PortInfo* out) const;

  const int fd_;
};

// What an errno of a control request means. `special` explains the one that the request is known for.
Status refused(const std::string& name, int err, int special = 0, const char* why = "") {
  const char* n = name.c_str();
  if (err == special) return Status::fail(err, "%s: %s", n, why);
  switch (err) {
    case ENXIO:
      return Status::fail(err, "%s: the kernel's netmap has no such port; `vale ctl` lists them",
                          n);
    case ENOENT:
      return Status::fail(err, "%s: no such switch; `vale ctl` lists what is there", n);
    case ENOMEM:
      return Status::fail(
          err,
          "%s: the kernel's netmap has no memory, no switch or no port left for it, "
          "or takes no name like that",
          n);
    default:
      return Status::fail(err, "%s: the kernel's netmap says: %s", n, std::strerror(err));
  }
}

int KernelDevice::port_info(const std::string& name, uint16_t mem_id, PortInfo* out) const {
  nmreq_port_info_get body{};
  body.nr_mem_id = mem_id;
  out->name = name;
  out->device = "kernel";
  if (const int err = ask(NETMAP_REQ_PORT_INFO_GET, name, &body)) return err;
  fields(body, *out, from_body);
  // The pool of buffers tells their size; a module too old to answer leaves it unknown.
  nmreq_pools_info pools{};
  pools.nr_mem_id = body.nr_mem_id;
  if (!name.empty() && ask(NETMAP_REQ_POOLS_INFO_GET, name, &pools) == 0)
    out->buf_size = pools.nr_buf_pool_objsize;
  return 0;
}

// Ports on switches: nobody enumerates the others.
Status KernelDevice::list(std::vector<PortRow>* out) {
  out->clear();
  nmreq_vale_list at{};
  for (;;) {
    const nmreq_vale_list asked = at;
    char name[NETMAP_REQ_IFNAMSIZ] = {};
    const int err = kernel_control(fd_, NETMAP_REQ_VALE_LIST, name, &at);
    const bool later =
        at.nr_bridge_idx > asked.nr_bridge_idx ||
        (at.nr_bridge_idx == asked.nr_bridge_idx && at.nr_port_idx >= asked.nr_port_idx);
    if (err == ENOENT || !later) return Status::good();
    if (err != 0) return refused("listing", err);
    name[sizeof name - 1] = 0;
    PortRow row;
    row.counted = false;
    row.name = name;
    row.switch_index = at.nr_bridge_idx;
    row.port_index = at.nr_port_idx;
    row.attached = true;
    at.nr_port_idx++;
    // Asking for what has just gone would make it for a moment, with a new memory id: harmless.
    port_info(row.name, 0, &row.info);
    nmreq_port_hdr header{};
    if (ask(NETMAP_REQ_PORT_HDR_GET, row.name, &header) == 0) row.header_length = header.nr_hdr_len;
    out->push_back(std::move(row));
  }
}

Status KernelDevice::switches(std::vector<SwitchRow>* out) {
  std::vector<PortRow> ports;
  if (Status s = list(&ports); !s.ok()) return s;
  out->clear();
  for (const PortRow& port : ports) {
    if (out->empty() || out->back().index != port.switch_index) {
      SwitchRow row;
      row.counted = false;
      row.index = port.switch_index;
      // A persistent port that was open before it was attached lists under its own name.
      row.name = port.name.substr(0, port.name.find(':'));
      out->push_back(std::move(row));
    }
    out->back().ports++;
    if (const size_t colon = port.name.find(':'); colon != std::string::npos)
      out->back().name = port.name.substr(0, colon);
  }
  return Status::good();
}

Status KernelDevice::info(const std::string& port, OpenRequest probe, PortInfo* out) {
  const int err = port_info(port, probe.mem_id, out);
  if (err == 0) return Status::good();
  return refused(port, err, EINVAL,
                 "no port can have this name, or no memory the id that was asked for");
}

Status KernelDevice::pools_info(const std::string& port, OpenRequest probe, PoolsInfo* out) {
  nmreq_pools_info body{};
  body.nr_mem_id = probe.mem_id;
  if (const int err = ask(NETMAP_REQ_POOLS_INFO_GET, port, &body)) return refused(port, err);
  out->memsize = body.nr_memsize;
  out->mem_id = body.nr_mem_id;
  out->ifs = {body.nr_if_pool_offset, body.nr_if_pool_objtotal, body.nr_if_pool_objsize};
  out->rings = {body.nr_ring_pool_offset, body.nr_ring_pool_objtotal, body.nr_ring_pool_objsize};
  out->bufs = {body.nr_buf_pool_offset, body.nr_buf_pool_objtotal, body.nr_buf_pool_objsize};
  return Status::good();
}

Status KernelDevice::index(const std::string& port, uint32_t* switch_index, uint32_t* port_index) {
  nmreq_vale_list body{};
  // Its names of ports have a colon, those of switches too.
  const std::string name = port.find(':') == std::string::npos ? port + ':' : port;
  const std::string bare = port.substr(0, port.find(':'));
  if (const int err = ask(NETMAP_REQ_VALE_LIST, name, &body))
    return refused(err == ENOENT ? bare : port, err);
  *switch_index = body.nr_bridge_idx;
  *port_index = body.nr_port_idx;
  return Status::good();
}

Status KernelDevice::create(const OpenRequest& wish, PortInfo* out) {
  if (wish.buf_size != 0 || wish.extra_bufs != 0) {
    return Status::fail(EOPNOTSUPP,
                        "%s: the kernel's netmap makes a persistent port with rings and slots only",
                        wish.name.c_str());
  }
  nmreq_vale_newif body{};
  sizes(body, wish, to_body);
  if (const int err = ask(NETMAP_REQ_VALE_NEWIF, wish.name, &body))
    return refused(wish.name, err, EEXIST, "an interface or persistent port has this name already");
  *out = {};
  out->name = wish.name;
  out->device = "kernel";
  sizes(body, *out, from_body);
  return Status::good();
}

Status KernelDevice::remove(const std::string& name) {
  if (const int err = ask(NETMAP_REQ_VALE_DELIF, name, nullptr)) {
    return refused(name, err, EBUSY,
                   "open, or attached to a switch; close it, or first run: vale ctl -d");
  }
  return Status::good();
}

Status KernelDevice::attach(const AttachRequest& request, uint32_t* port_index,
                            std::string* warning) {
  const OpenRequest& q = request.port;
  const char* n = q.name.c_str();
  if (warning != nullptr) warning->clear();
  if (!request.machine().empty()) return lacks("no ports for virtual machines of its own");
  if (!request.netns.empty() || request.shared ||
      (!request.backend.empty() && request.backend != "auto")) {
    return Status::fail(
        EOPNOTSUPP,
        "%s: the kernel's netmap drives interfaces of this network namespace by their "
        "own drivers; leave --backend, --netns and --shared out",
        n);
  }
  nmreq_vale_attach body{};
  body.reg.nr_mode = request.host ? NR_REG_NIC_SW : NR_REG_ALL_NIC;
  sizes(body.reg, q, to_body);
  const int err = ask(NETMAP_REQ_VALE_ATTACH, q.name, &body);
  if (err == EINVAL)
    return refused(
        q.name, err, EINVAL,
        "no persistent port or interface has this name, or it has no host stack; see: ip link");
  if (err != 0) return refused(q.name, err, EBUSY, "attached already, or open elsewhere");
  *port_index = body.port_index;
  return Status::good();
}

Status KernelDevice::detach(const std::string& port, uint32_t* port_index) {
  nmreq_vale_detach body{};
  const int err = ask(NETMAP_REQ_VALE_DETACH, port, &body);
  if (err == EINVAL) return refused(port, err, EINVAL, "expected SWITCH:PORT");
  if (err != 0)
    return refused(
        port, err, EBUSY,
        "an ephemeral port leaves its switch when it is closed, a polled one after: vale "
        "ctl -P");
  *port_index = body.port_index;
  return Status::good();
}

Status KernelDevice::polling(const std::string& port, uint32_t cores, uint32_t first) {
  nmreq_vale_polling body{};
  body.nr_mode = cores > 1 ? kSeveralCpus : kOneCpu;
  body.nr_first_cpu_id = first;
  body.nr_num_polling_cpus = cores;
  const bool on = cores != 0;
  const int err =
      ask(on ? NETMAP_REQ_VALE_POLLING_ENABLE : NETMAP_REQ_VALE_POLLING_DISABLE, port, &body);
  if (err == 0) return Status::good();
  if (err == EOPNOTSUPP)
    return refused(port, err, err, "only an attached network interface can be polled");
  return refused(port, err, EFAULT, on ? "polled already" : "not polled");
}

Status KernelDevice::set_header_length(const std::string& port, uint32_t length) {
  nmreq_port_hdr body{};
  body.nr_hdr_len = length;
  const int err = ask(NETMAP_REQ_PORT_HDR_SET, port, &body);
  return err == 0 ? Status::good() : refused(port, err, EINVAL, "expected 0, 10 or 12 bytes");
}

Status KernelDevice::get_header_length(const std::string& port, uint32_t* length) {
  nmreq_port_hdr body{};
  if (const int err = ask(NETMAP_REQ_PORT_HDR_GET, port, &body)) return refused(port, err);
  *length = body.nr_hdr_len;
  return Status::good();
}

}  // namespace

Status open_kernel_device(std::unique_ptr<Device>* out) {
  const int fd = ::open(kKernelPath, O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    const int err = errno;
    const char* reason = std::strerror(err);
    if (err == ENOENT) {
      return Status::fail(
          err,
          "/dev/netmap: %s; load netmap's module, or leave VALE_DEVICE out for switches "
          "in shared memory",
          reason);
    }
    return Status::fail(err, "/dev/netmap: %s; leave VALE_DEVICE out for switches in shared memory",
                        reason);
  }
  out->reset(new KernelDevice(fd));
  return Status::good();
}

}  // namespace vale
