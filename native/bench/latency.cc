// SPDX-License-Identifier: BSD-2-Clause
// How long a frame takes through the switch to the other processor and another one back, by how the
// two ends wait: busy, spinning 50 µs before they sleep, or sleeping at once.
#include "bench/ports.h"

namespace {

struct Shared {
  bench::Line turn, arrived[2], end;
};

[[noreturn]] void answer(bench::Waiting how, Shared* s) {
  bench::End end;
  end.open("valebench:pong");
  bench::meet(end, 1, s->arrived);
  bench::Sender sender(end, 1, 60);
  bench::Receiver receiver(end);
  bench::answer_round_trips(&s->turn);
  while (s->end.value.load(std::memory_order_relaxed) == 0 && !bench::stopped()) {
    if (const unsigned frames = bench::receive(&receiver, how); frames != 0) sender.send(frames);
  }
  bench::answer_round_trips(&s->turn);
  std::exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  const double seconds = args.number("seconds", 0.4, 0.01, 60);
  const bench::Waiting how = bench::waiting(&args, "receiver");
  args.done();
  bench::stop_on_signals();

  Shared* s = bench::shared<Shared>();
  const pid_t child = bench::fork_peer();
  if (child == 0) answer(how, s);
  bench::End end;
  end.open("valebench:ping");
  bench::meet(end, 0, s->arrived);
  bench::Sender sender(end, 0, 60);
  bench::Receiver receiver(end);
  const double before = bench::round_trip(&s->turn);

  std::vector<double> trips;
  uint64_t now = bench::now_ns();
  const uint64_t start = now + bench::kWarmUp;
  const uint64_t stop = start + static_cast<uint64_t>(seconds * 1e9);
  while (now < stop && !bench::stopped()) {
    const uint64_t sent = now;
    sender.send(1);
    while (bench::receive(&receiver, how) == 0 && !bench::stopped()) {
    }
    now = bench::now_ns();
    if (sent >= start) trips.push_back(static_cast<double>(now - sent) * 1e-9);
  }
  s->end.value.store(1);
  const double after = bench::round_trip(&s->turn);
  bench::join_peer(child);
  if (trips.empty()) bench::die(1, "no frame came back");
  std::sort(trips.begin(), trips.end());
  const auto quantile = [&](double q) {
    return trips[static_cast<size_t>(q * static_cast<double>(trips.size() - 1))];
  };
  bench::Json()
      .text("tool", "latency")
      .whole("trips", trips.size())
      .real("p50", quantile(0.5))
      .real("p99", quantile(0.99))
      .real("roundTripBefore", before)
      .real("roundTripAfter", after)
      .print();
}
