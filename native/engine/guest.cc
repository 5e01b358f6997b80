// SPDX-License-Identifier: BSD-2-Clause
#include "engine/guest.h"

#include <algorithm>
#include <cstring>

#include "device/wait.h"
#include "engine/loops.h"
#include "vhost/rules.h"

namespace vale {
namespace {

constexpr unsigned kTurnsPerLook = 64;  // at what the guest's process says
constexpr unsigned kWaitsPerTry = 16;   // of spinning, after it has not paid off
constexpr uint32_t kPaysOff = 8;        // µs; no less is spun

class Serving {
 public:
  Serving(const GuestConfig& config, Engine& engine, vhost::GuestLink& guest, Port& port)
      : config_(config), engine_(engine), guest_(guest), port_(port), spin_(config.spin) {}

  Status run() {
    guest_.on_news([this](std::string text) { engine_.say(true, std::move(text)); });
    for (unsigned turn = 0; !engine_.stopping(); turn++) {
      if (woken_ || turn % kTurnsPerLook == 0) guest_.attend();
      woken_ = false;
      if (const int err = port_.rxsync()) return port_gone(port_, err);
      bool moved = guest_.to_guest(port_);
      // Before the guest's own frames, while there is room in the tx ring.
      bool sent = false;
      if (const std::string frame = guest_.take_announcement(); !frame.empty())
        sent = announce(frame);
      sent |= guest_.from_guest(port_);
      if (sent) {
        if (const int err = port_.txsync()) return port_gone(port_, err);
      }
      guest_.publish();
      if (!moved && !sent) idle();
    }
    return Status::good();
  }

 private:
  void idle() {
    if (config_.busy) return cpu_relax();
    PortWait waits[2] = {{&guest_, POLLIN}, {&port_, POLLIN}};
    const unsigned count = guest_.blocked(port_) ? 1 : 2;
    const bool tries = spin_ >= kPaysOff || ++waits_ % kWaitsPerTry == 0;
    const uint32_t spin = tries ? std::max(spin_, std::min(config_.spin, kPaysOff)) : 0;
    const uint64_t before = spin != 0 ? monotonic_ns() : 0;
    wait_ports(waits, count, guest_.patience(), spin, engine_.stop_fd());
    woken_ = true;
    if (spin == 0) return;
    const bool paid = monotonic_ns() - before < spin * 1000ull;
    spin_ = paid ? config_.spin : spin_ / 2;
  }

  // A frame that the guest's process wants the switch to see.
  bool announce(const std::string& frame) {
    const RingView& ring = port_.tx_view(port_.first_tx());
    if (ring.available() == 0) return false;
    const size_t bytes = vhost::kPortHeader + frame.size();
    if (bytes > ring.buf_size()) return true;  // no buffer of this port can hold it, now or later
    const uint32_t head = ring.head();
    netmap_slot& slot = ring.at(head);
    char* const data = ring.buffer(slot.buf_idx);
    std::memset(data, 0, vhost::kPortHeader);
    std::memcpy(data + vhost::kPortHeader, frame.data(), frame.size());
    slot.len = static_cast<uint16_t>(bytes);
    slot.flags = 0;
    ring.release(ring.after(head));
    return true;
  }

  const GuestConfig config_;
  Engine& engine_;
  vhost::GuestLink& guest_;
  Port& port_;
  uint32_t spin_;
  unsigned waits_ = 0;
  bool woken_ = true;
};

}  // namespace

Status start_guest(const GuestConfig& config, vhost::GuestLink* guest, Port* port,
                   std::function<void()> on_done, std::unique_ptr<Engine>* out) {
  std::unique_ptr<Engine> engine(new Engine);
  Engine::Options options;
  options.affinity = config.affinity;
  options.on_done = std::move(on_done);
  Status status = engine->start(std::move(options), [config, guest, port](Engine& self, unsigned) {
    return Serving(config, self, *guest, *port).run();
  });
  if (status.ok()) *out = std::move(engine);
  return status;
}

}  // namespace vale
