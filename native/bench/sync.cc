// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What a frame costs in the sync code itself, on one core: every port is open in this process,
// batches are sent and received in lockstep, and the processor's time-stamp counter is read right
// before and after each txsync and rxsync. What filling and reading the rings costs is outside.
//   1. Rig: the ports, learned; nobody else is on their switch.
//   2. Each trial: windows of the switch and of its floor in turns; the medians are printed.
//   3. The mean cost of reading the counter twice, measured in each window, is subtracted.
//
// Owns. The ports; they end with the process.
//
// Invariants. Every frame sent is either received or, where the trial is about drops, counted as
//   dropped for the reason expected: the program fails otherwise.
//
// Not here. Two cores (switch.cc), the engines' loops.
#include "bench/measure.h"
#include "device/device.h"
#include "device/user.h"

namespace {

inline uint64_t ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return bench::now_ns();
#endif
}

// Time in the code under test, in ticks, and how often it was measured.
struct Meter {
  uint64_t sum = 0, reads = 0, frames = 0;
  template <class Code>
  void time(Code&& code) {
    const uint64_t start = ticks();
    code();
    sum += ticks() - start;
    reads++;
  }
};

enum class Kind {
  unicast,  // to one port
  flood,    // to the broadcast address
  nobody,   // no other port on the switch
  full,     // to one port that reads nothing
  random,   // to a random port, another for each frame
  macs,     // between two ports with many addresses each, random ones in each frame
};

struct Trial {
  const char* name;
  Kind kind;
  unsigned size, batch, receivers;
  unsigned addresses = 1;  // a port, for Kind::macs
};

constexpr Trial kTrials[] = {
    {"unicast-60-1023", Kind::unicast, 60, 1023, 1},
    {"unicast-60-256", Kind::unicast, 60, 256, 1},
    {"unicast-60-64", Kind::unicast, 60, 64, 1},
    {"unicast-60-16", Kind::unicast, 60, 16, 1},
    {"unicast-60-1", Kind::unicast, 60, 1, 1},
    {"unicast-1514-1023", Kind::unicast, 1514, 1023, 1},
    {"unicast-1514-64", Kind::unicast, 1514, 64, 1},
    {"flood-1-60-512", Kind::flood, 60, 512, 1},
    {"flood-3-60-512", Kind::flood, 60, 512, 3},
    {"nobody-60-512", Kind::nobody, 60, 512, 0},
    {"full-60-512", Kind::full, 60, 512, 1},
    {"random-2-60-256", Kind::random, 60, 256, 2},
    {"random-16-60-256", Kind::random, 60, 256, 16},
    {"random-64-60-256", Kind::random, 60, 256, 64},
    {"random-250-60-256", Kind::random, 60, 256, 249},
    {"macs-100-60-256", Kind::macs, 60, 256, 1, 50},
    {"macs-10000-60-256", Kind::macs, 60, 256, 1, 5000},
    {"macs-100000-60-256", Kind::macs, 60, 256, 1, 50000},
};

// xorshift32 (Marsaglia 2003): the choice of a destination must cost little beside the copy.
struct Random {
  uint32_t state = 2463534242u;
  uint32_t below(uint32_t n) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return static_cast<uint32_t>(static_cast<uint64_t>(state) * n >> 32);
  }
};

// 02:00:<port>:<number>, locally administered.
void write_mac(char* at, unsigned port, unsigned number) {
  const unsigned char mac[6] = {2,
                                0,
                                static_cast<unsigned char>(port),
                                static_cast<unsigned char>(number >> 16),
                                static_cast<unsigned char>(number >> 8),
                                static_cast<unsigned char>(number)};
  std::memcpy(at, mac, sizeof mac);
}

struct Rig {
  Trial trial;
  std::unique_ptr<vale::Device> device;
  std::vector<std::unique_ptr<vale::Port>> ports;  // [0] sends
  std::vector<unsigned> cursor;                    // of the floor, per receiver
  Random random;
  uint64_t sent = 0, received = 0;
  uint64_t seen = 0;  // by the floor

  netmap_ring* tx(unsigned port = 0) const { return ports[port]->tx_ring(0); }
  netmap_ring* rx(unsigned port) const { return ports[port]->rx_ring(0); }
  char* tx_buffer(unsigned slot) const { return NETMAP_BUF(tx(), tx()->slot[slot].buf_idx); }

