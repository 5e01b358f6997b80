// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. An interface as a port, with frames through a packet socket or a TAP device's descriptor.
//   txsync: slots from head on become one batch for the kernel. What it has no room for stays in its
//     slots; the ring's tail says so. Fragments go out as one frame.
//   rxsync: frames the kernel has received are copied into slots, with what it keeps beside them put
//     right: VLAN tags back in, half-made checksums completed, super-frames cut (segment.h).
//
// Owns. The socket. One thread sleeps on a port at a time; tx and rx may be synced by two threads.
//
// Invariants. A frame is in rx slots whole or not at all. tx_copies = tx_delivered + drops but for
//   ring_full, which counts frames the kernel had no place for, and what is dropped on receiving.
//   The interface may go down and up; when it is removed, syncs return ENODEV.
//   Frames go straight to the driver, past the queueing discipline: a packet capture on the same
//   interface sees what arrives, the one at the far end sees what leaves.
//
// Not here. More than one ring a direction.
#pragma once

#include <atomic>
#include <memory>

#include "nic/frame_socket.h"
#include "nic/wire_port.h"
#include "offload/segment.h"

namespace vale {

class PacketPort final : public WirePort {
 public:
  // backend: as listed.
  static Status open(WireParts parts, std::unique_ptr<FrameSocket> socket, const char* backend,
                     std::unique_ptr<Port>* out);
  ~PacketPort() override;

  int txsync() override;
  void arm(short events) override;
  PortCounters counters() const override;

 private:
  struct Batch;
  struct Part {
    const char* data;
    uint32_t bytes;
  };

  PacketPort() = default;

  // tx
  void push(const RingView& ring);
  bool gather(const RingView& ring, uint32_t head);
  bool send_batch(const RingView& ring);
  bool refused(const RingView& ring, int error);
  void taken(const RingView& ring, unsigned frames);
  void drop_taken(const RingView& ring, unsigned frames, Drop why);

  // rx
  void fill(const RingView& ring) override;
  bool load();
  bool deliver(const RingView& ring);
  void put(const RingView& ring, const Part* parts, unsigned count, uint32_t bytes, uint32_t slots);

  bool unsent() const override { return handed_over(tx(), tx_hwcur_); }
  void look_for_removal() override;

  uint64_t kernel_drops() const override;

  std::unique_ptr<FrameSocket> socket_;

  std::atomic_flag tx_busy_ = ATOMIC_FLAG_INIT;
  uint32_t tx_hwcur_ = 0, tx_hwtail_ = 0;
  bool tx_blocked_ = false;  // the driver's queue is full, of which the socket does not tell
  std::unique_ptr<Batch> batch_;

  ReceivedFrame frame_;
  bool loaded_ = false;   // frame_ is shown by the socket and not yet released
  bool cutting_ = false;  // and segmenter_ is at work on it
  Segmenter segmenter_;

  bool down_ = false;  // as far as the sleeper knows

  mutable std::atomic<uint64_t> collected_drops_{0};  // collected when asked for
};

}  // namespace vale
