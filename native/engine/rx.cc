// SPDX-License-Identifier: BSD-2-Clause
// rx and rxseq: count what arrives and release it; look into it only when asked to.
#include <algorithm>
#include <cstring>

#include "device/wait.h"
#include "engine/frame_head.h"
#include "engine/receive_loop.h"
#include "engine/sequence.h"

namespace vale {
namespace {

constexpr int kWaitMs = 1000;  // longest sleep, and the silence that ends a run with -W
constexpr uint64_t kSilenceNs = 1000000000;
constexpr unsigned kTurnsPerStamp = 16;
// A busy loop looks at the clock once in so many empty turns.
constexpr unsigned kTurnsPerSilenceCheck = 1024;

// One rx ring, and the start of the frame that is just being received from it.
struct RxRing {
  RingView ring;
  SequenceCheck sequence;
  FrameHead head{};
};

class Receiver {
 public:
  Receiver(PktGenRun& run, Engine& engine, unsigned thread)
      : run_(run),
        config_(run.config),
        engine_(engine),
        lane_(engine.lane(thread)),
        port_(*run.ports[thread]),
        inspects_(config_.dump || config_.function == PktGenFunction::rxseq ||
                  (config_.options & (kOptAccess | kOptPrefetch)) != 0) {
    const bool several = port_.last_rx() - port_.first_rx() > 1 || run.ports.size() > 1;
    for (unsigned i = port_.first_rx(); i < port_.last_rx(); i++) {
      const std::string where = several ? " on ring " + std::to_string(i) : "";
      rings_.push_back({port_.rx_view(i), SequenceCheck(engine, where)});
    }
  }

  Status run() {
    const Status status = receive_loop(*this, engine_, port_);
    stamp();
    if (config_.function == PktGenFunction::rxseq) {
      for (RxRing& ring : rings_) ring.sequence.summarise();
    }
    return status;
  }

  bool finished() const { return finished_; }

  // One burst from each ring; whether there was anything.
  bool receive() {
    uint64_t frames = 0, bytes = 0;
    uint32_t used = 0, total = 0;
    for (RxRing& rx : rings_) {
      const uint32_t head = rx.ring.head();
      const uint32_t filled = rx.ring.distance(head, rx.ring.tail());
      used += filled;
      total += rx.ring.slots() - 1;
      if (filled == 0) continue;
      lane_.add_event();
      const uint32_t n = std::min(filled, config_.burst);
      if (inspects_) {
        frames += inspect(rx, head, n, &bytes);
      } else {
        frames += count(rx.ring, head, n, &bytes);
      }
    }
    if (used == 0) return false;
    lane_.space(total - used);
    lane_.add(frames, bytes - std::min(bytes, frames * config_.header_length), frames);
    unstamped_ = true;
    if (turn_++ % kTurnsPerStamp == 0) stamp();
    if (config_.count != 0 && run_.received.fetch_add(frames) + frames >= config_.count) {
      finished_ = true;
      engine_.stop();
    }
    return true;
  }

  // Until something may have arrived; whether it is known to be in the rings.
  bool wait() {
    stamp();
    if (config_.busy) {
      cpu_relax();
      if (config_.wait_once && ++empty_turns_ % kTurnsPerSilenceCheck == 0) look_for_silence();
      return false;
    }
    PortWait wait{&port_, POLLIN};
    wait_ports(&wait, 1, kWaitMs, config_.spin, engine_.stop_fd());
    // With an error, the next sync says which.
    const bool found = (wait.revents & (POLLIN | POLLERR)) == POLLIN;
    if (!found && config_.wait_once) look_for_silence();
    return found;
  }

 private:
  static uint32_t count(const RingView& ring, uint32_t head, uint32_t n, uint64_t* bytes) {
    const uint32_t slots = ring.slots();
    uint32_t frames = n;
    uint64_t sum = 0;
    for (uint32_t left = n; left > 0;) {
      const uint32_t run = std::min(left, slots - head);
      for (const netmap_slot* slot = &ring.at(head); slot < &ring.at(head + run); slot++) {
        sum += slot->len;
        if (slot->flags & NS_MOREFRAG) frames--;
      }
      left -= run;
      head = head + run == slots ? 0 : head + run;
    }
    ring.release(head);
    *bytes += sum;
    return frames;
  }

  uint32_t inspect(RxRing& rx, uint32_t i, uint32_t n, uint64_t* bytes) {
    const RingView& ring = rx.ring;
    uint32_t frames = 0;
    for (; n > 0; n--) {
      const netmap_slot slot = ring.slot(i);
      const uint32_t next = ring.after(i);
      if (config_.options & kOptPrefetch) __builtin_prefetch(ring.buffer(ring.at(next).buf_idx));
      if (config_.options & kOptAccess) access(ring.buffer(slot.buf_idx), slot.len);
      if (config_.dump) dump_slot(engine_, ring, i);
      if (config_.function == PktGenFunction::rxseq) follow(rx, slot);
      if (!(slot.flags & NS_MOREFRAG)) frames++;
      *bytes += slot.len;
      i = next;
    }
    ring.release(i);
    return frames;
  }

  void access(const char* data, uint32_t length) {
    uint64_t sum = 0;
    for (uint32_t at = 0; at + 8 <= length; at += 8) {
      uint64_t word;
      std::memcpy(&word, data + at, 8);
      sum += word;
    }
    read_ = read_ + sum;
  }

  void follow(RxRing& rx, const netmap_slot& slot) {
    FrameHead& head = rx.head;
    if (!head.add(rx.ring, slot)) return;
    const uint32_t at = head.payload(config_.header_length);
    if (at != 0 && head.bytes >= at + 4) {
      const uint8_t* s = head.data + at;
      rx.sequence.frame(uint32_t(s[0]) << 24 | uint32_t(s[1]) << 16 | uint32_t(s[2]) << 8 | s[3],
                        head.slots);
    }
    head.clear();
  }

  // With -W a run is over when no thread has received anything for a second, but some did before.
  void look_for_silence() {
    uint64_t frames = 0;
    for (unsigned i = 0; i < engine_.lanes(); i++) frames += engine_.lane(i).frames();
    const uint64_t now = monotonic_ns();
    if (frames != silent_frames_) {
      silent_frames_ = frames;
      silent_since_ = now;
    } else if (frames != 0 && now - silent_since_ >= kSilenceNs) {
      finished_ = true;
    }
  }

  void stamp() {
    if (!unstamped_) return;
    const uint64_t now = monotonic_ns();
    lane_.seen(now);
    unstamped_ = false;
    if (!config_.wait_once) return;
    silent_frames_ = 0;
    for (unsigned i = 0; i < engine_.lanes(); i++) silent_frames_ += engine_.lane(i).frames();
    silent_since_ = now;
  }

  PktGenRun& run_;
  const PktGenConfig& config_;
  Engine& engine_;
  Lane& lane_;
  Port& port_;
  std::vector<RxRing> rings_;
  const bool inspects_;
  bool finished_ = false;
  bool unstamped_ = false;  // frames arrived since the clock was read
  unsigned turn_ = 0, empty_turns_ = 0;
  uint64_t silent_frames_ = 0, silent_since_ = 0;
  volatile uint64_t read_ = 0;  // keeps the reading of payloads from being optimised away
};

}  // namespace

Status run_rx(PktGenRun& run, Engine& engine, unsigned thread) {
  return Receiver(run, engine, thread).run();
}

}  // namespace vale
