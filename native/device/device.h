// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A session asks a Device to open() a name. It gets a Port: netmap rings in mapped memory.
//   1. Fill slots of a tx ring from head on, advance head and cur, call txsync().
//   2. Call rxsync(); read slots of an rx ring from head to tail; advance head and cur.
//   3. With nothing to do, wait_ports() (wait.h): sync, arm, look again, sleep, sync.
//
// Owns. A Port owns one registration: it ends with the Port, or with the process. Rings of one Port
//   belong to one thread at a time per ring; two Ports on the same rings are two registrations. Calls
//   that change the registration (destruction) must not run beside any other call on the same Port.
//
// Invariants. nifp(), the rings and the buffers stay mapped and in place while the Port lives.
//   A sync never blocks, never fails because of what is in a ring, and never throws.
//
// Not here. What a name means (src/port), how frames travel (switch/), how a wire is driven (nic/).
#pragma once

#include <poll.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "abi/netmap.h"
#include "ring_view.h"
#include "status.h"
#include "types.h"

namespace vale {

class DirectSender;

class Port {
 public:
  virtual ~Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  const PortInfo& info() const { return info_; }
  netmap_if* nifp() const { return nifp_; }
  char* base() const { return base_; }  // of the mapping of info().memsize bytes

  // The rings this registration binds, as a half-open range. Host rings count on from *_rings.
  unsigned first_tx() const { return first_tx_; }
  unsigned last_tx() const { return last_tx_; }
  unsigned first_rx() const { return first_rx_; }
  unsigned last_rx() const { return last_rx_; }
  // Not found by way of nifp(): what stands in a region may have been overwritten.
  const RingView& tx_view(unsigned i) const { return tx_views_[i]; }
  const RingView& rx_view(unsigned i) const { return rx_views_[i]; }
  netmap_ring* tx_ring(unsigned i) const { return tx_views_[i].ring(); }
  netmap_ring* rx_ring(unsigned i) const { return rx_views_[i].ring(); }

  // Equal and not zero for two Ports whose buffers are in one region (and one mapping): buffer
  // indices may then be swapped between their rings.
  uint64_t memory_key() const { return memory_key_; }

  // Push all bound tx rings / fetch all bound rx rings. 0, or an errno when the port itself is gone
  // (ENXIO: detached for good; ENODEV: the runtime directory or interface went away; EIO: the file of its
  // memory was cut short; EPIPE: a monitor
  // whose parent has closed, once all it saw was read. netmap's ioctl answers 0 to that one.)
  virtual int txsync() = 0;
  virtual int rxsync() = 0;

  // The four halves of sleeping; see wait.h, which calls them in this order.
  // ready: sync as poll(2) on netmap would, and say which of `events` (POLLIN, POLLOUT) hold. POLLERR: the
  // port is gone, or a ring's head or cur was where it cannot be and has been put back.
  virtual short ready(short events) = 0;
  // arm: announce that the caller is about to sleep for `events`. The caller looks once more after.
  virtual void arm(short events) = 0;
  // fd and the events to poll it for; -1 when the port has nothing to sleep on.
  virtual int fd() const = 0;
  virtual short poll_events(short events) const = 0;
  virtual void disarm() = 0;
  bool lively = false;  // something was ready since the last wait that found nothing (wait.h)

  virtual PortCounters counters() const = 0;
  // Whether counters() says anything: the kernel's netmap counts nothing.
  virtual bool counted() const { return true; }

  // False for a port that is no wire. Asks the kernel: a few system calls.
  virtual bool wire_state(WireState*) const { return false; }
  // A new descriptor of the file that base() maps, from its start: for a second mapping of the same
  // memory. -1 and errno (EOPNOTSUPP where memory is private to this process).
  virtual int open_memory() const {
    errno = EOPNOTSUPP;
    return -1;
  }

  // What is in that memory.
  virtual PoolsInfo pools() const { return {}; }

  // Map now what syncs would map when they need it: all that this port can send to at the moment. For a
  // process that is about to give up the right to open it.
  virtual void map_peers() {}

  // For who carries frames from a tx ring to the place of another port's rx ring by himself (switch/direct.h):
  // what counts those, and what that ring is called there. null: this port is none of the switch's.
  virtual DirectSender* direct_sender(unsigned) { return nullptr; }
  virtual uint32_t direct_place(unsigned) const { return ~uint32_t{0}; }

