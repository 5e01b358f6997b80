// SPDX-License-Identifier: BSD-2-Clause
// The round trip of one cache line between the two processors, beside figures that use only one.
#include "bench/measure.h"

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  // Every measuring program takes it; a round trip takes as long as it takes.
  args.number("seconds", 0, 0, 60);
  args.done();
  bench::stop_on_signals();
  auto* line = bench::shared<bench::Line>();
  const pid_t child = bench::fork_peer();
  if (child == 0) {
    bench::answer_round_trips(line);
    bench::answer_round_trips(line);
    _exit(0);
  }
  bench::round_trip(line);  // both are at full speed after this one
  const double trip = bench::round_trip(line);
  bench::join_peer(child);
  bench::Json()
      .text("tool", "line")
      .real("roundTripBefore", trip)
      .real("roundTripAfter", trip)
      .print();
}
