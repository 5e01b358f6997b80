// SPDX-License-Identifier: BSD-2-Clause
// The plain data that layers hand each other: what to open, what was opened, why a frame was dropped,
// rows of listings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "abi/netmap.h"

namespace vale {

// Frames that begin somewhere in their buffers (NETMAP_REQ_OPT_OFFSETS).
struct Offsets {
  uint64_t most = 0;     // no slot has a larger one; a larger value found in a slot counts as this
  uint64_t initial = 0;  // in all slots of rings that nobody has open yet
  uint32_t bits = 0;     // of netmap_slot::ptr, from the lowest; 0 or 64 = all
};

// Memory of the caller's as the region of a port that is made for it (NETMAP_REQ_OPT_EXTMEM). Of the pools
// what is 0 is chosen.
struct OwnMemory {
  int file = -1;  // its first `bytes` are the memory; < 0: a file of the runtime directory is made
  uint64_t bytes = 0;  // what there is room for
  uint32_t ifs = 0, if_size = 0, rings = 0, ring_size = 0, bufs = 0, buf_size = 0;
};

// What to open. Wishes (slots, rings) count only for the one who creates the port; 0 = default.
struct OpenRequest {
  std::string name;                // "vale0:a", or an interface's name for a wire; no suffixes
  uint32_t mode = NR_REG_ALL_NIC;  // NR_REG_*
  uint16_t ring_id = 0;            // for the ONE_ modes
  uint64_t flags = 0;              // NR_EXCLUSIVE, NR_TX_RINGS_ONLY, …
  uint32_t tx_slots = 0, rx_slots = 0;
  uint16_t tx_rings = 0, rx_rings = 0;
  uint16_t host_tx_rings = 0, host_rx_rings = 0;
  uint16_t mem_id = 0;  // 0 = memory of its own
  uint32_t extra_bufs = 0;
  uint32_t buf_size = 0;  // bytes a buffer, 0 = default; additions of ours end here
  std::optional<Offsets> offsets;
  std::optional<OwnMemory> memory;
  uint32_t agent = 0;  // of an agent: its record + 1, the port is its own; 0 for everybody else
};

// What to attach: a persistent port, or a network interface that an agent will serve.
struct AttachRequest {
  AttachRequest() = default;
  AttachRequest(OpenRequest what) : port(std::move(what)) {}  // all that a persistent port needs

  OpenRequest port;     // "vale0:em1", and what the port is made of
  bool host = false;    // the interface's host stack as port "vale0:em1^" too
  std::string backend;  // how to drive the interface; empty: the best there is
  bool shared = false;  // what it receives also reaches the host's stack
  bool force = false;   // even if this machine is reached through it
  std::string netns;    // the interface's network namespace: a name of ip-netns(8) or a process id
  std::string agent;    // path of the agent's executable
  std::string
      agent_name;  // of the process that serves this virtual machine with others; empty: alone
  // Not an interface but a virtual machine, met at a vhost-user socket of this path; empty: none.
  std::string vhost_user;
  std::string stream;   // the same by QEMU's netdev "stream", without shared memory
  std::string dgram;    // or by its netdev "dgram"; and the path of the machine's socket,
  std::string remote;   // empty: whoever sends
  bool client = false;  // the virtual machine's process listens there, else the agent does

