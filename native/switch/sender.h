// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A Sender is one thread's view of one tx ring while it syncs; forward.h drives it:
//   1. scan_run(): frames in a row to the same port (run.cc); they are sent at once.
//   2. classify(): whatever else: slots → Batch (mixed.cc; fragments, flags and hints in classify.cc).
//   3. deliver():  frames of a run or a batch → one rx ring (deliver.cc; deliver_converted.cc where the
//      ports' virtio-net headers differ).
//   One frame in a sync takes a short cut through 1 and 3: send_one() (single.cc).
//   4. wake():     after the sync, whoever sleeps on a ring that got frames.
//
// Owns. Caches of the last source and destination, checked against the FDB before each use; the list
//   of rings that got frames in this sync.
// Invariants. Used only under the tx ring's lock.
// Not here. The order in which these happen (forward.h).
#pragma once

#include <unordered_map>

#include "shm/runtime.h"
#include "switch/batch.h"
#include "switch/convert.h"
#include "switch/copy.h"
#include "switch/fdb.h"
#include "switch/monitor.h"
#include "switch/offsets.h"
#include "switch/tx_slots.h"

namespace vale {

struct Sender {
  Runtime* rt = nullptr;
  TxRing* tx = nullptr;
  uint32_t tx_index = 0;
  uint32_t ring_number = 0;
  PortRec* port = nullptr;
  netmap_ring* own_ring = nullptr;
  char* own_base = nullptr;  // of the mapping that it is in
  netmap_slot* slots = nullptr;
  const char* bufs = nullptr;
  uint32_t num_slots = 0, buf_size = 0;

  // This sync.
  SwitchRec* sw = nullptr;
  Fdb fdb;
  uint32_t self = 0;  // own port index
  uint32_t self_gen = 0;
  uint32_t header = 0;  // bytes of virtio-net header before each frame
  uint32_t now = 0;
  uint32_t buf_bound = 0;
  OffsetRule offsets;  // of the tx ring
  uint64_t seen = 0;   // all slot words of this sync, or-ed

  // Between syncs.
  int32_t cached_slot =
      -1;  // of the switch that `sw`, `fdb`, `self` and `header` are about; -1 = none
  uint32_t cached_gen = 0;
  uint64_t cached_member = 0;  // our own word there
  Mac48 last_source = ~Mac48{0}, last_dest = ~Mac48{0};
  FdbRef source_ref, dest_ref;
  uint64_t identity = 0;
  uint16_t sequence = 0;
  uint32_t busy = 0;
  bool put_back = false;              // a sync found head or cur where they cannot be
  uint32_t short_runs = 0;            // seen since runs were worth it
  RxRing* last_rx = nullptr;          // where the last frame went,
  netmap_slot* last_slots = nullptr;  // and that ring's slots: fetched early in the next sync
  std::unordered_map<uint32_t, uint64_t> stalled;  // rx ring → lock word that did not move
  std::unordered_map<uint32_t, uint32_t> rung;     // rx ring → wake epoch that was answered
  int mem_fd = -1;
  Watched watched;  // only while somebody watches

  uint32_t more_slots = 0;  // of this sync, after the run or batch at hand: what to prefetch for

  uint32_t touched[256];
  uint32_t touched_count = 0;
  bool no_room = false;  // in this sync some ring had no room for any frame

  uint64_t run[kRunFrames];  // slot words of the run
  Batch batch;
  std::unique_ptr<Converter> converter;  // made when first needed

  // A lock word of this thread; `identity` is its part that stays the same during a sync.
  uint64_t me() { return identity | ++sequence; }

  // Where the frame in this slot of ours begins in its buffer.
  uint32_t offset_in(uint32_t slot) const {
    return offsets.offset(__atomic_load_n(&slots[slot].ptr, __ATOMIC_RELAXED));
  }

  PlainSlot plain_slots() const {
    const uint32_t shortest = header + kEthernetHeader;
    return {buf_bound, shortest, buf_size - shortest};
  }

  void classify(uint32_t from, uint32_t head);
  // `dest` is the port's index, `member` the word that was read there.
  void deliver(uint32_t dest, uint64_t member, uint32_t ring, const uint16_t* order,
               uint32_t count);
  // A sync of one plain frame with the addresses of the one before (single.cc); false when it is not.
  bool send_one(uint32_t slot, uint32_t head);
  // The common case of both, without a Batch: frames in a row to one port (run.cc).
  uint32_t scan_run(uint32_t from, uint32_t head, uint16_t* dest, uint64_t* bytes);
  void deliver_run(uint32_t dest, uint64_t member, uint32_t ring, uint32_t count);
  // The batch at hand to all its destinations at once (scatter.cc); false when they are few.
  bool scatter();
  // A full fence stands between the tails published and this.
  void wake() {
    if (touched_count == 1 && sleepers(rt->control().rx(touched[0]).wake) == 0) [[likely]] {
      touched_count = 0;
    } else {
      wake_each();
    }
  }
  // The other core holds the line of the next slot to fill: ask for it before it is needed.
  void expect();
  void learn(Mac48 source);
  // The same for one of many, whose entry is asked for.
  void learn(FdbSet* home, Mac48 source) {
    const FdbRef at = Fdb::peek(home, source);
    if (at.word != fdb_word(source, false, self, self_gen)) {
      learn(source);
    } else if (at.seen->load(std::memory_order_relaxed) != now) {
      at.seen->store(now, std::memory_order_relaxed);
    }
  }

