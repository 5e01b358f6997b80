// SPDX-License-Identifier: BSD-2-Clause
// ping: send a burst of stamped frames, wait for their answers, measure. The stamp is the
// reference's: number, seconds, nanoseconds, each 32 bits in the host's order, at the start of the
// UDP payload.
#include <algorithm>
#include <cstring>

#include "device/wait.h"
#include "engine/frame.h"
#include "engine/frame_head.h"
#include "engine/loops.h"
#include "engine/pace.h"

namespace vale {
namespace {

constexpr uint64_t kSecondNs = 1000000000;
constexpr uint64_t kAnswerNs = 3 * kSecondNs;  // how long to wait for the answers to a burst
constexpr int kWaitMs = 1000;

struct Stamp {
  uint32_t number, seconds, nanoseconds;
};
static_assert(sizeof(Stamp) == Frame::kPayloadFields);

class Pinger {
 public:
  Pinger(PktGenRun& run, Engine& engine, unsigned thread)
      : config_(run.config),
        engine_(engine),
        lane_(engine.lane(thread)),
        port_(*run.ports[thread]),
        rings_(tx_rings(port_, run.plan)),
        heads_(port_.last_rx() - port_.first_rx()),
        frame_(run.config, run.seed(thread, 0)),
        sizes_(run.seed(thread, 1)),
        pacer_(config_.rate, config_.burst),
        start_(monotonic_ns()) {}

  Status run() {
    int err = 0;
    while (err == 0 && !engine_.stopping() && (config_.count == 0 || sent_ < config_.count)) {
      const uint32_t allowed = pacer_.allowed(monotonic_ns());
      if (allowed == 0) {
        engine_.sleep(pacer_.due() - std::min(pacer_.due(), monotonic_ns()));
        continue;
      }
      uint64_t want = std::min(allowed, config_.burst);
      if (config_.count != 0) want = std::min(want, config_.count - sent_);
      const uint32_t frames = send(static_cast<uint32_t>(want), &err);
      if (err == 0) err = frames == 0 ? wait_for_room() : await(frames);
    }
    if (err != 0) return port_gone(port_, err);
    lane_.add_accepted(drain(engine_, port_, rings_));
    return Status::good();
  }

 private:
  uint32_t send(uint32_t want, int* err) {
    uint64_t bytes = 0;
    uint32_t n = 0;
    if (sent_ == 0) lane_.seen(monotonic_ns());
    for (; n < want; n++) {
      if (config_.size_min != 0) frame_.resize(sizes_.between(config_.size_min, config_.size));
      const uint64_t now = monotonic_ns();
      const Stamp stamp{static_cast<uint32_t>(sent_), static_cast<uint32_t>(now / kSecondNs),
                        static_cast<uint32_t>(now % kSecondNs)};
      frame_.set_payload(0, &stamp, sizeof stamp);
      const uint32_t header = frame_.headroom();
      const TxRing::Varying varying{frame_.varying_from() + header,
                                    frame_.varying_bytes() + header};
      if (!rings_[0].put(frame_.data() - header, frame_.size() + header, varying,
                         frame_.max_size() + header)) {
        break;
      }
      bytes += frame_.size();
      sent_++;
      frame_.advance();
    }
    if (n == 0) return 0;
    rings_[0].end_batch();
    *err = port_.txsync();
    pacer_.sent(n);
    lane_.add(n, bytes, rings_[0].settle());
    lane_.add_event();
    return n;
  }

  int wait_for_room() {
    rings_[0].want_more();
    PortWait wait{&port_, POLLOUT};
    wait_ports(&wait, 1, kWaitMs, config_.spin, engine_.stop_fd());
    const int err = port_.txsync();
    lane_.add_accepted(rings_[0].settle());
    return err;
  }

  // Until as many answers have come as frames went out, or it takes too long.
  int await(uint32_t frames) {
    const uint64_t deadline = monotonic_ns() + kAnswerNs;
    uint32_t answers = 0;
    for (;;) {
      const bool last = engine_.stopping();
      if (const int err = port_.rxsync()) return err;
      const uint64_t now = monotonic_ns();
      const uint32_t got = receive(now);
      if (got > 0) lane_.seen(now);
      answers += got;
      if (answers >= frames || last) return 0;
      if (now >= deadline) {
        engine_.say(true, "ping: " + std::to_string(frames - answers) + " of " +
                              std::to_string(frames) + " frames not answered within 3 s");
        return 0;
      }
      if (config_.busy) {
        cpu_relax();
      } else {
        PortWait wait{&port_, POLLIN};
        wait_ports(&wait, 1, static_cast<int>((deadline - now) / 1000000 + 1), config_.spin,
                   engine_.stop_fd());
      }
    }
  }

  uint32_t receive(uint64_t now) {
    uint32_t answers = 0;
    for (unsigned r = port_.first_rx(); r < port_.last_rx(); r++) {
      const RingView& ring = port_.rx_view(r);
      FrameHead& head = heads_[r - port_.first_rx()];
      const uint32_t tail = ring.tail();
      for (uint32_t i = ring.head(); i != tail; i = ring.after(i)) {
        if (config_.dump) dump_slot(engine_, ring, i);
        if (!head.add(ring, ring.slot(i))) continue;
        if (measure(head, now)) answers++;
        head.clear();
      }
      ring.release(tail);
    }
    return answers;
  }

  // Other traffic arrives here too: an answer comes to our address and carries a stamp we have
  // made.
  bool measure(const FrameHead& head, uint64_t now) {
    const uint32_t at = head.payload(config_.header_length);
    Stamp stamp;
    if (at == 0 || head.bytes < at + sizeof stamp) return false;
    const uint8_t* destination = head.data + config_.header_length;
    if (!frame_.has_ranges() && std::memcmp(destination, frame_.data() + 6, 6) != 0) return false;
    std::memcpy(&stamp, head.data + at, sizeof stamp);
    const uint64_t then = stamp.seconds * kSecondNs + stamp.nanoseconds;
    if (static_cast<uint32_t>(sent_) - stamp.number - 1 >= 1u << 31) return false;
    if (then < start_ || then > now) return false;
    lane_.rtt(now - then);
    return true;
  }

  const PktGenConfig& config_;
  Engine& engine_;
  Lane& lane_;
  Port& port_;
  std::vector<TxRing> rings_;
  std::vector<FrameHead> heads_;
  Frame frame_;
  Random sizes_;
  Pacer pacer_;
  uint64_t start_;
  uint64_t sent_ = 0;
};

}  // namespace

Status run_ping(PktGenRun& run, Engine& engine, unsigned thread) {
  return Pinger(run, engine, thread).run();
}

}  // namespace vale