  // NR_* of the registration.
  uint64_t flags() const { return flags_; }

  // Of the registration, whichever process holds it: whether its rings are driven through control blocks
  // (netmap's CSB mode), and by a loop of some process that lives.
  virtual bool loop_enabled() const { return false; }
  virtual bool loop_running() const { return false; }
  virtual bool loop_stopping() const { return false; }
  virtual void loop_enable() {}
  virtual bool loop_begin() { return false; }  // this process's; false: there is one
  virtual void loop_end() {}                   // and who wanted it to stop has it
  virtual void loop_stop() {}                  // the one that runs, or else the next

  // The port's virtio-net header length in bytes: 0, 10 or 12.
  virtual uint32_t header_length() const { return 0; }
  virtual Status set_header_length(uint32_t) {
    return Status::fail(ENXIO, "%s carries no virtio-net headers", info_.name.c_str());
  }

 protected:
  Port() = default;
  PortInfo info_;
  netmap_if* nifp_ = nullptr;
  char* base_ = nullptr;
  unsigned first_tx_ = 0, last_tx_ = 0, first_rx_ = 0, last_rx_ = 0;
  std::vector<RingView> tx_views_, rx_views_;  // by ring number; those not bound are empty
  uint64_t memory_key_ = 0;
  uint64_t flags_ = 0;
};

// Where ports come from: this project's switch, the kernel's netmap, a wire. A device that does not
// do something answers EOPNOTSUPP.
class Device {
 public:
  virtual ~Device() = default;
  virtual const char* name() const = 0;
  virtual Status open(const OpenRequest& request, std::unique_ptr<Port>* out) = 0;

  // The registration that this descriptor, inherited or passed on by another process, keeps alive: a
  // Port of this process on it. ENXIO when it is none of this device's. `fd` stays the caller's.
  virtual Status adopt(int fd, std::unique_ptr<Port>* out) {
    (void)fd, (void)out;
    return Status::fail(EOPNOTSUPP, "this device takes over no descriptors");
  }

  // Control, all of it answered from live state; names are full names.
  virtual Status list(std::vector<PortRow>* out) = 0;
  virtual Status switches(std::vector<SwitchRow>* out) = 0;
  // PORT_INFO_GET. An empty name asks for memory probe.mem_id alone: memsize, mem_id and buf_size.
  virtual Status info(const std::string& port, OpenRequest probe, PortInfo* out) = 0;
  // POOLS_INFO_GET; the same errors as info(), ENXIO for an empty name.
  virtual Status pools_info(const std::string& port, OpenRequest probe, PoolsInfo* out) = 0;
  // VALE_LIST by name: indices of a port; port_index 255 when only the switch exists.
  virtual Status index(const std::string& port, uint32_t* switch_index, uint32_t* port_index) = 0;
  virtual Status create(const OpenRequest& wish, PortInfo* out) = 0;  // persistent port (NEWIF)
  virtual Status remove(const std::string& name) = 0;                 // DELIF
  // *warning (may be null): one line when something could not be had, else empty.
  virtual Status attach(const AttachRequest& request, uint32_t* port_index,
                        std::string* warning = nullptr) = 0;
  virtual Status detach(const std::string& port, uint32_t* port_index) = 0;
  // POLLING_ENABLE, _DISABLE of an attached interface: busy polling on `cores` CPUs from `first` on; 0 ends it.
  virtual Status polling(const std::string& port, uint32_t cores, uint32_t first) = 0;
  // Attached interfaces, and agents that died; forget_agent: a death was told, or its log was shown.
  virtual Status agents(std::vector<AgentRow>* out) = 0;
  virtual Status forget_agent(const std::string& port, bool log_shown) = 0;
  virtual Status set_header_length(const std::string& port, uint32_t length) = 0;
  virtual Status get_header_length(const std::string& port, uint32_t* length) = 0;
  virtual Status fdb_show(const std::string& sw, std::vector<FdbRow>* out) = 0;
  virtual Status fdb_flush(const std::string& sw, uint32_t* removed) = 0;  // dynamic entries only
  virtual Status fdb_add(const std::string& port, const uint8_t mac[6]) = 0;  // static
  virtual Status fdb_remove(const std::string& sw, const uint8_t mac[6]) = 0;
  virtual Status set_ageing(const std::string& sw, uint32_t seconds) = 0;  // 0 = never
};

}  // namespace vale
