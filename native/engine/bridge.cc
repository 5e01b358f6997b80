// SPDX-License-Identifier: BSD-2-Clause
#include "engine/bridge.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "device/wait.h"
#include "engine/frame_mover.h"
#include "engine/loops.h"

namespace vale {
namespace {

constexpr int kWaitMs = 2500;  // the reference's, after which it says that nothing comes
constexpr uint64_t kDrainNs = 500'000'000;
constexpr int kDrainStepMs = 10;
constexpr unsigned kTurnsPerStamp = 16;

class Direction {
 public:
  Direction(const BridgeConfig& config, Engine& engine, unsigned lane, Port& from, Port& to)
      : engine_(engine),
        lane_(engine.lane(lane)),
        from_(from),
        to_(to),
        burst_(config.burst),
        swap_(config.zero_copy &&
              (&from == &to || (from.memory_key() != 0 && from.memory_key() == to.memory_key()))) {}

  // A burst from each rx ring; an errno of the sending port.
  int move() {
    const unsigned tx_rings = to_.last_tx() - to_.first_tx();
    uint64_t frames = 0, bytes = 0, unfit = 0;
    const uint32_t free_slots = space();
    blocked_ = false;
    for (unsigned i = from_.first_rx(); i < from_.last_rx(); i++) {
      const RingView& rx = from_.rx_view(i);
      if (rx.head() == rx.tail()) continue;
      const Moved one = move_frames(rx, to_.tx_view(to_.first_tx() + i % tx_rings), burst_, swap_);
      frames += one.frames;
      bytes += one.bytes;
      unfit += one.unfit;
      blocked_ |= one.blocked;
    }
    moved_ = frames != 0;
    if (unfit != 0) say_unfit(unfit);
    if (!moved_) return 0;
    lane_.add(frames, bytes - std::min(bytes, frames * from_.header_length()), frames);
    lane_.add_event();
    lane_.space(free_slots);
    unstamped_ = true;
    if (turn_++ % kTurnsPerStamp == 0) stamp();
    return to_.txsync();
  }

  bool moved() const { return moved_; }
  bool blocked() const { return blocked_; }
  // Whether new frames could go anywhere.
  bool open() const { return !blocked_ || from_.last_rx() - from_.first_rx() > 1; }
  Port& to() const { return to_; }

  void stamp() {
    if (unstamped_) lane_.seen(monotonic_ns());
    unstamped_ = false;
  }

  // Whether the sending port has not taken all yet.
  bool pending() const {
    for (unsigned i = to_.first_tx(); i < to_.last_tx(); i++) {
      const RingView& ring = to_.tx_view(i);
      if (ring.after(ring.tail()) != ring.head()) return true;
    }
    return false;
  }

  // Before waiting for POLLOUT: room there was already does not end the wait.
  void want_room() {
    for (unsigned i = to_.first_tx(); i < to_.last_tx(); i++) {
      to_.tx_ring(i)->cur = to_.tx_view(i).tail();
    }
  }

 private:
  uint32_t space() const {
    uint32_t free_slots = 0;
    for (unsigned i = from_.first_rx(); i < from_.last_rx(); i++) {
      const RingView& ring = from_.rx_view(i);
      free_slots += ring.slots() - 1 - ring.available();
    }
    return free_slots;
  }

  void say_unfit(uint64_t frames) {
    char line[256];
    std::snprintf(line, sizeof line,
                  "%s -> %s: %llu frame(s) dropped, too large for a ring of %u slots",
                  from_.info().name.c_str(), to_.info().name.c_str(),
                  static_cast<unsigned long long>(frames), to_.tx_view(to_.first_tx()).slots());
    engine_.say(true, line);
  }

  Engine& engine_;
  Lane& lane_;
  Port& from_;
  Port& to_;
  const uint32_t burst_;
  const bool swap_;
  bool moved_ = false, blocked_ = false;
  bool unstamped_ = false;
  unsigned turn_ = 0;
};

class Bridge {
 public:
  Bridge(const BridgeConfig& config, Engine& engine, Port& a, Port& b)
      : config_(config),
        engine_(engine),
        a_(a),
        b_(b),
        there_(config, engine, 0, a, b),
        back_(config, engine, 1, b, a) {}

  Status run() {
    const Status status = loop();
    there_.stamp();
    back_.stamp();
    const uint64_t end = monotonic_ns() + kDrainNs;
    drain(there_, end);
    if (both()) drain(back_, end);
    return status;
  }

 private:
  bool both() const { return !config_.one_way; }