  explicit Rig(const Trial& t) : trial(t) {
    std::string directory;
    vale::Status status = vale::open_user_device(nullptr, &device, &directory);
    for (unsigned i = 0; status.ok() && i <= t.receivers; i++) {
      ports.emplace_back();
      vale::OpenRequest request;
      request.name = "valesync:p" + std::to_string(i);
      status = device->open(request, &ports.back());
    }
    if (!status.ok()) bench::die(1, "%s", status.text.c_str());
    cursor.resize(ports.size());
    for (unsigned port = 0; port < ports.size(); port++) {
      // Pages are mapped at their first use: not in the first round of the ring, while it is timed.
      netmap_ring* ring = rx(port);
      for (unsigned slot = 0; slot < ring->num_slots; slot++)
        std::memset(NETMAP_BUF(ring, ring->slot[slot].buf_idx), 0, bench::kStride);
      learn(port);
    }
    for (unsigned slot = 0; slot < tx()->num_slots; slot++) {
      char* at = tx_buffer(slot);
      std::memset(at, 0x5a, t.size);
      write_mac(at, 1, 0);
      write_mac(at + 6, 0, 0);
      if (t.kind == Kind::flood) std::memset(at, 0xff, 6);
      tx()->slot[slot].len = static_cast<uint16_t>(t.size);
    }
  }

  // Sends one frame from each of a port's addresses, to itself: nobody receives it, everybody knows.
  void learn(unsigned port) {
    netmap_ring* ring = tx(port);
    for (unsigned number = 0; number < trial.addresses; number++) {
      netmap_slot* slot = &ring->slot[ring->head];
      char* at = NETMAP_BUF(ring, slot->buf_idx);
      std::memset(at, 0, 60);
      write_mac(at, port, number);
      write_mac(at + 6, port, number);
      slot->len = 60;
      ring->head = ring->cur = ring->head + 1 == ring->num_slots ? 0 : ring->head + 1;
      txsync(port);
    }
  }

  void txsync(unsigned port) {
    if (const int err = ports[port]->txsync(); err != 0) bench::die(1, "txsync: error %d", err);
  }
  void rxsync(unsigned port) {
    if (const int err = ports[port]->rxsync(); err != 0) bench::die(1, "rxsync: error %d", err);
  }

  // New addresses into the next batch; the generator's work, not the switch's.
  void address(unsigned slot) {
    char* at = tx_buffer(slot);
    if (trial.kind == Kind::random) {
      write_mac(at, 1 + random.below(trial.receivers), 0);
    } else if (trial.kind == Kind::macs) {
      write_mac(at, 1, random.below(trial.addresses));
      write_mac(at + 6, 0, random.below(trial.addresses));
    }
  }

  void receive(unsigned port, Meter* meter) {
    netmap_ring* ring = rx(port);
    meter->time([&] { rxsync(port); });
    const unsigned slots = ring->num_slots;
    for (unsigned at = ring->head; at != ring->tail; at = at + 1 == slots ? 0 : at + 1) {
      if (ring->slot[at].len != trial.size) bench::die(1, "a frame arrived with a wrong length");
      received++;
    }
    ring->head = ring->cur = ring->tail;
    // What was read is released by the next sync, too late for a batch of half the ring.
    if (2 * trial.batch >= slots) meter->time([&] { rxsync(port); });
  }

  // One batch through the switch.
  void round(Meter* meter) {
    netmap_ring* ring = tx();
    const unsigned slots = ring->num_slots;
    unsigned at = ring->head;
    for (unsigned i = 0; i < trial.batch; i++) {
      if (trial.kind == Kind::random || trial.kind == Kind::macs) address(at);
      if (++at == slots) at = 0;
    }
    ring->head = ring->cur = at;
    meter->time([&] { txsync(0); });
    meter->frames += trial.batch;
    sent += trial.batch;
    if (trial.kind == Kind::full) return;
    // A port of many gets few frames a batch: it looks when it may have a quarter of its ring.
    const unsigned looks = trial.kind == Kind::random ? std::max(1u, trial.receivers / 2) : 1;
    if (sent / trial.batch % looks != 0) return;
    for (unsigned port = 1; port < ports.size(); port++) receive(port, meter);
  }

