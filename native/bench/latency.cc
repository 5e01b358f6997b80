// SPDX-License-Identifier: BSD-2-Clause
// How long a frame takes through the switch to the other processor and another one back, by how the
// two ends wait: busy, spinning 50 µs before they sleep, or sleeping at once. --bridge: through two
// switches that the engine of `vale bridge`, in a third process, joins. --load: while one more process
// sends and receives on the same switch as fast as it can.
#include <cmath>

#include "bench/ports.h"
#include "engine/bridge.h"

namespace {

using bench::Line;
using bench::Waiting;

struct Shared {
  Line turn, arrived[2], end;
  Line beside, leave;  // bridge and load: how many have begun; 1 = go
};

struct Options {
  double seconds;
  Waiting how;
  bool bridge, load;
};

bool over(const Line& end) {
  return end.value.load(std::memory_order_relaxed) != 0 || bench::stopped();
}

// Nothing of the introduction may still be on its way when frames are counted.
void settle(bench::Receiver* receiver) {
  const uint64_t until = bench::now_ns() + 20'000'000;
  while (bench::now_ns() < until) bench::receive(receiver, Waiting::busy);
}

void answer(const Options& o, Shared* s) {
  bench::End end;
  end.open(o.bridge ? "valebenchb:pong" : "valebench:pong");
  bench::meet(end, 1, s->arrived);
  bench::Sender sender(end, 1, 60);
  bench::Receiver receiver(end);
  settle(&receiver);
  bench::answer_round_trips(&s->turn);
  while (!over(s->end)) {
    if (const unsigned frames = bench::receive(&receiver, o.how); frames != 0) sender.send(frames);
  }
  bench::answer_round_trips(&s->turn);
}

void join_switches(const Options& o, Shared* s) {
  bench::End left, right;
  left.open("valebench:left");
  right.open("valebenchb:right");
  vale::BridgeConfig config;
  config.busy = o.how == Waiting::busy;
  config.spin = o.how == Waiting::spin ? bench::kSpin : 0;
  std::unique_ptr<vale::Engine> engine;
  const vale::Status status =
      vale::start_bridge(config, left.port.get(), right.port.get(), nullptr, &engine);
  if (!status.ok()) bench::die(1, "%s", status.text.c_str());
  s->beside.value++;
  while (!over(s->leave)) usleep(2000);
  engine->stop();
  engine->join();
}

void load(Shared* s) {
  bench::End a, b;
  a.open("valebench:load");
  b.open("valebench:sink");
  bench::Sender sender(a, 0, 60), other(b, 0, 60);
  for (bench::End* end : {&a, &b}) {
    netmap_ring* ring = end->tx();
    for (unsigned i = 0; i < ring->num_slots; i++) {
      char* frame = NETMAP_BUF(ring, ring->slot[i].buf_idx);
      frame[5] = static_cast<char>(end == &a ? 0x42 : 0x41);
      frame[11] = static_cast<char>(end == &a ? 0x41 : 0x42);
    }
  }
  bench::Receiver sink(b), none(a);
  other.send(1);
  bench::receive(&none, Waiting::busy);
  s->beside.value++;
  while (!over(s->leave)) {
    sender.send(256);
    bench::receive(&sink, Waiting::busy);
  }
}

// Before anything is pinned: it goes where the system puts it.
template <class Body>
pid_t beside(Body&& body) {
  const pid_t parent = getpid(), child = fork();
  if (child < 0) bench::die(1, "cannot fork: %s", std::strerror(errno));
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  body();
  std::exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  Options o;
  o.seconds = args.number("seconds", 0.4, 0.01, 60);
  o.how = bench::waiting(&args, "receiver");
  o.bridge = args.flag("bridge");
  o.load = args.flag("load");
  args.done();
  bench::stop_on_signals();

  Shared* s = bench::shared<Shared>();
  std::vector<pid_t> children;
  if (o.bridge) children.push_back(beside([&] { join_switches(o, s); }));
  if (o.load) children.push_back(beside([&] { load(s); }));
  while (s->beside.value.load() != children.size() && !bench::stopped()) usleep(1000);
  children.push_back(bench::fork_peer());
  if (children.back() == 0) {
    answer(o, s);
    std::exit(0);
  }
  bench::End end;
  end.open("valebench:ping");
  bench::meet(end, 0, s->arrived);
  bench::Sender sender(end, 0, 60);
  bench::Receiver receiver(end);
  settle(&receiver);
  const double before = bench::round_trip(&s->turn);

  std::vector<double> trips;
  uint64_t now = bench::now_ns();
  const uint64_t start = now + bench::kWarmUp;
  const uint64_t stop = start + static_cast<uint64_t>(o.seconds * 1e9);
  while (now < stop && !bench::stopped()) {
    const uint64_t sent = now;
    sender.send(1);
    while (bench::receive(&receiver, o.how) == 0 && !bench::stopped()) {
    }
    now = bench::now_ns();
    if (sent >= start) trips.push_back(static_cast<double>(now - sent) * 1e-9);
  }
  s->end.value.store(1);
  const double after = bench::round_trip(&s->turn);
  bench::join_peer(children.back());
  children.pop_back();
  s->leave.value.store(1);
  for (const pid_t child : children) bench::join_peer(child);
  if (trips.empty()) bench::die(1, "no frame came back");
  std::sort(trips.begin(), trips.end());
  double sum = 0;
  for (const double trip : trips) sum += trip;
  // The least that so many are not above: of few trips the slowest, never one that flatters.
  const auto quantile = [&](double q) {
    return trips[static_cast<size_t>(std::ceil(q * static_cast<double>(trips.size()))) - 1];
  };
  bench::Json()
      .text("tool", "latency")
      .whole("trips", trips.size())
      .real("mean", sum / static_cast<double>(trips.size()))
      .real("p50", quantile(0.5))
      .real("p99", quantile(0.99))
      .real("p999", quantile(0.999))
      .real("roundTripBefore", before)
      .real("roundTripAfter", after)
      .print();
}
