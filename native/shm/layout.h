// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The control file of a runtime directory, as every process maps it: a header, then one array
//   per kind of record. A frame touches, in this order:
//   1. TxRing  of its sender: lock, then `take` (which slots were taken from the application).
//   2. Switch  members, flood set; the FDB is a file of its own (switch/fdb.h).
//   3. RxRing  of each destination: lock, intent, tail word.
//   4. TxRing  again: `settle` (what became of the copies).
//
// Owns. Everything the application must not touch. Records are created, changed and freed under the
//   directory lock (shm/directory.h) except for what a comment says is written by a sync, which is
//   guarded by the lock word of that ring (shm/owner_lock.h).
//
// Invariants. A reader never goes beyond an array's allocated count, so it never faults on a page
//   that was not reserved. A generation is never used twice. Counters and the position they belong to
//   change in one store: two copies of a record alternate and a word {sequence, position} names the
//   current one, so that a process killed between any two instructions leaves an exact account.
//
// Not here. What the application sees: the region (shm/region.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vale {

constexpr uint64_t kControlMagic = 0x6c6f72746e6f4356;  // "VControl" in a little-endian file
constexpr uint32_t kControlVersion = 16;

constexpr size_t kFdbBytes = 2 << 20;  // size of a switch's address table

constexpr uint32_t kMaxProcs = 4096;
constexpr uint32_t kMaxSwitches = 4096;
constexpr uint32_t kMaxPorts = 32768;
constexpr uint32_t kMaxRegs = 65536;
constexpr uint32_t kMaxRings = 65536;  // of each direction
constexpr uint32_t kMaxRegions = 32768;
constexpr uint32_t kMaxAgents = 4096;

constexpr uint32_t kPortsPerSwitch = 254;  // 255 means "no port" in the ABI
constexpr uint32_t kRegsPerPort = 64;      // one bit each in RxRing::wake
constexpr uint32_t kRingsPerPort = 16;     // of each direction
constexpr uint32_t kMaxSlots = 4096;       // MoreBits covers this many
constexpr uint32_t kDefaultSlots = 1024;

// What a port record is: a port of a switch (or a persistent one on none), or something that lives off
// another port: an end of a pipe, a monitor; or off a memory alone: a null port.
enum class Kind : uint32_t { port = 0, pipe = 1, monitor = 2, null = 3 };

enum class State : uint32_t { free = 0, creating = 1, live = 2, dying = 3 };

template <class T>
using Shared = std::atomic<T>;
static_assert(Shared<uint64_t>::is_always_lock_free && sizeof(Shared<uint64_t>) == 8);

// {sequence, position} in one store.
constexpr uint64_t make_word(uint32_t sequence, uint32_t position) {
  return static_cast<uint64_t>(sequence) << 32 | position;
}
constexpr uint32_t word_sequence(uint64_t w) { return static_cast<uint32_t>(w >> 32); }
constexpr uint32_t word_position(uint64_t w) { return static_cast<uint32_t>(w); }

// A process (one mapping of this control file) that is alive while it holds the lock on its lease
// file (shm/process.h).
struct alignas(64) ProcRec {
  Shared<State> state;
  uint32_t gen;
  uint32_t pid;  // for people only; never tested
  char comm[20];
};

// Cumulative figures of one rx ring.
struct alignas(64) RxStat {
  uint64_t frames, bytes;
  uint64_t ring_full, too_big, header_mismatch;
  uint64_t gone;  // frames still unread when the ring was reset
  uint64_t bad_header;
};

