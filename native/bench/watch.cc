// SPDX-License-Identifier: BSD-2-Clause
// What being watched costs whoever sends: time around txsync with a copy monitor on the sender's port, as
// `vale capture` opens one, and without, in turns, on one processor. The monitor's frames are read and
// released after each batch, or with --reader none never: its ring is full then, and it drops.
#include "bench/ports.h"

namespace {

struct Options {
  unsigned size, batch;
  double seconds;
  bool reads;
};

constexpr uint64_t kTurn = 10'000'000;  // ns

// ns a frame in one turn.
double turn(const Options& o, bench::Sender* sender, bench::Receiver* receiver,
            bench::Receiver* monitor) {
  uint64_t inside = 0, frames = 0;
  for (const uint64_t end = bench::now_ns() + kTurn; bench::now_ns() < end && !bench::stopped();) {
    const uint64_t start = bench::now_ns();
    frames += sender->send(o.batch);
    inside += bench::now_ns() - start;
    for (bench::Receiver* one : {receiver, monitor}) {
      if (one == nullptr || (one == monitor && !o.reads)) continue;
      one->sync();
      one->take();
      one->sync();
    }
  }
  return static_cast<double>(inside) / static_cast<double>(frames);
}

double median(std::vector<double>* of) {
  std::sort(of->begin(), of->end());
  return of->empty() ? 0 : (*of)[of->size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  Options o;
  o.size = args.whole("size", 60, 14, bench::kStride);
  o.batch = args.whole("batch", 256, 1, bench::kSlots - 1);
  o.seconds = args.number("seconds", 0.4, 0.02, 60);
  const std::string reader = args.word("reader", "busy");
  if (reader != "busy" && reader != "none")
    bench::die(2, "--reader %s: not one of busy, none", reader.c_str());
  o.reads = reader == "busy";
  args.done();
  bench::stop_on_signals();
  bench::pin(0);
  bench::End a, b;
  a.open("valebench:tx");
  b.open("valebench:rx");
  // Both directions once, so that both are learned.
  bench::Sender(b, 1, 60).send(1);
  bench::Receiver drain(a);
  bench::receive(&drain, bench::Waiting::busy);
  bench::Sender sender(a, 0, o.size);
  bench::Receiver receiver(b);
  turn(o, &sender, &receiver, nullptr);
  std::vector<double> watched, unwatched;
  const uint64_t stop = bench::now_ns() + static_cast<uint64_t>(o.seconds * 1e9);
  while (bench::now_ns() < stop && !bench::stopped()) {
    unwatched.push_back(turn(o, &sender, &receiver, nullptr));
    bench::End monitor;
    monitor.device = std::move(a.device);
    vale::OpenRequest request;
    request.name = "valebench:tx";
    request.flags = NR_MONITOR_TX | NR_MONITOR_RX;
    const vale::Status status = monitor.device->open(request, &monitor.port);
    if (!status.ok()) bench::die(1, "%s", status.text.c_str());
    bench::Receiver reads(monitor);
    turn(o, &sender, &receiver, &reads);
    watched.push_back(turn(o, &sender, &receiver, &reads));
    a.device = std::move(monitor.device);
  }
  bench::Json json;
  json.text("tool", "watch").whole("size", o.size).whole("batch", o.batch).text("reader", reader);
  json.real("perFrame", median(&watched) * 1e-9);
  json.real("floorPerFrame", median(&unwatched) * 1e-9).print();
}