  // The path of one of those; empty: it is no virtual machine.
  const std::string& machine() const {
    return !vhost_user.empty() ? vhost_user : !stream.empty() ? stream : dgram;
  }
};

// What was opened.
struct PortInfo {
  std::string name;      // full name, as listed
  std::string device;    // "user", "kernel", or a wire's backend: "packet", …
  uint64_t offset = 0;   // of the netmap_if in the region
  uint64_t memsize = 0;  // bytes of the region
  uint32_t tx_slots = 0, rx_slots = 0;
  uint16_t tx_rings = 0, rx_rings = 0;
  uint16_t host_tx_rings = 0, host_rx_rings = 0;
  uint16_t mem_id = 0;
  uint32_t extra_bufs = 0;  // how many were really given
  uint32_t buf_size = 0;
  std::optional<Offsets> offsets;  // as they count, where they were asked for
  uint32_t mtu = 65536;            // most bytes of a frame the port carries
  uint8_t mac[6] = {};             // of the interface; zeros when the port has none
  bool pipe = false;  // what is sent stays in the tx ring until the other end has read it
};

// The three pools of a region (POOLS_INFO_GET): offset in bytes, objects, bytes each.
struct Pool {
  uint64_t offset = 0;
  uint32_t objects = 0, object_size = 0;
};
struct PoolsInfo {
  uint64_t memsize = 0;  // bytes of the region
  uint16_t mem_id = 0;   // 0 = not made yet
  Pool ifs, rings, bufs;
};

// What a port that is a wire knows of its interface, now.
struct WireState {
  std::string interface;  // its name, which may change; of a virtual machine, its socket's path
  std::string
      backend;  // "packet", "tap", "xdp-zerocopy", "xdp-native", "xdp-generic", "vhost-user", "stream"
  std::string take_over;    // "tcx", "nftables", or "none": shared with the host's stack
  std::string warning;      // one line when something asked for could not be had, else ""
  bool host = false;        // this is the side of the host's stack
  bool removed = false;     // for good
  bool up = false;          // administratively; false for a virtual machine that broke the rules
  bool link = false;        // up and with carrier; a virtual machine is connected
  uint64_t link_downs = 0;  // how often the link was seen to go down
  uint32_t speed_mbps = 0;  // 0 = the driver does not say
  uint32_t mtu = 0;         // bytes, without the Ethernet header
  uint8_t mac[6] = {};      // zeros when it has none
  bool promiscuous = false;
  // Receive queues that the driver has got since it was opened by AF_XDP: their frames are lost, uncounted.
  uint32_t unserved_queues = 0;
  bool unreachable = false;     // a virtual machine's socket was removed and cannot be made again
  bool another_waits = false;   // there, until the one that is connected has gone
  uint64_t kernel_drops = 0;    // frames the kernel received for this port and had no room for
  uint64_t nic_rx_dropped = 0;  // the interface's own counts, since it exists
  uint64_t nic_tx_dropped = 0;
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
  too_big,          // does not fit the destination's buffers or its whole ring
  header_mismatch,  // what its virtio-net header asks for cannot be done for a port without
  bad_header,       // its virtio-net header is malformed, or not true of the frame
  count_
};
constexpr unsigned kDropReasons = static_cast<unsigned>(Drop::count_);
constexpr unsigned kFirstDestinationDrop = static_cast<unsigned>(Drop::ring_full);
extern const char* const kDropNames[kDropReasons];

// Totals of one port since it was created; frames are whole frames, bytes are without FCS.
// copies = Σ delivered at all destinations + Σ drops, once nothing is in flight.
struct PortCounters {
  uint64_t tx_frames = 0, tx_bytes = 0;  // taken from the port's tx rings (accepted)
  // (frame, eligible destination), or 1 if dropped at source. A super-frame that is cut for a
  // destination is as many frames there.
  uint64_t tx_copies = 0;
  uint64_t tx_delivered = 0;             // of tx_copies, how many reached an rx ring
  uint64_t rx_frames = 0, rx_bytes = 0;  // put into the port's rx rings (delivered)
  uint64_t rx_read = 0;                  // of those, how many the application has released
  uint64_t rx_gone = 0;                  // still unread when the ring went away
  uint64_t drops[kDropReasons] = {};
};

// Frames that were for the port and did not get into its rings.
inline uint64_t destination_drops(const PortCounters& c) {
  uint64_t sum = 0;
  for (unsigned i = kFirstDestinationDrop; i < kDropReasons; i++) sum += c.drops[i];
  return sum;
}

// One row of a listing, in the reference's order: switch slot, then port index. The pipes and monitors of
// a port follow it.
struct PortRow {
  std::string name;  // "vale0:a", "vale0:a{1", or a persistent port's bare name while detached
  const char* kind = "port";  // or "pipe", "monitor", "null": those are attached to no switch
  uint32_t switch_index = 0, port_index = 0;
  bool attached = false;
  bool persistent = false;
  uint32_t registrations = 0;  // how often it is open
  PortInfo info;
  uint32_t header_length = 0;
  PortCounters counters;
  // Of a device that tells names and indices only: persistent, registrations and counters are unknown.
  bool counted = true;
};

// What an attached network interface is and does.
struct AgentRow {
  std::string port;  // full name; its host side is the same with ^
  std::string interface, netns;
  std::string socket;  // of a virtual machine, which has no interface
  std::string name;    // of its process, which may serve others of this name; empty: it has none
  uint64_t netns_inode = 0;  // of the interface's network namespace, whatever it is called
  bool alive = false;        // else it died, and what it left is its log
  bool told = false;         // and somebody was told
  bool stalled = false;      // it lives but does not run: stopped, or its container is frozen
  bool host = false;
  WireState state;
  uint32_t pid = 0;
  uint32_t poll_cores = 0, poll_first = 0;
  uint64_t started = 0, ended = 0;  // s since 1970
  std::string why;                  // it ended; empty: something killed it
  std::string older_log, log;       // paths; the older half may not be there
  PortCounters wire, host_side;     // rx is what came from the interface, from its host stack
};

struct SwitchRow {
  std::string name;
  uint32_t index = 0;
  uint32_t ports = 0;
  uint32_t fdb_entries = 0;
  uint32_t ageing_s = 300;
  PortCounters totals;  // live ports and those that left
  bool counted = true;  // else fdb_entries, ageing_s and totals are unknown
};

struct FdbRow {
  uint8_t mac[6];
  uint32_t port_index = 0;
  std::string port;
  bool is_static = false;
  uint32_t age_s = 0;  // since last seen; 0 for static entries
};

}  // namespace vale
