// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. An interface and its host's side as one Port ("em0*"): every call goes to both wire ports; a wait
//   sleeps on one epoll descriptor for the two.
// Owns. Both ports, and the epoll descriptor.
// Invariants. Their rings are in one region, the host's behind the interface's, as netmap numbers them.
// Not here. How either gets its frames (wire_port.h).
#pragma once

#include <memory>

#include "nic/wire_port.h"

namespace vale {

class BothPort final : public Port {
 public:
  // nic and host have their rings in one region. An errno of epoll's.
  static Status open(std::unique_ptr<Port> nic, std::unique_ptr<Port> host,
                     std::unique_ptr<Port>* out);
  ~BothPort() override;

  int txsync() override;
  int rxsync() override;
  short ready(short events) override;
  void arm(short events) override;
  int fd() const override { return sleep_fd_; }
  short poll_events(short) const override { return POLLIN; }
  void disarm() override;
  PortCounters counters() const override;
  bool wire_state(WireState* out) const override { return nic_->wire_state(out); }

 private:
  BothPort() = default;

  std::unique_ptr<Port> nic_, host_;
  int sleep_fd_ = -1;
};

}  // namespace vale
