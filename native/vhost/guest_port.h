// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A virtual machine beside a port of the switch, for one thread that serves both (engine/guest.h):
//   1. attend(): meet its process, answer its messages, notice its end.
//   2. to_guest(), from_guest(), publish(): frames (device.h).
//   3. As a Port without rings it takes part in wait_ports(): ready when the guest has more to send, or
//      buffers that its port waited for, or when something is to be attended to.
//
// Owns. The connection, the device that the guest sees.
// Invariants. One connection at a time. A guest that breaks the rules loses its connection; the next
//   one begins anew. Without a guest, frames for it are dropped as link_down.
// Not here. The switch.
#pragma once

#include <memory>
#include <string>

#include "vhost/channel.h"
#include "vhost/device.h"
#include "vhost/guest_link.h"

namespace vale::vhost {

struct GuestOptions {
  std::string path;     // of its socket
  bool client = false;  // the guest's process listens there
  uint32_t pairs = 1;   // queue pairs, 1 to kMaxQueuePairs
};

class GuestPort final : public GuestLink {
 public:
  static Status open(const GuestOptions& options, std::unique_ptr<GuestLink>* out);
  ~GuestPort() override;

  void attend() override;
  bool to_guest(Port& port) override;
  bool from_guest(Port& port) override;
  bool offer(unsigned ring, const VnetHeader& vnet, const Fragment* frame, uint32_t pieces,
             uint32_t bytes) override;
  void settle(unsigned ring, uint32_t frames, uint64_t bytes) override;
  uint32_t lend(unsigned ring, uint32_t most, Plain* out, const Rules** rules) override {
    return device_ == nullptr ? 0 : device_->lend(ring, most, out, rules);
  }
  void keep(unsigned ring, const Plain* filled, uint32_t frames, uint64_t bytes) override;
  void publish() override {
    if (device_ != nullptr) device_->publish();
  }
  bool blocked(const Port& port) const override {
    return device_ != nullptr && device_->blocked(port);
  }
  std::string take_announcement() override {
    return device_ == nullptr ? std::string() : device_->take_announcement();
  }
  int patience() const override;

  short ready(short events) override;
  void arm(short events) override;
  void disarm() override;

 private:
  explicit GuestPort(const GuestOptions& options);

  void meet();
  void listen_to_master();
  void part(const std::string& why);
  Status watch();

  const GuestOptions options_;
  std::unique_ptr<Channel> channel_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Message> answer_;
  int rest_ = 0;          // what the device's wake() said last
  uint32_t watched_ = 0;  // generation of the device's kicks that are slept on
};

}  // namespace vale::vhost
