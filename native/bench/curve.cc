// SPDX-License-Identifier: BSD-2-Clause
// What a frame costs its sender as one thing grows: ports, addresses, frame size, batch or rings. One
// process, one processor, in lockstep: the batch is written, sent, read and released. Only txsync is
// timed (and rxsync, apart), by the time-stamp counter, less what reading that costs. In blocks in
// between, the floor: the same frames copied into the same buffers with a prefetch and a descriptor
// each, and no switch.
#include "bench/fabric.h"

namespace {

using bench::Fabric;

constexpr unsigned kFirstAddress = 1000;  // of --macs; ports have the numbers below
constexpr unsigned kAhead = 8;            // frames that the floor asks for ahead

struct Options {
  unsigned ports, macs, size, batch, rings;
  bool between;  // half of the addresses are the sender's, and it sends from a random one
  double seconds;
};

uint64_t ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return bench::now_ns();
#endif
}

// Ticks spent and the frames they were spent on.
struct Ticks {
  uint64_t sum = 0, reads = 0, frames = 0;
  void add(uint64_t ticks, unsigned n) {
    sum += ticks;
    reads++;
    frames += n;
  }
  // ns a frame, less `null` ticks for each reading.
  double per_frame(double ns_per_tick, double null) const {
    const double own = static_cast<double>(sum) - null * static_cast<double>(reads);
    return frames == 0 ? 0 : own * ns_per_tick / static_cast<double>(frames);
  }
};

typedef long long SlotWord __attribute__((vector_size(16)));

class Curve {
 public:
  Curve(const Options& o, Fabric* fabric) : o_(o), fabric_(*fabric), order_(o.macs ^ o.ports) {
    buffer_ = fabric_.tx(0)->nr_buf_size;
    slots_ = (o_.size + buffer_ - 1) / buffer_;
    const unsigned most = (fabric_.tx(0)->num_slots - 1) / slots_;
    per_ring_ = std::max(1u, std::min(o_.batch / o_.rings, most));
    theirs_ = o_.between ? o_.macs / 2 : o_.macs;
    for (unsigned at = 0; at < theirs_ && o_.macs > 1;) at += learn(1, at, theirs_);
    for (unsigned at = theirs_; at < o_.macs;) at += learn(0, at, o_.macs);
    for (unsigned r = 0; r < o_.rings; r++) prepare(fabric_.tx(0, r));
    targets_.resize(size_t{o_.ports} * o_.rings);
    floor_heads_.resize(o_.rings);
    for (unsigned i = 0; i < fabric_.size(); i++) fabric_.drain(i);
    aim();
  }

  unsigned frames() const { return per_ring_ * o_.rings; }
  unsigned slots() const { return slots_; }

  // Ticks of the sender's sync and of the receivers'; every frame must arrive.
  void turn(Ticks* tx, Ticks* rx) {
    for (unsigned r = 0; r < o_.rings; r++) {
      netmap_ring* ring = fabric_.tx(0, r);
      write(ring, ring->head);
      Fabric::advance(ring, per_ring_ * slots_);
    }
    const uint64_t start = ticks();
    Fabric::sync(fabric_.port(0).txsync(), "txsync");
    tx->add(ticks() - start, frames());
    unsigned arrived = 0;
    for (unsigned i = 1; i < o_.ports; i++) arrived += receive(i, rx);
    if (arrived != frames()) bench::die(1, "%u frames of %u arrived", arrived, frames());
    // All addresses are known: nobody else may be shown a frame.
    for (unsigned i = o_.ports; i < fabric_.size(); i++) {
      if (const unsigned n = fabric_.drain(i); n != 0)
        bench::die(1, "%u frames of %u were flooded or went astray", n, frames());
    }
  }

  // The same without a switch; whose turn it is next is known, as it is to whoever wrote the frames.
  void floor_turn(Ticks* floor) {
    for (unsigned r = 0; r < o_.rings; r++) {
      netmap_ring* ring = fabric_.tx(0, r);
      const unsigned first = floor_heads_[r], all = per_ring_ * slots_;
      floor_heads_[r] = (first + all) % ring->num_slots;
      write(ring, first);
      order_of(ring, first, all);
      const uint64_t start = ticks();
      copy(ring, r, first, all);
      floor->add(ticks() - start, per_ring_);
    }
  }

