// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. 1. txsync(): each bound tx ring's Sender forwards what the application put there (switch/forward.h).
//   2. rxsync(): each bound rx ring's Receiver shows what senders have delivered and takes back what was
//   read (switch/receive.h). 3. ready(): both, as poll(2) on netmap would, for a wait.
// Owns. The senders and receivers of this registration. Of a ring, whoever syncs it: one thread at a time.
// Invariants. A ring that is not bound has neither. What others see of the port is in the control file alone,
//   so a process that dies in here is undone by whoever looks next (switch/reap.h).
// Not here. Sleeping (registered_port.h), what a registration is (switch/registration.h).
#pragma once

#include <vector>

#include "device/registered_port.h"
#include "switch/direct.h"
#include "switch/forward.h"
#include "switch/receive.h"

namespace vale {

class UserPort final : public RegisteredPort {
 public:
  UserPort(std::shared_ptr<Runtime> rt, const Registration& reg, const PortInfo& info);
  ~UserPort() override;

  int txsync() override;
  int rxsync() override;
  short ready(short events) override;
  uint32_t header_length() const override;
  Status set_header_length(uint32_t length) override;
  DirectSender* direct_sender(unsigned tx_ring) override { return direct_[tx_ring].get(); }
  uint32_t direct_place(unsigned rx_ring) const override { return port_->rx_base + rx_ring; }

 private:
  void send(unsigned i);
  void fetch(unsigned i) { receive(*rt_, receivers_[i], &sequence_); }

  uint16_t sequence_ = 0;
  std::vector<std::unique_ptr<Sender>> senders_;       // by tx ring
  std::vector<std::unique_ptr<DirectSender>> direct_;  // of those
  std::vector<Receiver> receivers_;                    // likewise; those not bound are empty
};

}  // namespace vale
