// SPDX-License-Identifier: BSD-2-Clause
// tx and txseq: fill the rings as the rate allows, sync, count.
#include <algorithm>

#include "device/wait.h"
#include "engine/frame.h"
#include "engine/loops.h"
#include "engine/pace.h"

namespace vale {
namespace {

constexpr uint64_t kDrainNs = 500000000;
constexpr int kDrainStepMs = 10;
constexpr uint64_t kStallNs = 900000000;  // less than kWaitMs: the second look already tells
constexpr int kWaitMs = 1000;  // longest sleep; the port's health is looked at after each
// The clock is read once in so many turns: it costs as much as sending ten frames.
constexpr unsigned kTurnsPerStamp = 16;

// The frames to send, one after the other.
class Source {
 public:
  Source(const PktGenRun& run, unsigned thread)
      : config_(run.config),
        frames_(run.capture.frames),
        block_(run.capture.block.get()),
        frame_(run.config, run.seed(thread, 0)),
        sizes_(run.seed(thread, 1)),
        varies_(frame_.has_ranges() || config_.size_min != 0 ||
                config_.function == PktGenFunction::txseq),
        header_(config_.header_length),
        whole_(frame_.max_size() + header_) {
    const bool fields = config_.function == PktGenFunction::txseq;
    const uint32_t end = fields ? frame_.varying_bytes() : frame_.payload_offset();
    if (varies_) varying_ = {frame_.varying_from() + header_, end + header_};
    change();
  }

  // Whether all frames are the same.
  bool fixed() const { return frames_.empty() && !varies_; }
  // Of the current frame, with and without virtio-net header.
  uint32_t slot_bytes() const { return bytes() + config_.header_length; }
  uint32_t bytes() const { return frames_.empty() ? frame_.size() : frames_[index_].bytes; }

  bool put(TxRing& ring) const {
    if (!frames_.empty()) {
      const uint8_t* data = block_ + frames_[index_].offset - config_.header_length;
      return ring.put(data, slot_bytes());
    }
    return ring.put(frame_.data() - header_, slot_bytes(), varying_, whole_);
  }

  void advance() {
    if (!frames_.empty()) {
      if (++index_ == frames_.size()) index_ = 0;
    } else if (varies_) {
      frame_.advance();
      change();
    }
  }

 private:
  void change() {
    if (config_.size_min != 0) frame_.resize(sizes_.between(config_.size_min, config_.size));
    if (config_.function == PktGenFunction::txseq) {
      const uint32_t s = sequence_++;
      const uint8_t wire[4] = {uint8_t(s >> 24), uint8_t(s >> 16), uint8_t(s >> 8), uint8_t(s)};
      frame_.set_payload(0, wire, sizeof wire);
    }
  }

  const PktGenConfig& config_;
  const std::vector<CapturedFrame>& frames_;  // empty: the built frame
  const uint8_t* block_;
  size_t index_ = 0;
  Frame frame_;
  Random sizes_;
  uint32_t sequence_ = 0;
  bool varies_;
  uint32_t header_, whole_;  // bytes
  TxRing::Varying varying_{0, 0};
};

class Sender {
 public:
  Sender(PktGenRun& run, Engine& engine, unsigned thread)
      : config_(run.config),
        engine_(engine),
        lane_(engine.lane(thread)),
        port_(*run.ports[thread]),
        rings_(tx_rings(port_, run.plan)),
        source_(run, thread),
        pacer_(config_.rate, config_.burst),
        notice_(engine, port_) {
    left_ = run.share(thread, &nothing_);
    if (config_.count == 0) left_ = ~0ull;
  }

  Status run() {
    if (nothing_) return Status::good();
    while (left_ > 0 && !engine_.stopping()) {
      const uint32_t budget = allowed();
      if (budget == 0) continue;
      uint64_t bytes = 0;
      const uint32_t frames = fill(budget, &bytes);
      if (frames == 0) {
        wait_for_room();
      } else {
        notice_.moved();
      }
      if (lane_.frames() == 0 && frames > 0) lane_.seen(monotonic_ns());
      if (const int err = port_.txsync()) return finish(port_gone(port_, err));
      uint64_t taken = 0;
      for (TxRing& ring : rings_) taken += ring.settle();
      account(frames, bytes, taken);
    }
    stamp();
    lane_.add_accepted(drain(engine_, port_, rings_));
    return Status::good();
  }

 private:
  Status finish(Status status) {
    stamp();
    return status;
  }

  // Frames that may go now; sleeps, and says none, when it is too early for any.
  uint32_t allowed() {
    if (!pacer_.limits()) return ~0u;
    const uint64_t now = monotonic_ns();
    const uint32_t n = pacer_.allowed(now);
    if (n > 0) return n;
    stamp();
    const uint64_t wait = pacer_.due() - now;
    if (config_.busy || wait <= config_.spin * 1000ull) {
      cpu_relax();
    } else {
      engine_.sleep(wait);
    }
    return 0;
  }

