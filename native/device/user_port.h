// SPDX-License-Identifier: BSD-2-Clause
// A Port of the userspace switch: one registration, its senders and receivers.
#pragma once

#include <vector>

#include "device/device.h"
#include "switch/forward.h"
#include "switch/registration.h"

namespace vale {

class UserPort final : public Port {
 public:
  static Status open(std::shared_ptr<Runtime> rt, const OpenRequest& request,
                     std::unique_ptr<Port>* out);
  ~UserPort() override;

  int txsync() override;
  int rxsync() override;
  short ready(short events) override;
  void arm(short events) override;
  int fd() const override { return reg_.fifo; }
  short poll_events(short) const override {
    return POLLIN;
  }  // an idle FIFO always has room to write
  void disarm() override;
  PortCounters counters() const override;
  uint32_t header_length() const override;
  Status set_header_length(uint32_t length) override;

 private:
  UserPort() = default;
  int enter();  // before a sync: 0, or why it cannot be
  void send(unsigned i);
  void fetch(unsigned i);
  bool check_health();
  void drain();

  std::shared_ptr<Runtime> rt_;
  Registration reg_;
  PortRec* port_ = nullptr;
  uint32_t bit_ = 0;
  bool no_tx_poll_ = false;
  bool gone_ = false;
  uint32_t checked_ = 0;
  uint32_t syncs_ = 0;
  uint16_t sequence_ = 0;
  std::vector<std::unique_ptr<Sender>> senders_;  // by tx ring
  std::vector<uint32_t> rx_busy_;                 // by rx ring
};

}  // namespace vale