  // Whether the trial has a figure without a switch to be held against.
  bool has_floor() const { return trial.kind != Kind::macs; }

  // The same bytes between the same buffers and nothing else. Frames of more than one line: memcpy.
  // Small ones also get a descriptor; lines are asked for eight frames ahead where that helps. Frames
  // that go nowhere: their slots and addresses are read.
  void floor_round(Meter* meter) {
    constexpr unsigned kAhead = 8;
    const unsigned slots = tx()->num_slots;
    const unsigned first = cursor[0];
    cursor[0] = (first + trial.batch) % slots;
    meter->frames += trial.batch;
    if (trial.kind == Kind::nobody || trial.kind == Kind::full) {
      meter->time([&] { look(first); });
      return;
    }
    std::vector<uint16_t> order(trial.batch + kAhead);
    for (uint16_t& port : order) port = static_cast<uint16_t>(1 + random.below(trial.receivers));
    struct Target {
      char* data;
      netmap_slot* slot;
    };
    std::vector<Target> base(ports.size());
    for (unsigned port = 1; port < ports.size(); port++) {
      base[port] = {NETMAP_BUF(rx(port), rx(port)->slot[0].buf_idx), rx(port)->slot};
      if (rx(port)->slot[slots - 1].buf_idx != rx(port)->slot[0].buf_idx + slots - 1)
        bench::die(1, "a new ring's buffers were expected in a row");
    }
    const char* const source = tx_buffer(0);
    if (tx()->slot[slots - 1].buf_idx != tx()->slot[0].buf_idx + slots - 1)
      bench::die(1, "a new ring's buffers were expected in a row");
    const uint32_t first_index = rx(1)->slot[0].buf_idx;
    const size_t stride = tx()->nr_buf_size;
    const auto copy = [&](unsigned port, unsigned from, unsigned size) {
      const unsigned to = cursor[port];
      cursor[port] = to + 1 == slots ? 0 : to + 1;
      std::memcpy(base[port].data + to * stride, source + from * stride, 60);
      const netmap_slot slot = {first_index + to, static_cast<uint16_t>(size), 0, 0};
      std::memcpy(base[port].slot + to, &slot, sizeof slot);
    };
    const auto next = [&](unsigned at) { return at + 1 == slots ? 0 : at + 1; };
    const auto large = [&] {
      for (unsigned i = 0, from = first; i < trial.batch; i++, from = next(from)) {
        std::memcpy(base[1].data + from * stride, source + from * stride, trial.size);
        asm volatile("" ::: "memory");
      }
    };
    // Port by port, 64 frames at a time: nothing need be asked for ahead.
    const auto flood = [&] {
      unsigned from = first, size = trial.size;
      for (unsigned done = 0; done < trial.batch; done += 64) {
        const unsigned chunk = std::min(64u, trial.batch - done), start = from;
        for (unsigned port = 1; port <= trial.receivers; port++) {
          from = start;
          for (unsigned i = 0; i < chunk; i++, from = next(from)) copy(port, from, size);
        }
      }
    };
    const auto single = [&] {
      for (unsigned i = 0, from = first; i < trial.batch; i++, from = next(from)) {
        const unsigned ahead = order[i + kAhead];
        bench::prefetch_for_write(base[ahead].data + cursor[ahead] * stride);
        bench::prefetch_for_write(base[ahead].slot + cursor[ahead]);
        copy(order[i], from, trial.size);
      }
    };
    if (trial.size > 64) {
      meter->time(large);
    } else if (trial.kind == Kind::flood) {
      meter->time(flood);
    } else {
      meter->time(single);
    }
  }

  // Reads the slots of a batch and the addresses of its frames.
  void look(unsigned from) {
    netmap_ring* ring = tx();
    for (unsigned i = 0; i < trial.batch; i++) {
      const netmap_slot slot = ring->slot[from];
      seen += slot.len + bench::sum_of_header(NETMAP_BUF(ring, slot.buf_idx));
      if (++from == ring->num_slots) from = 0;
    }
    asm volatile("" : : "m"(seen));
  }

