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
#include "status.h"

namespace vale {

// What to open. Wishes (slots, rings) count only for the one who creates the port; 0 = default.
struct OpenRequest {
  std::string name;                 // "vale0:a", or an interface's name for a wire; no suffixes
  uint32_t mode = NR_REG_ALL_NIC;   // NR_REG_*
  uint16_t ring_id = 0;             // for the ONE_ modes
  uint64_t flags = 0;               // NR_EXCLUSIVE, NR_TX_RINGS_ONLY, …
  uint32_t tx_slots = 0, rx_slots = 0;
  uint16_t tx_rings = 0, rx_rings = 0;
  uint16_t host_tx_rings = 0, host_rx_rings = 0;
  uint16_t mem_id = 0;              // 0 = memory of its own
  uint32_t extra_bufs = 0;
  uint32_t buf_size = 0;            // bytes a buffer, 0 = default; additions of ours end here
};

// What was opened.
struct PortInfo {
  std::string name;                 // full name, as listed
  std::string device;               // "user", "kernel", "af_packet", …
  uint64_t offset = 0;              // of the netmap_if in the region
  uint64_t memsize = 0;             // bytes of the region
  uint32_t tx_slots = 0, rx_slots = 0;
  uint16_t tx_rings = 0, rx_rings = 0;
  uint16_t host_tx_rings = 0, host_rx_rings = 0;
  uint16_t mem_id = 0;
  uint32_t extra_bufs = 0;          // how many were really given
  uint32_t buf_size = 0;
  uint32_t mtu = 65536;             // most bytes of a frame the port carries
  uint8_t mac[6] = {};              // of the interface; zeros when the port has none
};

// Why a copy of a frame was not delivered. A source reason is counted at the sender's tx ring, a
// destination reason at the receiver's rx ring. Order and names are the JSON schema's.
enum class Drop : unsigned {
  // source
  no_destination,  // nobody else is on the switch, or the port is attached to none
  same_port,       // the destination was learned on the port the frame came from
  not_open,        // the destination ring is bound by nobody
  bad_slot,        // buffer index or length out of range, or NS_INDIRECT pointer unreadable
  runt,            // shorter than an Ethernet header (after the port's virtio-net header)
  too_long,        // more than 64 fragments
  peer_stalled,    // the destination ring's lock is held by a process that does not run
  unmappable,      // this process cannot map the destination's region
  sender_died,     // the sender was killed before the copy was settled
  link_down,       // a wire: the kernel did not take the frame
  // destination
  ring_full,
  too_big,         // does not fit the destination's buffers or its whole ring
  header_mismatch, // the ports' virtio-net header lengths differ
  count_
};
constexpr unsigned kDropReasons = static_cast<unsigned>(Drop::count_);
constexpr unsigned kFirstDestinationDrop = static_cast<unsigned>(Drop::ring_full);
extern const char* const kDropNames[kDropReasons];

// Totals of one port since it was created; frames are whole frames, bytes are without FCS.
// copies = Σ delivered at all destinations + Σ drops, once nothing is in flight.
struct PortCounters {
  uint64_t tx_frames = 0, tx_bytes = 0;  // taken from the port's tx rings (accepted)
  uint64_t tx_copies = 0;                // (frame, eligible destination), or 1 if dropped at source
  uint64_t tx_delivered = 0;             // of tx_copies, how many reached an rx ring
  uint64_t rx_frames = 0, rx_bytes = 0;  // put into the port's rx rings (delivered)
  uint64_t rx_read = 0;                  // of those, how many the application has released
  uint64_t rx_gone = 0;                  // still unread when the ring went away
  uint64_t drops[kDropReasons] = {};
};

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
  netmap_ring* tx_ring(unsigned i) const { return NETMAP_TXRING(nifp_, i); }
  netmap_ring* rx_ring(unsigned i) const { return NETMAP_RXRING(nifp_, i); }

  // Equal and not zero for two Ports whose buffers are in one region (and one mapping): buffer
  // indices may then be swapped between their rings.
  uint64_t memory_key() const { return memory_key_; }

