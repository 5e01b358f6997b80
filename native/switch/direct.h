// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Frames that a process carries by itself to where the frames of an rx ring go, because it serves both
// ports (vhost/crossing.h): the switch says where to, and counts them as if they had gone through the rings.
//   1. begin(): the tx ring is locked. False: what is there has to go through the rings now.
//   2. way(): where a frame goes, after its source was learned.
//   3. commit(): frames of one way were carried, in a row: taken, delivered and read, in that order. False,
//      and nothing is counted: something has changed meanwhile, and they have to go through the rings.
//      Or, where another process serves that port, reserve() and deliver(): into its rx ring, past one's own tx ring,
//      a copy less.
//   4. end(): who sleeps on those rings is woken.
//
// Owns. TxRing under its lock, and what commit() changes of an RxRing under that one's.
// Invariants. Between reserve() and deliver() the rx ring is locked.
//   What deliver.cc promises of counters, also when killed between two instructions. Frames of one tx
//   ring to one rx ring stay in order: nothing is carried past a frame that waits in that rx ring.
// Not here. Floods, unknown addresses, rings that are watched, headers of unequal length: those go through
//   the rings.
#pragma once

#include "ring_view.h"
#include "switch/slot_target.h"

namespace vale {

struct RxRing;
struct Sender;

class DirectSender {
 public:
  struct Way {
    uint32_t dest = 0;    // index of the port on the switch
    uint64_t member = 0;  // 0: none
    uint32_t rx_index = 0;
  };
  enum class Where { port, nowhere, everywhere };

  explicit DirectSender(Sender& sender) : s_(sender) {}

  bool begin();
  // addresses: the first 12 bytes of a frame. `port`: to that of *way, whose `member` is 0 when its frames
  // have to go through the rings. `nowhere`: no port gets it.
  Where way(const char* addresses, Way* way);
  // Whether nothing waits in the ring, which `view` is the owner's view of.
  bool empty(const Way& way, const RingView& view) const;
  // bytes: with the ports' virtio-net headers.
  bool commit(const Way& way, const RingView& view, uint32_t frames, uint64_t bytes);
  static constexpr uint32_t kMostReserved = 64;
  // Places for `count` frames of at most `longest` bytes each, `bytes` in all, headers included: to[0] to
  // to[*room - 1]; the others are dropped, and counted so. False: as commit().
  bool reserve(const Way& way, uint32_t count, uint64_t bytes, uint32_t longest, SlotTarget* to,
               uint32_t* room);
  // Those that were reserved last, filled, their lengths set.
  void deliver(const Way& way, const SlotTarget* filled, uint32_t room, uint32_t count);
  void end();

 private:
  bool lock(const Way& way);
  void take(uint32_t frames, uint64_t bytes);
  bool open_to(const RxRing& r) const;

  Sender& s_;
  bool refused_ = false;      // since begin() some ring had not room for all
  char* reserved_ = nullptr;  // where the ring's memory is mapped
};

}  // namespace vale