 private:
  friend class DirectSender;
  struct Classifier;
  uint16_t resolve(Mac48 dest, Mac48 source, bool want_learn);
  uint32_t extend_run(const netmap_slot* from, uint32_t count, uint32_t most, uint64_t* bytes);
  uint32_t read_slow(uint32_t slot, uint32_t head, Frame* frame);
  bool stage(uint64_t pointer, uint32_t length, const char** data);
  bool is_at(const RxRing& r, uint32_t dest, uint64_t member) const;
  bool lock_destination(RxRing& r, uint32_t rx_index, uint32_t dest, uint64_t member,
                        uint32_t count);
  struct Copied {
    uint32_t frames = 0, slots = 0, too_big = 0, ring_full = 0;
    uint64_t bytes = 0;
  };
  template <class Source>
  Copied copy_general(RxRing& r, uint32_t rx_index, char* base, uint32_t tail, uint32_t space,
                      const Source& source, uint32_t first, uint32_t count);
  bool open_plan(uint32_t dest, uint64_t member, uint32_t rx_index, char** base);
  bool deliver_one(RxRing& r, uint32_t rx_index, uint32_t dest, uint64_t member, const char* data,
                   uint32_t length);
  void show(const RxRing& r, char* base, uint32_t tail);
  void intend(RxRing& r, uint32_t rx_index, uint32_t count);
  struct Whole {  // a frame
    const Fragment* fragment;
    uint32_t fragments, length;
  };
  template <class Source>
  void convert_from(RxRing& r, uint32_t rx_index, char* base, uint32_t to, const Source& source,
                    uint32_t total);
  void deliver_converted(RxRing& r, uint32_t rx_index, char* base, uint32_t to, const Whole* whole,
                         uint32_t count);
  template <class Source>
  void deliver_from(uint32_t dest, uint64_t member, uint32_t ring, const Source& source,
                    bool simple, uint32_t total);
  void touch(uint32_t rx_index);
  // What became of the frames for a ring: some are there, or none, `refused` for want of room.
  void reached(uint32_t rx_index, bool delivered, bool refused) {
    if (delivered) {
      touch(rx_index);
    } else {
      no_room = no_room || refused;
    }
  }
  void wake_each();
};

// Whether the ring, whose lock is held, is that of the port at `dest` of this switch. Its tag alone does not say
// so: records and generations of ports are used again, on any switch, and a sender may have been held up
// for long since it read `member`.
inline bool Sender::is_at(const RxRing& r, uint32_t dest, uint64_t member) const {
  return r.tag.load(std::memory_order_relaxed) == member &&
         sw->member[dest].load(std::memory_order_acquire) == member &&
         r.bound.load(std::memory_order_acquire) != 0;
}

// Notes, before anything is copied, what is about to be delivered to whom, so that a death on the way
// can be accounted for (recover.h).
inline void Sender::intend(RxRing& r, uint32_t rx_index, uint32_t count) {
  TxRing& t = *tx;
  const uint32_t serial = t.serial.load(std::memory_order_relaxed) + 1;
  t.dest.store(rx_index, std::memory_order_relaxed);
  t.copies.store(count, std::memory_order_relaxed);
  t.serial.store(serial, std::memory_order_release);
  r.intent_tx.store(0, std::memory_order_relaxed);
  r.intent_serial.store(serial, std::memory_order_release);
  r.intent_sequence.store(word_sequence(r.tail_copy.load(std::memory_order_relaxed)),
                          std::memory_order_relaxed);
  r.intent_frames.store(0, std::memory_order_relaxed);
  r.intent_tx.store(tx_index + 1, std::memory_order_release);
}

// The other core holds the line of the next slot to fill: ask for it before it is needed.
inline void Sender::expect() {
  if (last_rx == nullptr) return;
  // Only a guess: a slot of a ring that was unmapped meanwhile is a harmless address to prefetch.
  prefetch_for_write(
      &last_slots[word_position(last_rx->tail_copy.load(std::memory_order_relaxed))]);
}

}  // namespace vale