 private:
  // Up to 512 addresses from `at` to `end`, all of them on that port. How many.
  unsigned learn(unsigned port, unsigned at, unsigned end) {
    netmap_ring* ring = fabric_.tx(port);
    const unsigned n = std::min(512u, end - at);
    for (unsigned i = 0; i < n; i++) {
      const unsigned number = kFirstAddress + at + i;
      Fabric::put(ring, (ring->head + i) % ring->num_slots, number, number, 60);
    }
    Fabric::advance(ring, n);
    Fabric::sync(fabric_.port(port).txsync(), "txsync");
    return n;
  }

  // Headers once in every buffer; frames go to port 1 until write() says otherwise.
  void prepare(netmap_ring* ring) {
    for (unsigned i = 0; i < ring->num_slots; i++) {
      Fabric::put(ring, i, 2, 1, slots_ == 1 ? o_.size : buffer_);
    }
  }
  // What changes from turn to turn: which slots belong together, random destinations.
  void write(netmap_ring* ring, unsigned at) {
    const bool addresses = o_.macs > 1 || o_.ports > 2;
    if (slots_ == 1 && !addresses) return;
    for (unsigned i = 0; i < per_ring_; i++) {
      if (addresses) {
        const unsigned number =
            o_.macs > 1 ? kFirstAddress + order_.below(theirs_) : 2 + order_.below(o_.ports - 1);
        auto* frame = reinterpret_cast<unsigned char*>(NETMAP_BUF(ring, ring->slot[at].buf_idx));
        bench::write_address(frame, number);
        if (o_.between)
          bench::write_address(frame + 6,
                               kFirstAddress + theirs_ + order_.below(o_.macs - theirs_));
      }
      for (unsigned left = slots_, bytes = o_.size; left != 0; left--) {
        netmap_slot* slot = &ring->slot[at];
        slot->len = static_cast<uint16_t>(std::min(bytes, buffer_));
        slot->flags = left == 1 ? 0 : NS_MOREFRAG;
        bytes -= slot->len;
        at = at + 1 == ring->num_slots ? 0 : at + 1;
      }
    }
  }

  unsigned receive(unsigned i, Ticks* rx) {
    vale::Port& port = fabric_.port(i);
    uint64_t start = ticks();
    Fabric::sync(port.rxsync(), "rxsync");
    rx->add(ticks() - start, 0);
    unsigned frames = 0;
    for (unsigned r = 0; r < o_.rings; r++) frames += Fabric::take(fabric_.rx(i, r));
    rx->frames += frames;
    if (frames == 0) return 0;
    Fabric::sync(port.rxsync(), "rxsync");
    return frames;
  }

  // The port that each slot's bytes go to, and some after the last for who looks ahead.
  void order_of(netmap_ring* ring, unsigned at, unsigned n) {
    order_ports_.assign(n + kAhead, 1);
    if (o_.ports == 2) return;
    for (unsigned i = 0; i < n; i++, at = at + 1 == ring->num_slots ? 0 : at + 1) {
      const char* frame = NETMAP_BUF(ring, ring->slot[at].buf_idx);
      order_ports_[i] = static_cast<uint16_t>(
          (static_cast<unsigned char>(frame[4]) << 8 | static_cast<unsigned char>(frame[5])) - 1);
    }
  }

  // Where a receiver's ring and its buffers, which lie in a row, begin.
  struct Target {
    char* data;
    netmap_slot* slots;
    unsigned cursor;
    uint32_t first;
  };
  void aim() {
    for (unsigned port = 1; port < o_.ports; port++) {
      for (unsigned r = 0; r < o_.rings; r++) {
        netmap_ring* ring = fabric_.rx(port, r);
        const uint32_t first = ring->slot[0].buf_idx, last = ring->num_slots - 1;
        if (ring->slot[last].buf_idx != first + last)
          bench::die(1, "a new ring's buffers were expected in a row");
        targets_[port * o_.rings + r] = {NETMAP_BUF(ring, first), ring->slot, 0, first};
      }
    }
  }

