// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. An interface as a port, with frames through AF_XDP.
//   rxsync: a frame lies in a buffer that the kernel was given; the slot gets that buffer, and the
//     kernel the one the slot had. Nothing is copied.
//   txsync: slots from head on are handed to the kernel as they are; a slot is the application's again
//     when the kernel has done with its buffer.
//
// Owns. The sockets, the buffers that are with the kernel. As with a packet port, one thread sleeps, and tx
//   and rx may be synced by two threads.
//
// Invariants. A buffer is in a slot, with the kernel, or in the list of spare ones, never in two of
//   them, unless the application puts it in two slots, which harms its own frames: sent, it is a bad slot
//   where the kernel has it already. Buffers of another
//   port's region serve as well as own ones: the kernel reads and writes the region itself.
//   tx_copies = tx_delivered + drops as in packet.h, but for frames the kernel has not taken yet; they are
//   lost with the interface.
//
// Not here. What AF_XDP does not tell: VLAN tags and super-frames (xdp_advice.h). Unfinished checksums it
//   does not tell either, but they are seen (offload/unfinished.h).
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "nic/peer.h"
#include "nic/wire_port.h"
#include "nic/xdp_buffers.h"
#include "nic/xdp_socket.h"

namespace vale {

class XdpPort final : public WirePort {
 public:
  // Buffers the kernel has to have for each queue of the interface.
  static uint32_t spare(const std::string& interface);
  // Whether buffers of that size can be used.
  static constexpr uint32_t kMinBuffer = 2048 - XdpSocket::kHeadroom;
  static constexpr uint32_t kMaxBuffer = 4096 - XdpSocket::kHeadroom;
  static bool fits(uint32_t buf_size) { return buf_size >= kMinBuffer && buf_size <= kMaxBuffer; }
  // As XdpSocket::open(). parts.region has spare() buffers beside those of the rings. peer, inside: for
  // what the user is told (xdp_advice.h).
  static Status open(WireParts parts, const std::vector<XdpMode>& modes, const Peer& peer,
                     const std::string& inside, std::unique_ptr<Port>* out);
  ~XdpPort() override;

  int txsync() override;
  void arm(short events) override;
  PortCounters counters() const override;

 private:
  static constexpr uint32_t kBatch = 64;

  XdpPort() = default;
  uint64_t kernel_drops() const override { return socket_.drops() - drops_before_; }
  // tx
  // A frame in the tx ring, as it was read once.
  struct Outgoing {
    netmap_slot slots[NETMAP_MAX_FRAGS];  // the first of them
    uint32_t count, bytes;
    Drop why;  // count_: it can go
    bool has(uint32_t buffer) const {
      const auto holds = [buffer](const netmap_slot& slot) { return slot.buf_idx == buffer; };
      return std::any_of(slots, slots + std::min<uint32_t>(count, NETMAP_MAX_FRAGS), holds);
    }
  };
  static constexpr uint32_t kNowhere = ~0u;
  void collect(const RingView& ring);
  void push(const RingView& ring);
  void measure(const RingView& ring, uint32_t at, uint32_t head, Outgoing* out) const;
  bool fetch_indirect(const RingView& ring, const netmap_slot& slot) const;
  void kick();

  // rx
  void fill(const RingView& ring) override;
  bool fill_from(const RingView& ring, unsigned queue);
  void place(const RingView& ring, const XdpSocket::Frame* pieces, uint32_t count, unsigned queue);
  // What was not taken as a frame; the kernel gets its buffers again.
  void take_back(const XdpSocket::Frame* pieces, uint32_t count, unsigned queue);
  void finish(const XdpSocket::Frame* pieces, uint32_t count);
  void give(unsigned queue, uint32_t buffer);

  bool unsent() const override { return handed_over(tx(), tx_done_); }
  uint32_t queues_served() const override { return socket_.queues(); }
  void look_for_removal() override;

  XdpSocket socket_;
  uint64_t drops_before_ = 0;  // while it was being opened
  int promiscuous_ = -1;
  XdpBuffers buffers_;

  std::atomic_flag tx_busy_ = ATOMIC_FLAG_INIT;
  uint32_t tx_hwcur_ = 0, tx_done_ = 0;  // next to send; oldest that is with the kernel
  std::vector<uint32_t> tx_slot_;    // of a buffer that is with the kernel to be sent, or kNowhere
  std::vector<uint8_t> tx_pending_;  // per slot: its buffer is with the kernel
  uint64_t tx_handed_ = 0;           // frames, in this sync
  std::atomic<uint32_t> tx_waiting_{0};  // frames handed over that the kernel has not taken
  std::atomic<bool> down_{false};

  bool finish_checksums_ = false;  // of frames that come from a stack, not from hardware
};

}  // namespace vale
