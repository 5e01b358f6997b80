// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. AF_XDP on all queues of one interface, in memory that is given:
//   1. open(): the memory becomes a UMEM, each queue gets a socket, a small program sends every frame
//      to the socket of its queue. The modes are tried in their order.
//   2. give(): addresses for frames to come. received(): those that came.
//   3. send(): addresses to transmit, kick() tells the kernel. sent(): those it has done with.
//
// Owns. Sockets, the rings shared with the kernel, the link that holds the program.
//
// Invariants. Addresses count from the start of the memory. A frame lands kHeadroom behind the address
//   given for it and takes at most `chunk` - kHeadroom bytes; chunks lie anywhere (unaligned mode).
//   The program goes with the process. Single-threaded a direction: give and received in one thread,
//   send, kick and sent in one.
//
// Not here. netmap rings and what is in a frame (xdp.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nic/bpf.h"
#include "nic/interface.h"
#include "nic/mapping.h"
#include "status.h"

namespace vale {

enum class XdpMode { zero_copy, native, generic };

class XdpSocket {
 public:
  static constexpr uint32_t kHeadroom = 256;  // XDP_PACKET_HEADROOM
  static constexpr uint32_t kRing = 1024;     // entries of each ring shared with the kernel

  struct Frame {
    uint64_t address;  // of its first byte
    uint32_t bytes;
    bool more;  // the frame goes on in the next one
  };

  XdpSocket() = default;
  ~XdpSocket();
  XdpSocket(const XdpSocket&) = delete;
  XdpSocket& operator=(const XdpSocket&) = delete;

  // Called for each mode that failed for a reason of its own; may say in better words why.
  using Refused = std::function<void(XdpMode, Status*)>;

  // EPERM, ENOBUFS (RLIMIT_MEMLOCK), EOPNOTSUPP, EBUSY (another program has the interface).
  // memory is page-aligned.
  Status open(const Interface& interface, const std::vector<XdpMode>& modes, char* memory,
              uint64_t bytes, uint32_t chunk, const Refused& refused = {});
  void close();
  XdpMode mode() const { return mode_; }
  bool fragments() const { return fragments_; }
  unsigned queues() const { return static_cast<unsigned>(queues_.size()); }
  int fd(unsigned queue) const { return queues_[queue].fd.fd(); }

  // At most kRing are with the kernel at a time.
  void give(unsigned queue, uint64_t address);
  // Makes what was given known to the kernel, and wakes it if it sleeps for want of it.
  void publish(unsigned queue);
  // Up to `most` frames of a queue; they stay until taken().
  uint32_t received(unsigned queue, Frame* out, uint32_t most);
  void taken(unsigned queue, uint32_t frames);

  uint32_t tx_room() const;
  // One frame, or one fragment of it; there must be room for it.
  void send(uint64_t address, uint32_t bytes, bool more);
  // 0, or an errno: EAGAIN, EBUSY, ENOBUFS are "later", ENETDOWN, ENXIO a link that is down.
  int kick();
  // Frames sent that the kernel had not taken when it was told last.
  uint32_t waiting() const { return waiting_; }
  bool to_kick() const { return unsent_; }
  uint32_t sent(uint64_t* addresses, uint32_t most);

  uint64_t drops() const;  // by the kernel, for want of addresses or room

 private:
  struct Ring {
    uint32_t* producer = nullptr;
    uint32_t* consumer = nullptr;
    uint32_t* flags = nullptr;
    void* entries = nullptr;
    uint32_t local = 0;  // this side's index
    Mapping map;
  };
  struct Queue {
    Handle fd;
    Ring fill, completion, rx, tx;
  };

  Status try_open(const Interface& interface, char* memory, uint64_t bytes, uint32_t chunk,
                  unsigned queues, XdpMode mode);
  int wake_for_tx();
  int make_queue(const Interface& interface, unsigned index, XdpMode mode);
  int attach(const Interface& interface, XdpMode mode);

  XdpMode mode_ = XdpMode::generic;
  std::vector<Queue> queues_;
  Handle map_, link_;
  bool unsent_ = false;
  uint32_t waiting_ = 0;
  bool fragments_ = false;  // frames of several chunks (XDP_USE_SG)
};

}  // namespace vale
