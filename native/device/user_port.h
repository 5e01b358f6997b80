// SPDX-License-Identifier: BSD-2-Clause
// A port of a switch, or a persistent one on none: its senders and receivers.
#pragma once

#include <vector>

#include "device/registered_port.h"
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

 private:
  void send(unsigned i);
  void fetch(unsigned i) { receive(*rt_, receivers_[i], &sequence_); }

  uint16_t sequence_ = 0;
  std::vector<std::unique_ptr<Sender>> senders_;  // by tx ring
  std::vector<Receiver> receivers_;               // likewise; those not bound are empty
};

}  // namespace vale
