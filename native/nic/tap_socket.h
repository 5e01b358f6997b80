// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A TAP device as frames: what the host's stack sends on the device is received here, what is
//   sent here the stack receives. open() makes the device, or takes up one that nobody has.
// Owns. The device, unless somebody made it persistent; it disappears with the descriptor. One that stays is put
//   back as it was (tap_device.h).
// Invariants. The stack may leave checksums and segmentation to the reader: the header tells.
// Not here. Redirecting another interface's frames into it (take_over.h).
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "nic/bpf.h"
#include "nic/frame_socket.h"
#include "nic/interface.h"
#include "nic/tap_device.h"
#include "status.h"

namespace vale {

class TapSocket final : public FrameSocket {
 public:
  TapSocket() = default;
  ~TapSocket() override;
  // EPERM, EBUSY (somebody has it), EINVAL (no name for an interface). A device that was made is up
  // afterwards; one that was there is as it was.
  Status open(const std::string& name, uint32_t mtu);
  const Interface& interface() const { return interface_; }

  int fd() const override { return fd_.fd(); }
  Receive receive(ReceivedFrame* out) override;
  void release() override {}
  unsigned send(mmsghdr* messages, unsigned count, int* error) override;
  uint64_t take_drops() override;
  int take_error() override;
  bool removed() const override;

 private:
  Handle fd_;
  bool found_ = false;   // it was there before
  TapFacts before_ = 0;  // as this
  int header_ = 0;       // bytes of its virtio-net header then
  Interface interface_;
  std::unique_ptr<char[]> frame_;  // of kMaxSuperFrame bytes
  std::atomic<uint64_t> told_drops_{0};
};

}  // namespace vale