struct alignas(64) RxRing {
  // Line 0, written by whoever holds `lock`. Its last writer stays the same while one sender sends.
  alignas(64) Shared<uint64_t> lock;
  Shared<uint64_t> tag;        // the Switch member word of the port, 0 = not reachable
  Shared<uint32_t> bound;      // registrations that bind this ring
  uint32_t hwcur_seen;         // last read of hwcur: saves a remote line per run
  Shared<uint32_t> intent_tx;  // TxRing index + 1 of the delivery under way
  Shared<uint32_t> intent_serial;
  Shared<uint32_t> intent_sequence;  // of `tail` before it
  Shared<uint32_t> intent_frames;    // how many of its copies the commit delivers
  uint32_t teardown;                 // redo mark of a reset (switch/memory.cc)
  Shared<uint32_t> monitors;         // who watches what arrives here: an RxRing index + 1
  uint64_t gone_target;
  // What `tail` holds, for whoever has the lock: the receiver polls that line, and some processors
  // hand it over whole, so that the sender's own read of it would be a miss.
  Shared<uint64_t> tail_copy;
  // Line 1: {sequence, hardware tail}; the one commit of a delivery. Polled by the receiver.
  alignas(64) Shared<uint64_t> tail;
  // Line 2, written by the receiver's sync.
  alignas(64) Shared<uint64_t> sync_lock;
  Shared<uint32_t> hwcur;  // first slot not yet released by the application
  Shared<uint32_t> zcopy;  // who gets what is released here (switch/swap.h): an RxRing index + 1
  // Frames begin at an offset into their buffers: which bits of a slot's ptr, 0 = they do not; the most.
  Shared<uint64_t> offset_mask, offset_most;
  RxStat stat[2];  // [sequence & 1] is current
  // Line 5: who sleeps (a bit per registration of the port) and how often somebody went to sleep.
  alignas(64) Shared<uint64_t> wake;
  Shared<uint32_t> wake_epoch;
  Shared<uint32_t> multi;  // a frame of several slots was ever delivered: MoreBits are in use
  State state;
  uint32_t port;
  uint32_t num_slots;
  uint32_t region, region_gen;
  uint64_t ring_ofs;  // of the netmap_ring in the region
  uint64_t buf_ofs;   // of buffer 0 in the region
  uint32_t buf_size;
  Shared<uint32_t> buf_bound;  // buffers below this index may be written
};
static_assert(sizeof(RxRing) == 6 * 64);

// Of a monitor's rx ring: who else watches the same ring, and what it could not be given.
struct alignas(64) WatchRec {
  Shared<uint32_t> next_rx, next_tx;  // RxRing index + 1
  Shared<uint64_t> missed;            // frames: its lock was stalled, or its memory not mapped
  // Of a zero-copy monitor: the swap under way, under the ring's lock. Offsets of two slots in the
  // region; buffers: what `to` gets | what `from` gets << 32, 0 = none.
  Shared<uint64_t> swap_from, swap_to, swap_buffers;
};

// One bit per slot: the frame continues in the next slot. Only kept once RxRing::multi is set.
struct MoreBits {
  Shared<uint64_t> word[kMaxSlots / 64];
};

// What was taken from a tx ring.
struct alignas(64) TakeStat {
  uint64_t frames, bytes, copies;
  uint64_t no_destination, same_port, bad_slot, runt, too_long;
};
// What became of the copies that were not dropped at once.
struct alignas(64) SettleStat {
  uint64_t delivered, dest_dropped;
  uint64_t not_open, peer_stalled, unmappable, sender_died;
  uint64_t split;  // copies that came out of others: frames of a super-frame, but the first
};

struct alignas(64) TxRing {
  alignas(64) Shared<uint64_t> lock;
  State state;
  uint32_t port;
  uint32_t num_slots;
  uint32_t region, region_gen;
  Shared<uint32_t> zcopy;  // who gets what has left, as in RxRing
  uint64_t ring_ofs, buf_ofs;
  uint32_t buf_size;
  Shared<uint32_t> buf_bound;
  Shared<uint32_t> bound;
  Shared<uint32_t> monitors;  // who watches what leaves here: an RxRing index + 1
  // Line 1, written under `lock`.
  alignas(64) Shared<uint64_t> take_word;  // {sequence, first slot not yet taken}
  Shared<uint64_t> settle_word;            // {sequence, 0}
  // The delivery under way, and, if its lock was taken from us, what became of it.
  Shared<uint32_t> serial;
  Shared<uint32_t> dest;    // RxRing index
  Shared<uint32_t> copies;  // of this delivery
  uint32_t pad;
  Shared<uint64_t> outcome;  // serial << 32 | delivered frames + 1 (0 in the low half: aborted)
  TakeStat take[2];
  SettleStat settle[2];
  // Line 6, pipes only: who sleeps until there is room, as in RxRing.
  alignas(64) Shared<uint64_t> wake;
  Shared<uint32_t> wake_epoch;
  Shared<uint64_t> offset_mask, offset_most;  // as in RxRing
};
static_assert(sizeof(TxRing) == 7 * 64);