  // Push all bound tx rings / fetch all bound rx rings. 0, or an errno when the port itself is gone
  // (ENXIO: detached for good; ENODEV: the runtime directory or interface went away).
  virtual int txsync() = 0;
  virtual int rxsync() = 0;

  // The four halves of sleeping; see wait.h, which calls them in this order.
  // ready: sync as poll(2) on netmap would, and say which of `events` (POLLIN, POLLOUT) hold.
  virtual short ready(short events) = 0;
  // arm: announce that the caller is about to sleep for `events`. The caller looks once more after.
  virtual void arm(short events) = 0;
  // fd and the events to poll it for; -1 when the port has nothing to sleep on.
  virtual int fd() const = 0;
  virtual short poll_events(short events) const = 0;
  virtual void disarm() = 0;

  virtual PortCounters counters() const = 0;

  // The port's virtio-net header length in bytes: 0, 10 or 12.
  virtual uint32_t header_length() const { return 0; }
  virtual Status set_header_length(uint32_t) { return Status::fail(ENXIO, "%s carries no virtio-net headers", info_.name.c_str()); }

 protected:
  Port() = default;
  PortInfo info_;
  netmap_if* nifp_ = nullptr;
  char* base_ = nullptr;
  unsigned first_tx_ = 0, last_tx_ = 0, first_rx_ = 0, last_rx_ = 0;
  uint64_t memory_key_ = 0;
};

// One row of a listing, in the reference's order: switch slot, then port index.
struct PortRow {
  std::string name;        // "vale0:a", or a persistent port's bare name while detached
  uint32_t switch_index = 0, port_index = 0;
  bool attached = false;
  bool persistent = false;
  uint32_t registrations = 0;  // how often it is open
  PortInfo info;
  uint32_t header_length = 0;
  PortCounters counters;
};

struct SwitchRow {
  std::string name;
  uint32_t index = 0;
  uint32_t ports = 0;
  uint32_t fdb_entries = 0;
  uint32_t ageing_s = 300;
  PortCounters totals;  // live ports and those that left
};

struct FdbRow {
  uint8_t mac[6];
  uint32_t port_index = 0;
  std::string port;
  bool is_static = false;
  uint32_t age_s = 0;  // since last seen; 0 for static entries
};

// Where ports come from: this project's switch, the kernel's netmap, a wire. A device that does not
// do something answers EOPNOTSUPP.
class Device {
 public:
  virtual ~Device() = default;
  virtual const char* name() const = 0;
  virtual Status open(const OpenRequest& request, std::unique_ptr<Port>* out) = 0;

  // Control, all of it answered from live state; names are full names.
  virtual Status list(std::vector<PortRow>* out) = 0;
  virtual Status switches(std::vector<SwitchRow>* out) = 0;
  virtual Status info(const std::string& port, OpenRequest probe, PortInfo* out) = 0;
  // VALE_LIST by name: indices of a port; port_index 255 when only the switch exists.
  virtual Status index(const std::string& port, uint32_t* switch_index, uint32_t* port_index) = 0;
  virtual Status create(const OpenRequest& wish, PortInfo* out) = 0;  // persistent port (NEWIF)
  virtual Status remove(const std::string& name) = 0;                // DELIF
  virtual Status attach(const OpenRequest& request, bool host, uint32_t* port_index) = 0;
  virtual Status detach(const std::string& port, uint32_t* port_index) = 0;
  virtual Status set_header_length(const std::string& port, uint32_t length) = 0;
  virtual Status get_header_length(const std::string& port, uint32_t* length) = 0;
  virtual Status fdb_show(const std::string& sw, std::vector<FdbRow>* out) = 0;
  virtual Status fdb_flush(const std::string& sw, uint32_t* removed) = 0;  // dynamic entries only
  virtual Status fdb_add(const std::string& port, const uint8_t mac[6]) = 0;  // static
  virtual Status fdb_remove(const std::string& sw, const uint8_t mac[6]) = 0;
  virtual Status set_ageing(const std::string& sw, uint32_t seconds) = 0;  // 0 = never
};

}  // namespace vale
