// SPDX-License-Identifier: BSD-2-Clause
// A Port that only receives, or nothing at all: a monitor, a null port.
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
