// SPDX-License-Identifier: BSD-2-Clause
// A veth pair and a switch: frames of 60 bytes out of the switch into the wire, and from the wire into
// the switch; and another veth pair with a bare socket of the same type and nothing behind it. Both are
// open all the time and have turns of 20 ms, so both meet the same machine. Everything on one processor,
// but for what fills the wires (--way in). Needs root.
#include "test/support/wire.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "bench/measure.h"
#include "device/user.h"
#include "engine/engine.h"
#include "engine/frame_mover.h"
#include "nic/packet_socket.h"
#include "nic/take_over.h"
#include "nic/xdp_socket.h"

using namespace vale;

namespace {

constexpr uint32_t kBytes = 60;
constexpr unsigned kBurst = 256;

// Frames of a step's turns, and how long these took.
struct Taken {
  uint64_t frames = 0, ns = 0;
  double rate() const { return static_cast<double>(frames) * 1e9 / static_cast<double>(ns); }

  // The first 2 ms are not counted: what the other one's turn left behind.
  void turn(const std::function<uint64_t()>& step) {
    constexpr uint64_t kSettle = 2'000'000, kTurn = 20'000'000;  // ns
    const auto until = [&](uint64_t end) {
      uint64_t moved = 0;
      while (monotonic_ns() < end)
        for (int i = 0; i < 16; i++) moved += step();
      return moved;
    };
    until(monotonic_ns() + kSettle);
    const uint64_t start = monotonic_ns();
    frames += until(start + kTurn);
    ns += monotonic_ns() - start;
  }
};

struct Messages {
  static constexpr unsigned kCount = 64;
  Messages() {
    const wire::Frame made = wire::make_frame(kBytes, 1);
    for (unsigned i = 0; i < kCount; i++) {
      std::copy(made.begin(), made.end(), data[i]);
      parts[i][0] = {&header, sizeof header};
      parts[i][1] = {data[i], kBytes};
      all[i] = {};
      all[i].msg_hdr.msg_iov = parts[i];
      all[i].msg_hdr.msg_iovlen = 2;
    }
  }
  VnetHeader header = {};
  char data[kCount][64];
  iovec parts[kCount][2];
  mmsghdr all[kCount];
};

Interface named(const std::string& name) {
  Interface interface;
  find_interface(name, &interface);
  return interface;
}

// A bare socket: sends what it has, or receives and looks at each frame's first bytes.
class Bare {
 public:
  Bare(bool xdp, const std::string& name) : xdp_(xdp) {
    if (!xdp) {
      good = packet_.open(named(name), true).ok() && taken_.take(named(name)).ok();
      return;
    }
    const uint64_t bytes = uint64_t{4096} * kChunk;
    memory_ = static_cast<char*>(
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    const Status status = af_xdp_.open(named(name), {XdpMode::native}, memory_, bytes, kChunk);
    good = status.ok() && taken_.take(named(name)).ok();
    if (!good) return;
    const wire::Frame made = wire::make_frame(kBytes, 1);
    for (unsigned i = 0; i < 2048; i++) {
      std::copy(made.begin(), made.end(), memory_ + uint64_t{i} * kChunk);
      free_.push_back(uint64_t{i} * kChunk);
    }
    for (unsigned i = 0; i < XdpSocket::kRing; i++) af_xdp_.give(0, uint64_t{2048 + i} * kChunk);
    af_xdp_.publish(0);
  }
  ~Bare() {
    af_xdp_.close();
    if (memory_ != nullptr) munmap(memory_, uint64_t{4096} * kChunk);
  }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;

  uint64_t send() {
    if (!xdp_) {
      int error;
      return packet_.send(messages_.all, Messages::kCount, &error);
    }
    uint64_t done[kBurst];
    for (uint32_t n; (n = af_xdp_.sent(done, kBurst)) != 0;)
      free_.insert(free_.end(), done, done + n);
    uint64_t frames = 0;
    for (; frames < kBurst && !free_.empty() && af_xdp_.tx_room() != 0; frames++) {
      af_xdp_.send(free_.back(), kBytes, false);
      free_.pop_back();
    }
    af_xdp_.kick();
    return frames;
  }

  uint64_t receive() {
    uint64_t sum = 0;
    const uint64_t frames = xdp_ ? receive_xdp(&sum) : receive_packet(&sum);
    sum_.store(sum, std::memory_order_relaxed);
    return frames;
  }

  bool good = false;

 private:
  uint64_t receive_packet(uint64_t* sum) {
    uint64_t frames = 0;
    ReceivedFrame frame;
    while (frames < kBurst && packet_.receive(&frame) != Receive::none) {
      *sum += static_cast<uint64_t>(frame.data[0]);
      packet_.release();
      frames++;
    }
    return frames;
  }

  uint64_t receive_xdp(uint64_t* sum) {
    XdpSocket::Frame got[kBurst];
    const uint32_t n = af_xdp_.received(0, got, kBurst);
    for (uint32_t i = 0; i < n; i++) {
      *sum += static_cast<uint64_t>(memory_[got[i].address]);
      af_xdp_.give(0, got[i].address - XdpSocket::kHeadroom);
    }
    af_xdp_.taken(0, n);
    if (n != 0) af_xdp_.publish(0);
    return n;
  }

  static constexpr uint32_t kChunk = 2368;
  const bool xdp_;
  Messages messages_;
  PacketSocket packet_;
  TakeOver taken_;
  XdpSocket af_xdp_;
  char* memory_ = nullptr;
  std::vector<uint64_t> free_;
  std::atomic<uint64_t> sum_{0};  // so that the frames are read
};

// The wire as a port beside a switch port, whose buffers it has; and another port on the switch.
class Joined {
 public:
  Joined(Device& device, WireBackend backend, const std::string& name) {
    OpenRequest request;
    request.name = name;
    WireOptions options;
    options.backend = backend;
    OpenRequest wish;
    wish.name = "vale0:n";
    wish.extra_bufs = wire_buffers(request, options);
    if (!device.open(wish, &inner_).ok()) return;
    wish = {};
    wish.name = "vale0:f";
    if (!device.open(wish, &far_).ok()) return;
    options.share = inner_.get();
    good = open_wire(request, options, &wire_).ok();
    netmap_ring* ring = far_->tx_ring(0);
    const wire::Frame made = wire::make_frame(kBytes, 1);
    for (uint32_t i = 0; i < ring->num_slots; i++) {
      std::copy(made.begin(), made.end(), NETMAP_BUF(ring, ring->slot[i].buf_idx));
    }
  }