// Sums over the rings of one port, or over ports; the fields of PortCounters (types.h).
struct Totals {
  uint64_t tx_frames, tx_bytes, tx_copies, tx_delivered, rx_frames, rx_bytes, rx_read, rx_gone;
  uint64_t drops[16];
};

struct alignas(64) PortRec {
  Shared<State> state;
  uint32_t gen;
  char name[64];                // without its switch
  Shared<int32_t> switch_slot;  // -1 = attached to none
  Shared<uint32_t> port_index;
  uint32_t last_switch, last_switch_gen;  // whose totals this port's counters belong to
  Kind kind;
  uint32_t persistent;
  uint32_t hidden;              // made as the parent of a pipe: goes with the last user
  uint32_t parent, parent_gen;  // of a pipe's end or a monitor
  uint32_t peer;                // of a pipe's end: the other
  uint32_t zcopy;               // a monitor that gets buffers, not copies
  // Of a monitor: the parent's rings it watches, half-open.
  uint32_t watch_tx_first, watch_tx_last, watch_rx_first, watch_rx_last;
  Shared<uint32_t> header_length;
  uint32_t tx_base, tx_count, rx_base, rx_count;  // rings, as indices of their arrays
  uint32_t tx_slots, rx_slots;
  uint32_t region, region_gen;  // region_gen 0 = none yet
  uint32_t rings_up;            // its rings and buffers are in that region now
  uint32_t buf_size;
  uint32_t wish_mem_id;
  uint32_t learned;  // some FDB entry may point here
  Totals base;       // of this port when it was attached
  Shared<uint64_t> reg_mask;
  uint32_t regs[kRegsPerPort];  // reg index per bit
  uint32_t agent;  // AgentRec + 1 of the one that serves it and may alone open it; 0 = none
};

struct alignas(64) RegRec {
  Shared<State> state;
  uint32_t gen;
  uint32_t port, port_gen, bit;
  uint32_t first_tx, last_tx, first_rx, last_rx;
  uint64_t flags;
  uint64_t nifp_ofs;
  Shared<uint64_t> fifo_inode;
  uint32_t nifp_object;  // index in the if pool, + 1
  uint32_t extra_bufs;
  Shared<uint32_t> loop;  // Port::loop_*: 1 driven through control blocks, 2 a loop is to stop
  Shared<uint64_t> loop_owner;  // lock word of the process that runs the loop, 0 = none
};

// One allocator in the netmap sense: a region file and which of its objects are in use.
struct alignas(64) RegionRec {
  Shared<State> state;
  Shared<uint32_t> gen;
  uint32_t mem_id;
  uint32_t buf_size, buf_total;
  Shared<uint32_t> buf_bound;  // buffers below are backed by memory
  uint32_t if_size, if_total, ring_size, ring_total;
  uint64_t if_ofs, ring_ofs, buf_ofs, memsize;
  uint64_t if_map[4];
  uint64_t ring_map[16];
  // Of memory that a program brought and that has no name here: who lends it, as which descriptor, and
  // what must be found there. 0: a file of the directory.
  uint32_t lender, lent_fd;
  uint64_t lent_device, lent_inode;
};

// What an agent knows of its interface, and what it counts on that side. `wire` and `host` are the
// interface's and its host stack's: rx is what came from there.
struct AgentFacts {
  char backend[24], take_over[24];
  uint32_t up, link, speed_mbps, mtu;  // as WireState has them (types.h)
  uint32_t rx_rings, tx_rings;         // of the interface as it is open
  uint64_t link_downs, kernel_drops, nic_rx_dropped, nic_tx_dropped;
  Totals wire, host;
  char interface[16];  // its name now
  uint8_t mac[8];      // 6 of them
  uint64_t unserved_queues;
  uint32_t unreachable, another_waits;
};