  // At most a burst a ring, and `budget` in all; rings take turns at being first.
  uint32_t fill(uint32_t budget, uint64_t* bytes) {
    uint32_t frames = 0;
    size_t next = first_ring_;
    for (size_t n = 0; n < rings_.size(); n++) {
      TxRing& ring = rings_[next];
      if (++next == rings_.size()) next = 0;
      const uint64_t want = std::min<uint64_t>({config_.burst, budget - frames, left_ - frames});
      frames += fill_ring(ring, static_cast<uint32_t>(want), bytes);
    }
    if (++first_ring_ == rings_.size()) first_ring_ = 0;
    return frames;
  }

  uint32_t fill_ring(TxRing& ring, uint32_t want, uint64_t* bytes) {
    if (source_.fixed() && !config_.dump && ring.uniform(source_.slot_bytes())) {
      const uint32_t n = ring.repeat(want);
      *bytes += uint64_t{n} * source_.bytes();
      return n;
    }
    uint32_t n = 0;
    for (; n < want; n++) {
      const uint32_t from = ring.ring().head();
      if (!source_.put(ring)) break;
      if (config_.dump) dump(ring, from);
      *bytes += source_.bytes();
      source_.advance();
    }
    if (n > 0) ring.end_batch();
    return n;
  }

  void dump(const TxRing& ring, uint32_t slot) {
    for (const uint32_t head = ring.ring().head(); slot != head; slot = ring.ring().after(slot))
      dump_slot(engine_, ring.ring(), slot, ring.data(slot));
  }

  void wait_for_room() {
    notice_.stuck(rings_);
    if (config_.busy) return cpu_relax();
    stamp();
    for (TxRing& ring : rings_) ring.want_more();
    PortWait wait{&port_, POLLOUT};
    wait_ports(&wait, 1, kWaitMs, config_.spin, engine_.stop_fd());
  }

  void account(uint32_t frames, uint64_t bytes, uint64_t taken) {
    if (frames == 0 && taken == 0) return;
    left_ -= config_.count == 0 ? 0 : frames;
    pacer_.sent(frames);
    lane_.add(frames, bytes, taken);
    if (frames == 0) return;
    lane_.add_event();
    unstamped_ = true;
    if (++turn_ % kTurnsPerStamp == 0) stamp();
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
  Source source_;
  Pacer pacer_;
  StallNotice notice_;
  uint64_t left_ = 0;
  bool nothing_ = false;
  size_t first_ring_ = 0;
  unsigned turn_ = 0;
  bool unstamped_ = false;  // frames were sent since the clock was read
};

}  // namespace

Status run_tx(PktGenRun& run, Engine& engine, unsigned thread) {
  return Sender(run, engine, thread).run();
}

std::vector<TxRing> tx_rings(Port& port, const SlotPlan& plan) {
  std::vector<TxRing> rings;
  for (unsigned i = port.first_tx(); i < port.last_tx(); i++) {
    rings.emplace_back(port.tx_view(i), plan, port.info().pipe);
  }
  return rings;
}

void StallNotice::stuck(const std::vector<TxRing>& rings) {
  const uint64_t now = monotonic_ns();
  if (since_ == 0) since_ = now;
  if (said_ || now - since_ < kStallNs) return;
  said_ = true;
  uint32_t slots = 0;
  for (const TxRing& ring : rings) slots += ring.pending();
  const std::string& name = port_.info().name;
  std::string line = name + ": " + std::to_string(slots) + " slots of its rings are not taken; ";
  if (port_.info().pipe) {
    std::string other = name;
    char& end = other[other.find_first_of("{}")];
    end = end == '{' ? '}' : '{';
    line = other + " has not read what waits in the pipe, " + std::to_string(slots) + " slots; ";
  }
  engine_.say(true, line + "waiting for that until Ctrl-C");
}

uint64_t drain(Engine& engine, Port& port, std::vector<TxRing>& rings) {
  uint64_t taken = 0, deadline = 0;
  uint32_t before = 0;
  StallNotice notice(engine, port);
  for (;;) {
    const bool gone = port.txsync() != 0;
    uint32_t pending = 0;
    for (TxRing& ring : rings) {
      taken += ring.settle();
      pending += ring.pending();
    }
    if (gone || pending == 0) return taken;
    if (pending != before) notice.moved();
    before = pending;
    const bool stopped = engine.stopping();
    if (stopped) {
      const uint64_t now = monotonic_ns();
      if (deadline == 0) deadline = now + kDrainNs;
      if (now >= deadline) return taken;
    } else {
      notice.stuck(rings);
    }
    for (TxRing& ring : rings) ring.want_more();
    PortWait wait{&port, POLLOUT};
    wait_ports(&wait, 1, stopped ? kDrainStepMs : kWaitMs, 0, stopped ? -1 : engine.stop_fd());
  }
}

}  // namespace vale