  uint64_t send() {
    netmap_ring* ring = far_->tx_ring(0);
    for (unsigned i = 0; i < kBurst && ring->head != ring->tail; i++) {
      ring->slot[ring->head].len = kBytes;
      ring->slot[ring->head].flags = 0;
      ring->head = ring->cur = ring->head + 1 == ring->num_slots ? 0 : ring->head + 1;
    }
    // No more than the wire takes: what the switch drops is nobody's rate.
    netmap_ring* rx = inner_->rx_ring(0);
    const uint32_t used = (rx->tail + rx->num_slots - rx->head) % rx->num_slots;
    if (used + 2 * kBurst < rx->num_slots) far_->txsync();
    inner_->rxsync();
    const Moved moved = move_frames(inner_->rx_view(0), wire_->tx_view(0), kBurst, true);
    wire_->txsync();
    return moved.frames;
  }

  uint64_t receive() {
    wire_->rxsync();
    const Moved moved = move_frames(wire_->rx_view(0), inner_->tx_view(0), kBurst, true);
    if (moved.frames == 0) return 0;
    inner_->txsync();
    far_->rxsync();
    netmap_ring* ring = far_->rx_ring(0);
    const uint32_t got = (ring->tail + ring->num_slots - ring->head) % ring->num_slots;
    ring->head = ring->cur = ring->tail;
    return got;
  }

  bool good = false;

 private:
  std::unique_ptr<Port> inner_, far_, wire_;
};

// Floods one of two wires from its far end while it lives, on the second of the processors allowed.
class Flood {
 public:
  Flood(const cpu_set_t& allowed, const std::string& bare, const std::string& joined)
      : thread_([this, allowed, bare, joined] {
          sched_setaffinity(0, sizeof allowed, &allowed);
          bench::pin(1);
          PacketSocket sockets[2];
          Messages messages;
          int error;
          if (!sockets[0].open(named(bare), false).ok() ||
              !sockets[1].open(named(joined), false).ok())
            bench::die(1, "nothing can fill the wire");
          while (!stop_) sockets[to_].send(messages.all, Messages::kCount, &error);
        }) {}
  ~Flood() {
    stop_ = true;
    thread_.join();
  }
  void fill(unsigned which) { to_ = which; }  // 0 = bare, 1 = joined

 private:
  std::atomic<bool> stop_{false};
  std::atomic<unsigned> to_{0};
  std::thread thread_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  const std::string socket = args.word("socket", "packet");
  const std::string way = args.word("way", "out");
  const double seconds = args.number("seconds", 0.3, 0.01, 60);
  args.done();
  if (socket != "packet" && socket != "xdp") bench::die(2, "--socket: packet or xdp");
  if (way != "out" && way != "in") bench::die(2, "--way: out or in");
  const bool xdp = socket == "xdp", out = way == "out";
  if (const char* why_not = netns::enter_as_root()) bench::die(1, "wire: %s", why_not);
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  bench::pin(0);
  const wire::Veth veth(1500, "v"), other(1500, "w");
  std::unique_ptr<Device> device;
  std::string where, warning;
  const Status status = open_user_device(nullptr, &device, &where, &warning);
  if (!status.ok()) bench::die(1, "%s", status.text.c_str());
  Bare bare(xdp, "v0");
  if (!bare.good) bench::die(1, "no bare %s socket", socket.c_str());
  Joined joined(*device, xdp ? WireBackend::xdp_native : WireBackend::packet, "w0");
  if (!joined.good) bench::die(1, "the wire cannot be attached by a %s socket", socket.c_str());
  std::unique_ptr<Flood> flood(out ? nullptr : new Flood(allowed, "v1", "w1"));

  Taken alone, with;
  const auto turn = [&](bool of_joined) {
    if (flood != nullptr) flood->fill(of_joined ? 1 : 0);
    if (of_joined) {
      with.turn([&] { return out ? joined.send() : joined.receive(); });
    } else {
      alone.turn([&] { return out ? bare.send() : bare.receive(); });
    }
  };
  bench::Window window;
  window.open(0);
  // Each is first as often as the other.
  for (bool first = false; static_cast<double>(with.ns) < seconds * 1e9; first = !first) {
    turn(first);
    turn(!first);
  }
  window.close();
  if (alone.frames == 0 || with.frames == 0) bench::die(1, "no frame got through");
  bench::Json()
      .text("tool", "wire")
      .text("socket", socket)
      .text("way", way)
      .real("framesPerSecond", with.rate())
      .real("bitsPerSecond", with.rate() * 8 * kBytes)
      .real("bare", alone.rate())
      .real("cpuShare", window.own_share())
      .print();
}