  // A copy and a descriptor each; slots, and the lines of small frames, are asked for eight frames ahead.
  void copy(netmap_ring* ring, unsigned r, unsigned at, unsigned n) {
    // A copy may change any member, as far as the compiler knows: none is read in the loop.
    const unsigned slots = ring->num_slots, rings = o_.rings, size = o_.size;
    const size_t stride = buffer_;
    const uint16_t* const order = order_ports_.data();
    Target* const targets = targets_.data() + r;
    for (unsigned i = 0; i < n; i++) {
      const Target& next = targets[order[i + kAhead] * rings];
      if (size <= 64) bench::prefetch_for_write(next.data + next.cursor * stride);
      bench::prefetch_for_write(next.slots + next.cursor);
      Target& to = targets[order[i] * rings];
      const unsigned cursor = to.cursor;
      to.cursor = cursor + 1 == slots ? 0 : cursor + 1;
      netmap_slot* const slot = to.slots + cursor;
      const netmap_slot from = ring->slot[at];
      const netmap_slot value = {to.first + cursor, from.len, 0, 0};
      // Of a length that the compiler knows: buffers are longer, and four stores beat a call.
      char* const data = to.data + cursor * stride;
      if (size <= 64) {
        std::memcpy(data, NETMAP_BUF(ring, from.buf_idx), 64);
      } else {
        std::memcpy(data, NETMAP_BUF(ring, from.buf_idx), from.len);
      }
      SlotWord word;
      std::memcpy(&word, &value, sizeof word);
      std::memcpy(static_cast<void*>(slot), &word, sizeof word);
      at = at + 1 == slots ? 0 : at + 1;
    }
  }

  const Options& o_;
  Fabric& fabric_;
  bench::Order order_;
  unsigned buffer_ = 0, slots_ = 1, per_ring_ = 1;
  unsigned theirs_ = 1;  // of the addresses, the receiver's
  std::vector<Target> targets_;
  std::vector<unsigned> floor_heads_;
  std::vector<uint16_t> order_ports_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  Options o;
  o.ports = args.whole("ports", 2, 2, 250);
  o.macs = args.whole("macs", 1, 1, 100000);
  o.size = args.whole("size", 60, 60, 65535);
  o.batch = args.whole("batch", 256, 1, bench::kSlots);
  o.rings = args.whole("rings", 1, 1, 16);
  o.seconds = args.number("seconds", 0.4, 0.01, 60);
  o.between = args.flag("between");
  args.done();
  if (o.between && o.macs < 2) bench::die(2, "--between is for --macs of two or more");
  if (o.macs > 1 && o.ports > 2) bench::die(2, "--macs is for two ports");
  bench::stop_on_signals();
  bench::pin(0);

  Fabric::Shape shape;
  shape.ports = o.ports + (o.macs > 1 ? 1 : 0);  // a bystander
  shape.rings = o.rings;
  Fabric fabric(shape);
  Curve curve(o, &fabric);

  // The first rounds through every ring map its pages.
  Ticks tx, rx, floor, null;
  const unsigned warm = 2 * o.ports * bench::kSlots / curve.frames() / o.rings + 8;
  for (unsigned i = 0; i < warm && !bench::stopped(); i++) curve.turn(&tx, &rx);
  for (unsigned i = 0; i < warm && !bench::stopped(); i++) curve.floor_turn(&floor);
  tx = rx = floor = Ticks();

  bench::Window window;
  window.open(0);
  const uint64_t start = bench::now_ns(), first = ticks();
  const uint64_t stop = start + static_cast<uint64_t>(o.seconds * 1e9);
  constexpr uint64_t kBlock = 2'000'000;  // ns
  uint64_t now = start;
  while (now < stop && !bench::stopped()) {
    for (const uint64_t end = now + kBlock; now < end; now = bench::now_ns()) curve.turn(&tx, &rx);
    for (const uint64_t end = now + kBlock; now < end; now = bench::now_ns())
      curve.floor_turn(&floor);
    for (unsigned i = 0; i < 100; i++) {
      const uint64_t before = ticks();
      null.add(ticks() - before, 1);
    }
  }
  window.close();
  const double ns_per_tick =
      static_cast<double>(bench::now_ns() - start) / static_cast<double>(ticks() - first);
  const double cost = static_cast<double>(null.sum) / static_cast<double>(null.reads);
  bench::Json()
      .text("tool", "curve")
      .whole("ports", o.ports)
      .whole("macs", o.macs)
      .whole("size", o.size)
      .whole("batch", curve.frames())
      .whole("rings", o.rings)
      .whole("slots", curve.slots())
      .whole("frames", tx.frames)
      .real("perFrame", tx.per_frame(ns_per_tick, cost) * 1e-9)
      .real("receivePerFrame", rx.per_frame(ns_per_tick, cost) * 1e-9)
      .real("floorPerFrame", floor.per_frame(ns_per_tick, cost) * 1e-9)
      .real("cpuShare", window.own_share())
      .print();
}
