// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. start_pktgen() makes a PktGenRun and starts a thread for each port, which runs one of the loops until
//   it has done its share or the engine stops. A sender drains its rings at the end.
// Owns. The run: what all threads read, and the one count they share.
// Invariants. A loop returns the error that ended it, if any. A thread touches the rings of its own port only.
// Not here. Threads, samples and messages (engine.h), what a configuration may say (pktgen.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/pcap.h"
#include "engine/pktgen.h"
#include "engine/tx_ring.h"

namespace vale {

struct PktGenRun {
  PktGenConfig config;
  std::vector<Port*> ports;
  Capture capture;
  SlotPlan plan;
  std::atomic<uint64_t> received{0};  // by all rx threads, kept only when there is a count to reach

  // How many frames thread i is to send, 0 = no limit; *nothing: its share of the count is none.
  uint64_t share(unsigned i, bool* nothing) const {
    const uint64_t n = config.count / ports.size() + (i < config.count % ports.size() ? 1 : 0);
    *nothing = config.count != 0 && n == 0;
    return n;
  }
  // A stream of random numbers of its own for every thread and purpose.
  uint64_t seed(unsigned thread, unsigned purpose) const {
    return config.seed ^ (0x51ed270b7a1f3c65u * (2 * thread + purpose + 1));
  }
};

Status run_tx(PktGenRun& run, Engine& engine, unsigned thread);
Status run_rx(PktGenRun& run, Engine& engine, unsigned thread);
Status run_ping(PktGenRun& run, Engine& engine, unsigned thread);
Status run_pong(PktGenRun& run, Engine& engine, unsigned thread);

// The error of a txsync or rxsync.
Status port_gone(const Port& port, int err);
// Says, once a second has passed without any room or progress, what it is that is waited for.
class StallNotice {
 public:
  StallNotice(Engine& engine, const Port& port) : engine_(engine), port_(port) {}
  void moved() { since_ = 0; }
  void stuck(const std::vector<TxRing>& rings);

 private:
  Engine& engine_;
  const Port& port_;
  uint64_t since_ = 0;  // CLOCK_MONOTONIC, ns; 0 = not stuck
  bool said_ = false;
};

// Waits for the port to take what is on its tx rings, and for a pipe's other end to read it: as long as
// that needs, but no longer than 500 ms once the engine stops. Returns how many frames were still taken.
uint64_t drain(Engine& engine, Port& port, std::vector<TxRing>& rings);
// The tx rings of a port.
std::vector<TxRing> tx_rings(Port& port, const SlotPlan& plan);
// Says what is in a slot, as the reference's -X does. Its bytes are at `data`; null: in its buffer.
void dump_slot(Engine& engine, const RingView& ring, uint32_t slot, const char* data = nullptr);

}  // namespace vale
