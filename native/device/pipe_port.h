// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. 1. txsync(): descriptors of the tx ring pass into the other end's rx ring (switch/pipe_sync.h).
//   2. rxsync(): shows what has passed, and gives back what was read, buffers swapped in included.
// Owns. Its view of both ends' rings; the rings are the pair's, and their positions in the control file.
// Invariants. Nothing is dropped: a slot is the sender's again only when the other end has released it. What
//   lies in a pipe stays while either end is open, or its parent.
// Not here. How the two ends come to be (switch/pipe.h), who watches them (switch/monitor.h).
#pragma once

#include <vector>

#include "device/registered_port.h"
#include "switch/pipe_sync.h"

namespace vale {

class PipePort final : public RegisteredPort {
 public:
  PipePort(std::shared_ptr<Runtime> rt, const Registration& reg, const PortInfo& info);
  ~PipePort() override;

  int txsync() override;
  int rxsync() override;
  short ready(short events) override;

 private:
  uint64_t me() { return rt_->process.word(++sequence_); }

  uint16_t sequence_ = 0;
  Watched watched_;
  std::vector<PipeRing> out_, in_;  // by tx ring, by rx ring
};

}  // namespace vale