// An agent: a process that moves frames between a port and a network interface (agent/agent.h).
// Written under the directory lock but for what the comments say.
struct alignas(64) AgentRec {
  Shared<State> state;  // creating: not attached yet; live; dying: dead, its log is kept
  uint32_t gen;
  uint32_t proc, proc_gen;  // it lives as long as this ProcRec's lease is held
  uint32_t pid;             // for people only, in `pid_namespace`
  uint32_t host;            // 1: it serves the port "…^" as well
  char port[64];            // full name
  char interface[16];
  char netns[64];  // as it was asked for; empty: the namespace of whoever attached it
  uint64_t
      netns_inode;  // with `interface_index` it says which interface this is, whatever its name
  uint32_t interface_index;
  uint32_t told;            // its death was reported
  uint64_t pid_namespace;   // inode
  uint64_t started, ended;  // s since 1970; when its end was noticed
  char why[96];             // it ended; empty: something killed it
  // What it is asked for (switch/agents.h), 0 = nothing: put there by whoever asks and taken away by the
  // one who gets it, the agent to do it or the asker to give up. Then `asked` counts up and its doorbell
  // is rung.
  Shared<uint64_t> wish;
  Shared<uint32_t> poll_cores, poll_first;  // written by the agent: how it polls
  Shared<uint32_t> asked;
  // Written by the agent: the last value of `asked` that it has acted on, and two copies of what it
  // knows, of which [sequence & 1] is current.
  Shared<uint32_t> answered;
  Shared<uint32_t> sequence;
  AgentFacts facts[2];
  char socket[108];           // of a virtual machine; empty: it serves an interface
  Shared<uint64_t> asked_at;  // ns of machine_clock.h: the first request that is not answered yet
  char name[32];  // of its process, which serves others of this name as well; empty: it is alone
  Shared<uint32_t>
      tap;  // how its TAP device was before (nic/tap_device.h); 0: that, or it is put back
};

// A member word: 0 = no port, else everything a sender needs to find a destination.
//   bits 0–23 first rx ring, 24–28 number of rx rings, 29–30 header length code, 31 frames begin at an
//   offset in some ring, 32–47 port record, 48–55 generation (1–255).
constexpr uint64_t make_member(uint32_t rx_base, uint32_t rx_count, uint32_t header_code,
                               bool offsets, uint32_t port, uint32_t gen8) {
  return rx_base | static_cast<uint64_t>(rx_count) << 24 |
         static_cast<uint64_t>(header_code) << 29 | static_cast<uint64_t>(offsets) << 31 |
         static_cast<uint64_t>(port) << 32 | static_cast<uint64_t>(gen8) << 48;
}
constexpr uint32_t member_rx_base(uint64_t m) { return m & 0xffffff; }
constexpr uint32_t member_rx_count(uint64_t m) { return m >> 24 & 31; }
constexpr uint32_t member_header(uint64_t m) { return m >> 29 & 3; }
// 0, 1 or 2: its header length code, and no more than a copy for who has the same; other values: more.
constexpr uint32_t member_kind(uint64_t m) { return m >> 29 & 7; }
constexpr uint32_t member_port(uint64_t m) { return m >> 32 & 0xffff; }
constexpr uint32_t member_gen(uint64_t m) { return m >> 48 & 0xff; }

struct alignas(64) SwitchRec {
  Shared<State> state;
  Shared<uint32_t> gen;
  char name[16];
  Shared<uint32_t> active;
  Shared<uint32_t> ageing_s;
  alignas(64) Shared<uint64_t> flood[4];  // ports that floods go to
  alignas(64) Shared<uint64_t> member[256];
  uint8_t order[256];  // port indices: [0, active) in use, order[active] is next
  uint8_t gen8[256];   // last generation given to each index
  Totals retired;      // ports that left
};

// A port's counters move into its switch's in one step that may be repeated (switch/counters.h).
struct Retire {
  uint32_t active;
  uint32_t switch_slot, switch_gen, port, port_gen;
  Totals retired, base;  // what SwitchRec::retired and PortRec::base become
};

struct alignas(4096) Header {
  Shared<uint64_t> magic;  // written last
  uint32_t version;
  uint32_t size;  // of this header
  uint64_t file_size;
  uint64_t layout_sum;  // a digest of every size and offset below
  uint32_t next_gen;
  uint32_t next_mem_id;
  char holder[64];  // of the directory lock: "pkt-gen, process 1234"
  // How many records of each array are usable.
  Shared<uint32_t> procs, switches, ports, regs, rings_tx, rings_rx, regions, agents;
  uint32_t dirty;  // a change was begun and not ended: repair before the next (switch/reap.h)
  Retire retire;
};

