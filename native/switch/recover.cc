// SPDX-License-Identifier: BSD-2-Clause
#include "switch/recover.h"

#include "shm/owner_lock.h"
#include "switch/account.h"
#include "switch/swap.h"

namespace vale {

void recover_rx(Runtime& rt, uint32_t rx_index) {
  const Control& c = rt.control();
  RxRing& r = c.rx(rx_index);
  r.tail_copy.store(r.tail.load(std::memory_order_acquire), std::memory_order_relaxed);
  if (c.watch(rx_index).swap_buffers.load(std::memory_order_acquire) != 0) swap_redo(rt, rx_index);
  const uint32_t sender = r.intent_tx.load(std::memory_order_acquire);
  if (sender == 0 || sender > c.rings_tx()) return;
  TxRing& t = c.tx(sender - 1);
  const uint32_t serial = r.intent_serial.load(std::memory_order_relaxed);
  if (t.serial.load(std::memory_order_acquire) == serial) {
    const bool committed = word_sequence(r.tail.load(std::memory_order_acquire)) !=
                           r.intent_sequence.load(std::memory_order_relaxed);
    const uint64_t delivered = committed ? r.intent_frames.load(std::memory_order_relaxed) + 1 : 0;
    t.outcome.store(static_cast<uint64_t>(serial) << 32 | delivered, std::memory_order_release);
  }
  r.intent_tx.store(0, std::memory_order_release);
}

void recover_tx(Runtime& rt, uint32_t tx_index) {
  const Control& c = rt.control();
  TxRing& t = c.tx(tx_index);
  if (const PortRec& p = c.port(t.port); p.kind == Kind::pipe) {
    // Its one commit is the tail of the peer's ring; what was copied beyond it is copied again.
    RxRing& r = c.rx(c.port(p.peer).rx_base + tx_index - p.tx_base);
    r.tail_copy.store(r.tail.load(std::memory_order_acquire), std::memory_order_relaxed);
    return;
  }
  const uint32_t serial = t.serial.load(std::memory_order_acquire);
  const uint32_t settled = word_position(t.settle_word.load(std::memory_order_acquire));
  const uint32_t dest = t.dest.load(std::memory_order_relaxed);
  if (serial != settled && dest < c.rings_rx()) {
    RxRing& r = c.rx(dest);
    uint64_t word = r.lock.load(std::memory_order_acquire);
    if (word != 0 && !rt.process.alive(rt.directory, word) &&
        r.lock.compare_exchange_strong(word, rt.process.word(0), std::memory_order_acquire)) {
      recover_rx(rt, dest);
      unlock(r.lock);
    }
    const uint64_t outcome = t.outcome.load(std::memory_order_acquire);
    if (outcome >> 32 == serial && static_cast<uint32_t>(outcome) != 0) {
      const uint64_t copies = t.copies.load(std::memory_order_relaxed);
      const uint64_t delivered = static_cast<uint32_t>(outcome) - 1;
      settle(t, [&](SettleStat& s) {
        s.delivered += delivered;
        s.dest_dropped += copies - delivered;
      });
    }
  }
  const TakeStat taken = read_stat(t.take, t.take_word, nullptr);
  const SettleStat done = read_stat(t.settle, t.settle_word, nullptr);
  const uint64_t lost = in_flight(taken, done);
  if (lost != 0) settle(t, [&](SettleStat& s) { s.sender_died += lost; });
}

}  // namespace vale
