// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A monitor's rxsync() shows what the ports it watches have copied or lent to it; it has no tx rings.
//   A null port has no rings: its registration holds memory and extra buffers, and its syncs only look
//   whether the memory is still whole.
// Owns. A receiver for each rx ring of the monitor.
// Invariants. Neither ever makes a port that is watched wait or drop.
// Not here. Who writes into a monitor's rings, and when (switch/monitor.h, switch/swap.h).
#pragma once

#include <vector>

#include "device/registered_port.h"
#include "switch/receive.h"

namespace vale {

class MonitorPort final : public RegisteredPort {
 public:
  MonitorPort(std::shared_ptr<Runtime> rt, const Registration& reg, const PortInfo& info);
  ~MonitorPort() override;

  int txsync() override { return enter(); }
  int rxsync() override;  // EPIPE: what is watched has closed, and all it sent was read
  short ready(short events) override;  // POLLERR: the same, or room to send was asked for
  uint32_t header_length() const override;

 private:
  bool fetch();  // whether there is anything

  uint16_t sequence_ = 0;
  std::vector<Receiver> receivers_;  // by rx ring
};

class NullPort final : public RegisteredPort {
 public:
  NullPort(std::shared_ptr<Runtime> rt, const Registration& reg, const PortInfo& info) {
    adopt(std::move(rt), reg, info);
  }
  ~NullPort() override { leave(); }
  int txsync() override { return enter(); }
  int rxsync() override { return enter(); }
  short ready(short) override { return enter() != 0 ? POLLERR : 0; }
};

}  // namespace vale
