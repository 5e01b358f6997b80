// SPDX-License-Identifier: BSD-2-Clause
// One end of a pipe as a Port.
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
