// SPDX-License-Identifier: BSD-2-Clause
// pong: send every frame back to where it came from.
#include <algorithm>
#include <utility>

#include "device/wait.h"
#include "engine/loops.h"

namespace vale {
namespace {

constexpr int kWaitMs = 1000;
constexpr unsigned kTurnsPerStamp = 16;

class Ponger {
 public:
  Ponger(PktGenRun& run, Engine& engine, unsigned thread)
      : config_(run.config),
        engine_(engine),
        lane_(engine.lane(thread)),
        port_(*run.ports[thread]),
        rings_(tx_rings(port_, run.plan)) {
    limit_ = run.share(thread, &nothing_);
  }

  Status run() {
    if (nothing_) return Status::good();
    while (!engine_.stopping() && (limit_ == 0 || answered_ < limit_)) {
      if (const int err = port_.rxsync()) return port_gone(port_, err);
      if (!turn()) {
        wait();
        continue;
      }
      if (const int err = port_.txsync()) return port_gone(port_, err);
      settle();
      if (turn_++ % kTurnsPerStamp == 0) stamp();
    }
    stamp();
    lane_.add_accepted(drain(engine_, port_, rings_));
    const int err = port_.rxsync();
    return err == 0 ? Status::good() : port_gone(port_, err);
  }

 private:
  // Answers at most a burst from each ring; whether there was anything.
  bool turn() {
    uint64_t frames = 0, bytes = 0;
    for (unsigned r = port_.first_rx(); r < port_.last_rx(); r++) {
      const RingView& ring = port_.rx_view(r);
      const uint32_t begin = ring.head(), tail = ring.tail();
      uint32_t head = begin;
      for (uint32_t n = 0; n < config_.burst && head != tail; n++) {
        if (limit_ != 0 && answered_ >= limit_) break;
        const uint32_t first = head;
        uint32_t slots = 0;
        for (bool more = true; more && head != tail; slots++) {
          if (config_.dump) dump_slot(engine_, ring, head);
          const netmap_slot slot = ring.slot(head);
          bytes += slot.len;
          more = (slot.flags & NS_MOREFRAG) != 0;
          head = ring.after(head);
        }
        frames++;
        answer(ring, first, slots);
      }
      if (head != begin) lane_.add_event();
      ring.release(head);
    }
    lane_.add(frames, bytes - std::min(bytes, frames * config_.header_length), 0);
    unstamped_ |= frames != 0;
    return frames != 0;
  }

  // A frame for which no tx ring has room is dropped, as the reference does.
  void answer(const RingView& ring, uint32_t first, uint32_t slots) {
    for (TxRing& tx : rings_) {
      const uint32_t at = tx.ring().head();
      if (!tx.copy(ring, first, slots)) continue;
      turn_round(tx.ring(), at, slots);
      answered_++;
      return;
    }
  }

  // Swaps source and destination, of Ethernet and of IP; checksums stay right.
  void turn_round(const RingView& ring, uint32_t first, uint32_t slots) {
    const uint32_t start = config_.header_length;
    swap(ring, first, slots, start, start + 6, 6);
    const uint8_t* high = byte(ring, first, slots, start + 12);
    const uint8_t* low = byte(ring, first, slots, start + 13);
    if (high == nullptr || low == nullptr) return;
    if (*high == 0x08 && *low == 0x00) swap(ring, first, slots, start + 26, start + 30, 4);
    if (*high == 0x86 && *low == 0xdd) swap(ring, first, slots, start + 22, start + 38, 16);
  }

  static void swap(const RingView& ring, uint32_t first, uint32_t slots, uint32_t a, uint32_t b,
                   uint32_t bytes) {
    if (byte(ring, first, slots, b + bytes - 1) == nullptr) return;
    for (uint32_t i = 0; i < bytes; i++) {
      uint8_t* const one = byte(ring, first, slots, a + i);
      uint8_t* const other = byte(ring, first, slots, b + i);
      if (one != nullptr && other != nullptr) std::swap(*one, *other);
    }
  }

  // Byte `offset` of a frame that may be spread over slots; nullptr behind its end.
  static uint8_t* byte(const RingView& ring, uint32_t slot, uint32_t slots, uint32_t offset) {
    for (; slots > 0; slots--, slot = ring.after(slot)) {
      const netmap_slot s = ring.slot(slot);
      if (offset < s.len) return reinterpret_cast<uint8_t*>(ring.buffer(s.buf_idx)) + offset;
      offset -= s.len;
    }
    return nullptr;
  }

  void settle() {
    for (TxRing& ring : rings_) lane_.add_accepted(ring.settle());
  }

  void wait() {
    stamp();
    if (config_.busy) return cpu_relax();
    PortWait wait{&port_, POLLIN};
    wait_ports(&wait, 1, kWaitMs, config_.spin, engine_.stop_fd());
  }

  void stamp() {
    if (unstamped_) lane_.seen(monotonic_ns());
    unstamped_ = false;
  }

  const PktGenConfig& config_;
  Engine& engine_;
  Lane& lane_;
  Port& port_;
  std::vector<TxRing> rings_;
  uint64_t limit_ = 0, answered_ = 0;
  bool nothing_ = false;
  unsigned turn_ = 0;
  bool unstamped_ = false;
};

}  // namespace

Status run_pong(PktGenRun& run, Engine& engine, unsigned thread) {
  return Ponger(run, engine, thread).run();
}

}  // namespace vale
