// SPDX-License-Identifier: BSD-2-Clause
#include "engine/guest.h"

#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "device/wait.h"
#include "engine/loops.h"
#include "engine/naps.h"
#include "vhost/crossing.h"
#include "vhost/rules.h"

namespace vale {
namespace {

constexpr unsigned kTurnsPerLook = 64;     // at what the guest's process says
constexpr unsigned kWaitsPerTry = 16;      // of spinning, after it has not paid off
constexpr uint32_t kPaysOff = 8;           // µs; no less is spun
constexpr unsigned long kNapError = 1000;  // ns; the kernel's own, 50,000, is longer than a nap
static_assert(2 * kMostGuests <= kMostWaits);

// A frame that the guest's process wants the switch to see. False: no room for it now.
bool announce(Port& port, const std::string& frame) {
  const RingView& ring = port.tx_view(port.first_tx());
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

class Serving {
 public:
  using Gone = std::function<void(const GuestSeat&, Status)>;

  Serving(const GuestConfig& config, Engine& engine, std::vector<GuestSeat> seats, const Gone& gone)
      : config_(config),
        engine_(engine),
        seats_(std::move(seats)),
        gone_(gone),
        spin_(config.spin) {}

  Status run() {
    prctl(PR_SET_TIMERSLACK, kNapError);
    for (const GuestSeat& seat : seats_) {
      crossing_.add(*seat.port, *seat.guest);
      seat.guest->meet_neighbours(&crossing_);
    }
    for (unsigned turn = 0; !engine_.stopping(); turn++) {
      const bool attends = woken_ || turn % kTurnsPerLook == 0;
      woken_ = false;
      bool moved = false;
      for (size_t i = 0; i < seats_.size();) {
        const GuestSeat seat = seats_[i];
        if (attends) seat.guest->attend();
        if (const int err = serve(seat, &moved)) {
          crossing_.remove(*seat.guest);
          seat.guest->meet_neighbours(nullptr);
          seats_.erase(seats_.begin() + static_cast<long>(i));
          gone_(seat, port_gone(*seat.port, err));
        } else {
          i++;
        }
      }
      if (!moved) idle();
    }
    for (const GuestSeat& seat : seats_) seat.guest->meet_neighbours(nullptr);
    return Status::good();
  }

 private:
  // An errno when its port is gone.
  int serve(const GuestSeat& seat, bool* moved) {
    vhost::GuestLink& guest = *seat.guest;
    Port& port = *seat.port;
    if (const int err = port.rxsync()) return err;
    *moved |= guest.to_guest(port);
    // Before the guest's own frames, while there is room in the tx ring.
    bool sent = false;
    if (const std::string frame = guest.take_announcement(); !frame.empty())
      sent = announce(port, frame);
    sent |= guest.from_guest(port);
    *moved |= sent;
    if (sent) {
      if (const int err = port.txsync()) return err;
    }
    crossing_.publish();
    guest.publish();
    return 0;
  }

  void idle() {
    if (config_.busy && !seats_.empty()) return cpu_relax();
    if (const uint64_t nap = next_nap(); nap != 0) {
      const timespec time = {0, static_cast<long>(nap)};
      nanosleep(&time, nullptr);
      return;
    }
    PortWait waits[2 * kMostGuests];
    unsigned count = 0;
    int patience = -1;
    for (const GuestSeat& seat : seats_) {
      waits[count++] = {seat.guest, POLLIN};
      if (!seat.guest->blocked(*seat.port)) waits[count++] = {seat.port, POLLIN};
      const int own = seat.guest->patience();
      patience = patience < 0 ? own : std::min(patience, own);
    }
    const bool tries = spin_ >= kPaysOff || ++waits_ % kWaitsPerTry == 0;
    const uint32_t spin = tries ? std::max(spin_, std::min(config_.spin, kPaysOff)) : 0;
    const uint64_t before = spin != 0 ? monotonic_ns() : 0;
    wait_ports(waits, count, patience, spin, engine_.stop_fd());
    woken_ = true;
    if (spin == 0) return;
    const bool paid = monotonic_ns() - before < spin * 1000ull;
    spin_ = paid ? config_.spin : spin_ / 2;
  }

  uint64_t next_nap() {
    uint64_t frames = 0, bytes = 0;
    for (const GuestSeat& seat : seats_) {
      frames += seat.guest->counts().frames();
      bytes += seat.guest->counts().bytes();
    }
    return naps_.next(frames, bytes, monotonic_ns());
  }

  const GuestConfig config_;
  Engine& engine_;
  std::vector<GuestSeat> seats_;  // that are served still
  const Gone& gone_;
  vhost::Crossing crossing_;
  Naps naps_;
  uint32_t spin_;
  unsigned waits_ = 0;
  bool woken_ = true;
};

}  // namespace

Status start_guests(const GuestConfig& config, std::vector<GuestSeat> seats,
                    std::function<void(const GuestSeat&, Status)> on_gone,
                    std::unique_ptr<Engine>* out) {
  std::unique_ptr<Engine> engine(new Engine);
  Engine::Options options;
  options.affinity = config.affinity;
  Status status = engine->start(
      std::move(options),
      [config, seats = std::move(seats), gone = std::move(on_gone)](Engine& self, unsigned) {
        return Serving(config, self, seats, gone).run();
      });
  if (status.ok()) *out = std::move(engine);
  return status;
}

}  // namespace vale
