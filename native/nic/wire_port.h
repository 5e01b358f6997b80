// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What every port on an interface has, whatever moves its frames: rings in memory of this
//   process, the interface's state, and what keeps the host's stack away from it. Its rxsync() (wire_rx.cc):
//   1. release(): slots that the application has done with are free again.
//   2. fill(): what has come goes into free slots, as the kind of port does it.
//   3. the tail is shown; after many syncs without a frame the interface is looked for.
// Owns. The memory (maybe with others), the take-over, what a wait sleeps on, the rx ring's positions (who
//   holds rx_busy_).
// Invariants. bind() is called once, before anything else of the Port.
// Not here. Frames (packet.h, xdp.h), putting a port together (device/wire.h).
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "device/device.h"
#include "nic/claim.h"
#include "nic/interface.h"
#include "nic/private_region.h"
#include "nic/sleep.h"
#include "nic/take_over.h"

namespace vale {

struct WireParts {
  OpenRequest request;
  Interface interface;  // whose state is shown
  bool host = false;    // the rings are those of the host's side
  std::shared_ptr<PrivateRegion> region;
  uint64_t memory_key = 0;
  TakeOver take_over;
  std::shared_ptr<const Claim> claim;  // for as long as it is open
  std::string warning;
  bool busy = false;
  Port* share = nullptr;  // whose extra buffers the rings hold; they go back at the end
};

class WirePort : public Port {
 public:
  ~WirePort() override;
  bool wire_state(WireState* out) const override;
  int rxsync() final;
  short ready(short events) final;
  int fd() const final { return sleep_.fd(); }
  short poll_events(short) const final { return POLLIN; }
  void disarm() final;

 protected:
  // A statistic: written by one thread at a time, read by any.
  class Count {
   public:
    void add(uint64_t n) { n_.store(get() + n, std::memory_order_relaxed); }
    // Beside others who write.
    void add_shared(uint64_t n) { n_.fetch_add(n, std::memory_order_relaxed); }
    uint64_t get() const { return n_.load(std::memory_order_relaxed); }

   private:
    std::atomic<uint64_t> n_{0};
  };

  void bind(WireParts parts, const char* backend);
  const RingView& tx() const { return rings_.tx; }
  const RingView& rx() const { return rings_.rx; }
  bool sends() const { return first_tx_ != last_tx_; }
  bool receives() const { return first_rx_ != last_rx_; }
  void drop(Drop why, uint64_t frames = 1) {
    drops_[static_cast<unsigned>(why)].add_shared(frames);
  }
  // The counters of the frames that passed the rings.
  PortCounters ring_counters() const;
  virtual uint64_t kernel_drops() const = 0;
  // A shared buffer that stands in no ring of this port's goes back.
  void give_back(uint32_t buffer);

  // What the application has handed over of the slots that were its own, [from, to). False when head and
  // cur make no sense: both are put back to `from`.
  static bool taken_head(const RingView& ring, uint32_t from, uint32_t to, uint32_t* head);
  static void show_tail(const RingView& ring, uint32_t tail) {
    __atomic_store_n(&ring.ring()->tail, tail, __ATOMIC_RELEASE);
  }
  // Whether there is something beyond what the application has looked at.
  static bool has_more(const RingView& ring) { return ring.cur() != ring.tail(); }
  static bool handed_over(const RingView& ring, uint32_t from) {
    return __atomic_load_n(&ring.ring()->head, __ATOMIC_ACQUIRE) != from;
  }
  // Whether a slot of the tx ring that was handed over is not the application's again.
  virtual bool unsent() const = 0;
  uint32_t rx_room() const { return rx().slots() - 1 - rx().distance(rx_hwcur_, rx_hwtail_); }
  // Puts frames into slots from rx_hwtail_ on, moves it, and marks their ends in rx_ends_.
  virtual void fill(const RingView& ring) = 0;
  // Of the interface, 0 when it is not received by queues.
  virtual uint32_t queues_served() const { return 0; }
  // Sets removed_ when the interface is gone.
  virtual void look_for_removal() = 0;

  WireParts parts_;
  RingPair rings_;
  Sleep sleep_;
  std::atomic<bool> removed_{false};
  Count tx_frames_, tx_bytes_, tx_delivered_, rx_frames_, rx_bytes_, rx_read_;
  Count drops_[kDropReasons];
  uint32_t rx_hwcur_ = 0, rx_hwtail_ = 0;
  std::vector<uint8_t> rx_ends_;  // per slot: 1 when a frame ends there

 private:
  void release(const RingView& ring);

  std::atomic_flag rx_busy_ = ATOMIC_FLAG_INIT;
  uint32_t idle_syncs_ = 0;
  const char* backend_ = "";
  uint64_t downs_before_ = 0;  // the kernel's own count, when this was opened
};

}  // namespace vale