  Status loop() {
    while (!engine_.stopping()) {
      if (const int err = a_.rxsync()) return port_gone(a_, err);
      if (both()) {
        if (const int err = b_.rxsync()) return port_gone(b_, err);
      }
      if (const int err = there_.move()) return port_gone(b_, err);
      if (both()) {
        if (const int err = back_.move()) return port_gone(a_, err);
      }
      if (!there_.moved() && !back_.moved()) {
        if (const Status status = idle(); !status.ok()) return status;
      }
    }
    return Status::good();
  }

  Status idle() {
    there_.stamp();
    back_.stamp();
    if (config_.busy) {
      cpu_relax();
      // What a port had no room for so far; a wait would push it.
      if (there_.pending()) {
        if (const int err = b_.txsync()) return port_gone(b_, err);
      }
      if (both() && back_.pending()) {
        if (const int err = a_.txsync()) return port_gone(a_, err);
      }
      return Status::good();
    }
    if (there_.blocked()) there_.want_room();
    if (back_.blocked()) back_.want_room();
    const int for_a = (there_.open() ? POLLIN : 0) | (back_.blocked() ? POLLOUT : 0);
    const int for_b = (both() && back_.open() ? POLLIN : 0) | (there_.blocked() ? POLLOUT : 0);
    PortWait waits[2] = {{&a_, static_cast<short>(for_a)}, {&b_, static_cast<short>(for_b)}};
    const uint64_t before = monotonic_ns();
    const int found = wait_ports(waits, 2, kWaitMs, config_.spin, engine_.stop_fd());
    const bool silence = found == 0 && monotonic_ns() - before >= kWaitMs * 1'000'000ull;
    if (config_.verbose > (silence ? 0 : 1)) say_state(silence, waits);
    return Status::good();
  }

  void say_state(bool silence, const PortWait* waits) {
    std::string line = silence ? "poll timeout" : "poll ok";
    for (int i = 0; i < 2; i++) {
      char one[128];
      const Port& port = *waits[i].port;
      uint32_t filled = 0, head = 0, room = 0;
      if (port.first_rx() < port.last_rx()) {
        const RingView& ring = port.rx_view(port.first_rx());
        filled = ring.available();
        head = ring.head();
      }
      if (port.first_tx() < port.last_tx()) {
        room = port.tx_view(port.first_tx()).available();
      }
      std::snprintf(one, sizeof one, "%s [%d] ev %x %x rx %u@%u tx %u", i == 0 ? "" : ",", i,
                    static_cast<unsigned>(waits[i].events), static_cast<unsigned>(waits[i].revents),
                    filled, head, room);
      line += one;
    }
    engine_.say(true, line);
  }

  // What was taken from one port is the other's to send, even now.
  static void drain(Direction& direction, uint64_t end) {
    while (direction.to().txsync() == 0 && direction.pending() && monotonic_ns() < end) {
      direction.want_room();
      PortWait wait{&direction.to(), POLLOUT};
      wait_ports(&wait, 1, kDrainStepMs, 0, -1);
    }
  }

  const BridgeConfig& config_;
  Engine& engine_;
  Port& a_;
  Port& b_;
  Direction there_, back_;
};

}  // namespace

Status start_bridge(const BridgeConfig& config, Port* a, Port* b, std::function<void()> on_done,
                    std::unique_ptr<Engine>* out) {
  if (config.burst == 0) return Status::fail(EINVAL, "a burst of 0 frames never moves anything");
  const auto lacks = [](const Port& port, bool rx, bool tx) {
    return (rx && port.first_rx() >= port.last_rx()) || (tx && port.first_tx() >= port.last_tx());
  };
  const bool both = !config.one_way;
  for (const Port* port : {a, b}) {
    if (lacks(*port, port == a || both, port == b || both)) {
      return Status::fail(
          EINVAL, "%s: a bridge sends and receives on both its ports; open it without /R or /T",
          port->info().name.c_str());
    }
  }
  if (a->header_length() != b->header_length()) {
    return Status::fail(
        EINVAL, "%s has virtio-net headers of %u bytes and %s of %u; a bridge needs them equal",
        a->info().name.c_str(), a->header_length(), b->info().name.c_str(), b->header_length());
  }
  std::unique_ptr<Engine> engine(new Engine);
  Engine::Options options;
  options.lanes = 2;
  options.affinity = config.affinity;
  options.on_done = std::move(on_done);
  Status status = engine->start(std::move(options), [config, a, b](Engine& self, unsigned) {
    return Bridge(config, self, *a, *b).run();
  });
  if (!status.ok()) return status;
  *out = std::move(engine);
  return Status::good();
}

}  // namespace vale