  void check() {
    for (unsigned round = 0; round < 2 && trial.kind == Kind::random; round++) {
      Meter unused;
      for (unsigned port = 1; port < ports.size(); port++) receive(port, &unused);
    }
    const vale::PortCounters counters = ports[0]->counters();
    const auto drops = [&](vale::Drop reason) {
      return counters.drops[static_cast<unsigned>(reason)];
    };
    uint64_t expected = sent;
    if (trial.kind == Kind::flood) expected = sent * trial.receivers;
    if (trial.kind == Kind::nobody) {
      expected = 0;
      if (drops(vale::Drop::no_destination) < sent) bench::die(1, "drops were not counted");
    }
    if (trial.kind == Kind::full) {
      // One ring of frames fits, then the rest is dropped at the destination.
      expected = 0;
      const vale::PortCounters there = ports[1]->counters();
      if (there.rx_frames + there.drops[static_cast<unsigned>(vale::Drop::ring_full)] != sent)
        bench::die(1, "drops were not counted");
    }
    if (received != expected) {
      bench::die(1, "%s: %llu frames expected, %llu received", trial.name,
                 static_cast<unsigned long long>(expected),
                 static_cast<unsigned long long>(received));
    }
  }
};

// Of a window: by time, or, to count instructions, so many batches.
struct Length {
  double seconds;
  uint64_t rounds;
};

// ns a frame in each window.
struct Windows {
  std::vector<double> ns;
  // run(): one batch.
  template <class Run>
  void add(const Length& length, double ns_per_tick, Run&& run) {
    Meter null, meter;
    for (unsigned i = 0; i < 2000; i++) null.time([] {});
    const double cost = static_cast<double>(null.sum) / static_cast<double>(null.reads);
    const uint64_t end = bench::now_ns() + static_cast<uint64_t>(length.seconds * 1e9);
    uint64_t rounds = 0;
    const auto more = [&] {
      return length.rounds != 0 ? rounds < length.rounds
                                : rounds % 16 != 0 || bench::now_ns() < end;
    };
    for (; more() && !bench::stopped(); rounds++) run(&meter);
    const double sum = static_cast<double>(meter.sum) - cost * static_cast<double>(meter.reads);
    ns.push_back(sum * ns_per_tick / static_cast<double>(meter.frames));
  }
  double median() {
    std::sort(ns.begin(), ns.end());
    return ns[ns.size() / 2];
  }
};

double ns_per_tick() {
  const uint64_t start = bench::now_ns(), first = ticks();
  while (bench::now_ns() < start + 20'000'000) {
  }
  const uint64_t last = ticks();
  return static_cast<double>(bench::now_ns() - start) / static_cast<double>(last - first);
}

void run(const Trial& trial, unsigned windows, const Length& length, double tick) {
  Rig rig(trial);
  Windows own, floor, unused;
  unused.add(length, tick, [&](Meter* m) { rig.round(m); });  // warm
  for (unsigned i = 0; i < windows && !bench::stopped(); i++) {
    own.add(length, tick, [&](Meter* m) { rig.round(m); });
    if (rig.has_floor()) floor.add(length, tick, [&](Meter* m) { rig.floor_round(m); });
  }
  if (bench::stopped()) return;
  rig.check();
  bench::Json json;
  json.text("tool", "sync").text("trial", trial.name).whole("size", trial.size);
  json.whole("batch", trial.batch).whole("receivers", trial.receivers);
  json.real("ns", own.median()).real("least", own.ns.front()).real("most", own.ns.back());
  if (rig.has_floor()) json.real("floor_ns", floor.median());
  json.print();
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  const std::string only = args.word("trial", "");  // a name, or the beginning of several
  const unsigned windows = args.whole("windows", 9, 1, 1000);
  Length length;
  length.seconds = args.number("seconds", 0.01, 0.0001, 10);  // of each window
  length.rounds = static_cast<uint64_t>(args.number("rounds", 0, 0, 1e12));
  args.done();
  bench::stop_on_signals();
  bench::pin(0);
  const double tick = ns_per_tick();
  const auto named = [&](const Trial& t) { return only == t.name; };
  const bool exact = std::any_of(std::begin(kTrials), std::end(kTrials), named);
  bool any = false;
  for (const Trial& trial : kTrials) {
    const bool wanted = exact ? named(trial) : std::string(trial.name).rfind(only, 0) == 0;
    if (!wanted || bench::stopped()) continue;
    any = true;
    run(trial, windows, length, tick);
  }
  if (!any) bench::die(2, "--trial %s: no such trial", only.c_str());
}
