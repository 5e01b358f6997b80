// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What every Port of the userspace switch shares, whatever its rings are:
//   1. adopt(): the registration and its mapping become the Port's.
//   2. enter() before each sync: an identity for a forked child; the directory's health now and then.
//   3. arm(): this registration's bits in the rings it waits for; disarm() clears them and drains the
//      FIFO.
//   4. leave(), in the destructor of what derives from it: the registration ends.
//
// Owns. The registration.
// Invariants. Its region stays mapped and pinned until leave().
// Not here. What a sync does: user_port.h, pipe_port.h.
#pragma once

#include "device/device.h"
#include "shm/runtime.h"
#include "switch/registration.h"

namespace vale {

class RegisteredPort : public Port {
 public:
  int fd() const override { return reg_.fifo; }
  short poll_events(short) const override {
    return POLLIN;
  }  // an idle FIFO always has room to write
  void arm(short events) override;
  void disarm() override;
  PortCounters counters() const override;
  PoolsInfo pools() const override;
  int open_memory() const override;
  void map_peers() override;
  bool loop_enabled() const override;
  bool loop_running() const override;
  bool loop_stopping() const override;
  void loop_enable() override;
  bool loop_begin() override;
  void loop_end() override;
  void loop_stop() override;

 protected:
  RegisteredPort() = default;
  // Under Runtime::slow.
  void adopt(std::shared_ptr<Runtime> rt, const Registration& reg, const PortInfo& info);
  void leave();
  // Before a sync: 0, or why it cannot be.
  int enter() {
    // Often enough for a port that syncs a few times a second; a look at the clock is 10 ns.
    if (!rt_->process.valid() || (++syncs_ & 15) == 0) [[unlikely]]
      return check();
    return gone_;
  }
  bool check_health();

  RxRing& rx(unsigned i) const { return rt_->control().rx(port_->rx_base + i); }
  TxRing& tx(unsigned i) const { return rt_->control().tx(port_->tx_base + i); }

  std::shared_ptr<Runtime> rt_;
  Registration reg_;
  PortRec* port_ = nullptr;
  uint32_t bit_ = 0;
  bool no_tx_poll_ = false;
  bool tx_sleeps_ = false;  // its tx rings may have no room: POLLOUT waits

 private:
  int check();
  void drain();
  RegRec& record() const { return rt_->control().reg(reg_.index); }

  int gone_ = 0;  // why no sync is possible any more: ENODEV, EIO
  uint32_t checked_ = 0;
  uint32_t syncs_ = 0;
};

// Any kind of port, by what the request's name and mode say.
Status open_port(std::shared_ptr<Runtime> rt, const OpenRequest& request,
                 std::unique_ptr<Port>* out);
// The same of a registration that exists already, by a descriptor of its FIFO.
Status adopt_port(std::shared_ptr<Runtime> rt, int fd, std::unique_ptr<Port>* out);

}  // namespace vale
