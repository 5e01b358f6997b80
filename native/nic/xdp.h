// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. An interface as a port, with frames through AF_XDP.
//   rxsync: a frame lies in a buffer that the kernel was given; the slot gets that buffer, and the
//     kernel the one the slot had. Nothing is copied.
//   txsync: slots from head on are handed to the kernel as they are; a slot is the application's again
//     when the kernel has done with its buffer.
//
// Owns. The sockets, what it sleeps on, the buffers that are with the kernel. As with a packet port,
//   one thread sleeps, and tx and rx may be synced by two threads.
//
// Invariants. A buffer is in a slot, with the kernel, or in the list of spare ones, never in two of
//   them, unless the application puts it in two slots, which harms its own frames. Buffers of another
//   port's region serve as well as own ones: the kernel reads and writes the region itself.
//   tx_copies = tx_delivered + drops as in packet.h.
//
// Not here. What AF_XDP does not tell: VLAN tags and super-frames (xdp_advice.h). Unfinished checksums it
//   does not tell either, but they are seen (offload/unfinished.h).
#pragma once

#include <memory>
#include <vector>

#include "nic/peer.h"
#include "nic/sleep.h"
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
  short ready(short events) override;
  void arm(short events) override;
  int fd() const override { return sleep_.fd(); }
  short poll_events(short) const override { return POLLIN; }
  void disarm() override;
  PortCounters counters() const override;

 private:
  static constexpr uint32_t kBatch = 64;

  XdpPort() = default;
  uint64_t kernel_drops() const override { return socket_.drops() - drops_before_; }
  // tx
  void collect(netmap_ring* ring);
  void push(netmap_ring* ring);
  // Slots of the frame at `at`, before head; *why is Drop::count_ when it can go.
  uint32_t measure(netmap_ring* ring, uint32_t at, uint32_t head, uint32_t* bytes, Drop* why) const;
  bool fetch_indirect(netmap_ring* ring, const netmap_slot& slot) const;
  void kick();

  // rx
  void fill(netmap_ring* ring) override;
  bool fill_from(netmap_ring* ring, unsigned queue);
  void place(netmap_ring* ring, const XdpSocket::Frame* pieces, uint32_t count, unsigned queue);
  // What was not taken as a frame; the kernel gets its buffers again.
  void take_back(const XdpSocket::Frame* pieces, uint32_t count, unsigned queue);
  void finish(const XdpSocket::Frame* pieces, uint32_t count);
  void give(unsigned queue, uint32_t buffer);

  void look_for_removal() override;

  XdpSocket socket_;
  uint64_t drops_before_ = 0;  // while it was being opened
  int promiscuous_ = -1;
  XdpBuffers buffers_;

  std::atomic_flag tx_busy_ = ATOMIC_FLAG_INIT;
  uint32_t tx_hwcur_ = 0, tx_done_ = 0;  // next to send; oldest that is with the kernel
  std::vector<uint32_t> tx_slot_;        // of a buffer that is with the kernel
  std::vector<uint8_t> tx_pending_;      // per slot: its buffer is with the kernel
  std::atomic<bool> down_{false};

  bool finish_checksums_ = false;  // of frames that come from a stack, not from hardware

  Sleep sleep_;
};

}  // namespace vale
