// SPDX-License-Identifier: BSD-2-Clause
// What a receiver that sleeps costs while nothing arrives: its share of a processor.
#include "bench/ports.h"

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  const double seconds = args.number("seconds", 3, 0.01, 60);
  args.done();
  bench::stop_on_signals();

  bench::End end;
  end.open("valebench:idle");
  vale::PortWait wait = {end.port.get(), POLLIN};
  bench::Window window;
  window.open(0);
  const uint64_t stop = bench::now_ns() + static_cast<uint64_t>(seconds * 1e9);
  for (uint64_t now = bench::now_ns(); now < stop && !bench::stopped(); now = bench::now_ns()) {
    // The device sleeps at most 1 s at a time; a wait for ever is the same as many of these.
    const uint64_t left = std::min<uint64_t>((stop - now) / 1'000'000 + 1, 1000);
    vale::wait_ports(&wait, 1, static_cast<int>(left), bench::kSpin, -1);
  }
  window.close();
  bench::Json()
      .text("tool", "idle")
      .real("seconds", window.seconds())
      .real("cpuShare", window.own_share())
      .print();
}