struct Arrays {
  size_t procs, switches, ports, regs, tx, rx, more, watch, regions, agents, end;
};
constexpr size_t page_up(size_t n) { return (n + 4095) & ~size_t{4095}; }
constexpr Arrays arrays() {
  Arrays a{};
  a.procs = sizeof(Header);
  a.switches = page_up(a.procs + sizeof(ProcRec) * kMaxProcs);
  a.ports = page_up(a.switches + sizeof(SwitchRec) * kMaxSwitches);
  a.regs = page_up(a.ports + sizeof(PortRec) * kMaxPorts);
  a.tx = page_up(a.regs + sizeof(RegRec) * kMaxRegs);
  a.rx = page_up(a.tx + sizeof(TxRing) * kMaxRings);
  a.more = page_up(a.rx + sizeof(RxRing) * kMaxRings);
  a.watch = page_up(a.more + sizeof(MoreBits) * kMaxRings);
  a.regions = page_up(a.watch + sizeof(WatchRec) * kMaxRings);
  a.agents = page_up(a.regions + sizeof(RegionRec) * kMaxRegions);
  a.end = page_up(a.agents + sizeof(AgentRec) * kMaxAgents);
  return a;
}
constexpr uint64_t layout_sum() {
  constexpr Arrays a = arrays();
  uint64_t sum = 1469598103934665603u;
  for (uint64_t v :
       {uint64_t{a.procs}, uint64_t{a.switches}, uint64_t{a.ports}, uint64_t{a.regs},
        uint64_t{a.tx}, uint64_t{a.rx}, uint64_t{a.more}, uint64_t{a.watch}, uint64_t{a.regions},
        uint64_t{a.agents}, uint64_t{a.end}, uint64_t{sizeof(PortRec)}, uint64_t{sizeof(RegRec)},
        uint64_t{sizeof(AgentRec)}, uint64_t{sizeof(RegionRec)}}) {
    sum = (sum ^ v) * 1099511628211u;
  }
  return sum;
}

// The mapped control file.
struct Control {
  char* base = nullptr;

  Header& header() const { return *reinterpret_cast<Header*>(base); }
  ProcRec& proc(uint32_t i) const { return at<ProcRec>(arrays().procs, i); }
  SwitchRec& sw(uint32_t i) const { return at<SwitchRec>(arrays().switches, i); }
  PortRec& port(uint32_t i) const { return at<PortRec>(arrays().ports, i); }
  RegRec& reg(uint32_t i) const { return at<RegRec>(arrays().regs, i); }
  TxRing& tx(uint32_t i) const { return at<TxRing>(arrays().tx, i); }
  RxRing& rx(uint32_t i) const { return at<RxRing>(arrays().rx, i); }
  MoreBits& more(uint32_t i) const { return at<MoreBits>(arrays().more, i); }
  WatchRec& watch(uint32_t i) const { return at<WatchRec>(arrays().watch, i); }
  RegionRec& region(uint32_t i) const { return at<RegionRec>(arrays().regions, i); }
  AgentRec& agent(uint32_t i) const { return at<AgentRec>(arrays().agents, i); }
  // How many of each are usable; no more than there are, whatever somebody wrote over the header.
  uint32_t procs() const { return count(header().procs, kMaxProcs); }
  uint32_t switches() const { return count(header().switches, kMaxSwitches); }
  uint32_t ports() const { return count(header().ports, kMaxPorts); }
  uint32_t regs() const { return count(header().regs, kMaxRegs); }
  uint32_t rings_tx() const { return count(header().rings_tx, kMaxRings); }
  uint32_t rings_rx() const { return count(header().rings_rx, kMaxRings); }
  uint32_t regions() const { return count(header().regions, kMaxRegions); }
  uint32_t agents() const { return count(header().agents, kMaxAgents); }

 private:
  static uint32_t count(const Shared<uint32_t>& usable, uint32_t most) {
    const uint32_t n = usable.load(std::memory_order_acquire);
    return n < most ? n : most;
  }
  template <class T>
  T& at(size_t offset, uint32_t i) const {
    return *reinterpret_cast<T*>(base + offset + sizeof(T) * i);
  }
};

}  // namespace vale
