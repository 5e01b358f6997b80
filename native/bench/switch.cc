// SPDX-License-Identifier: BSD-2-Clause
// How many frames a second go through the switch, counted where they arrive: a sender and a receiver
// as two processes on two processors, or both ends in lockstep in one process (--one-core). Unicast, or
// flooded to --to ports that the receiving process has all open. The sender never waits: what the
// receiver cannot take is dropped, and reported beside; so is how often it slept. --headers: the receiver
// reads the header of each frame; --payload: all of it. --same-core: both processes on one processor.
#include <sys/resource.h>

#include "bench/ports.h"

namespace {

using bench::Line;

struct Shared {
  Line turn;        // round trip
  Line arrived[2];  // meet()
  Line received;    // receiver: frames
  Line sleeps;      // receiver: how often it slept
  Line end;         // sender: 1 = nothing follows
};

struct Options {
  unsigned size, batch;
  unsigned to;  // ports of the receiver; more than one: every frame is flooded to all of them
  double seconds;
  uint64_t frames;  // one core: stop after so many instead of after `seconds`; 0 = by time
  bench::Waiting receiver;
  bench::Reading reading;
  bool same_core;
  cpu_set_t allowed;  // processors, before anybody was pinned
};

void print(const Options& o, unsigned cores, uint64_t sent, uint64_t received,
           const bench::Window& window, double before, double after, double per_sleep = 0) {
  bench::Json json;
  json.text("tool", "switch").whole("size", o.size).whole("batch", o.batch).whole("cores", cores);
  const uint64_t copies = sent * o.to;
  json.whole("to", o.to).rate(received, o.size, window).whole("offered", copies);
  json.whole("dropped", copies > received ? copies - received : 0);
  if (cores == 2) {
    if (per_sleep != 0) json.real("framesPerSleep", per_sleep);
    json.real("roundTripBefore", before).real("roundTripAfter", after);
  }
  json.print();
}

void one_core(const Options& o) {
  bench::pin(0);
  bench::End a, b;
  a.open("valebench:tx");
  b.open("valebench:rx");
  // Both directions once, so that both are learned.
  bench::Sender(b, 1, 60).send(1);
  bench::Receiver drain(a);
  bench::receive(&drain, bench::Waiting::busy);
  bench::Sender sender(a, 0, o.size);
  bench::Receiver receiver(b, o.reading);

  // What was read is released by the next rxsync: too late for a batch that needs the whole ring.
  const bool release = o.batch > sender.most() / 2;
  uint64_t sent = 0, received = 0;
  const auto turns = [&](unsigned n) {
    for (unsigned i = 0; i < n; i++) {
      sent += sender.send(o.batch);
      receiver.sync();
      received += receiver.take();
      if (release) receiver.sync();
    }
  };
  bench::Window window;
  if (o.frames == 0) {
    for (const uint64_t end = bench::now_ns() + bench::kWarmUp; bench::now_ns() < end;) turns(64);
    sent = received = 0;
  }
  window.open(0);
  const uint64_t end = bench::now_ns() + static_cast<uint64_t>(o.seconds * 1e9);
  const auto more = [&] { return o.frames != 0 ? sent < o.frames : bench::now_ns() < end; };
  while (more() && !bench::stopped()) turns(o.frames != 0 ? 1 : 64);
  window.close();
  if (receiver.bytes() % o.size != 0) bench::die(1, "frames arrived with a wrong length");
  // Also so that the headers must really be read.
  if (o.reading != bench::Reading::slots && receiver.seen() == 0)
    bench::die(1, "frames arrived without a header");
  print(o, 1, sent, received, window, 0, 0);
}

// Looks at every port once; how many frames there were.
unsigned receive_all(std::vector<bench::Receiver>* receivers, bench::Waiting how) {
  if (receivers->size() == 1) return bench::receive(&receivers->front(), how);
  std::vector<vale::PortWait> waits;
  if (how != bench::Waiting::busy) {
    for (bench::Receiver& receiver : *receivers) waits.push_back({receiver.port(), POLLIN});
    vale::wait_ports(waits.data(), static_cast<unsigned>(waits.size()), 50,
                     how == bench::Waiting::spin ? bench::kSpin : 0, -1);
  }
  unsigned frames = 0;
  for (bench::Receiver& receiver : *receivers) {
    if (how == bench::Waiting::busy) receiver.sync();
    frames += receiver.take();
  }
  return frames;
}

void move_to(const Options& o, unsigned processor) {
  sched_setaffinity(0, sizeof o.allowed, &o.allowed);
  bench::pin(processor);
}

uint64_t times_slept() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_nvcsw);
}

[[noreturn]] void receive(const Options& o, Shared* s) {
  std::vector<bench::End> ends(o.to);
  for (unsigned i = o.to; i-- != 0;)
    ends[i].open(i == 0 ? "valebench:rx" : ("valebench:rx" + std::to_string(i)).c_str());
  bench::meet(ends[0], 1, s->arrived);
  std::vector<bench::Receiver> receivers;
  for (const bench::End& end : ends) receivers.emplace_back(end, o.reading);
  bench::answer_round_trips(&s->turn);
  if (o.same_core) move_to(o, 0);
  const uint64_t slept = times_slept();
  uint64_t received = 0;
  while (s->end.value.load(std::memory_order_relaxed) == 0 && !bench::stopped()) {
    const unsigned frames = receive_all(&receivers, o.receiver);
    if (frames == 0) continue;
    received += frames;
    s->received.value.store(received, std::memory_order_relaxed);
  }
  s->received.value.store(received);
  s->sleeps.value.store(times_slept() - slept);
  if (o.same_core) move_to(o, 1);
  bench::answer_round_trips(&s->turn);
  uint64_t bytes = 0, seen = 0;
  for (const bench::Receiver& receiver : receivers) {
    bytes += receiver.bytes();
    seen |= receiver.seen();
  }
  if (bytes != received * o.size) bench::die(1, "frames arrived with a wrong length");
  if (o.reading != bench::Reading::slots && received != 0 && seen == 0)
    bench::die(1, "frames arrived without a header");
  std::exit(0);
}

void two_cores(const Options& o) {
  Shared* s = bench::shared<Shared>();
  const pid_t child = bench::fork_peer();
  if (child == 0) receive(o, s);
  bench::End end;
  end.open("valebench:tx");
  bench::meet(end, 0, s->arrived);
  bench::Sender sender(end, 0, o.size, o.to == 1 ? bench::kOtherEnd : bench::kNobody);
  const double before = bench::round_trip(&s->turn);

  bench::Window window;
  uint64_t sent = 0, seen = 0;
  const uint64_t start = bench::now_ns() + bench::kWarmUp;
  const uint64_t stop = start + static_cast<uint64_t>(o.seconds * 1e9);
  for (uint64_t now = 0; now < stop && !bench::stopped(); now = bench::now_ns()) {
    if (!window.opened() && now >= start) {
      sent = 0;
      seen = s->received.value.load(std::memory_order_relaxed);
      window.open(child);
    }
    for (unsigned i = 0; i < 64; i++) sent += sender.send(o.batch);
  }
  const uint64_t received = s->received.value.load(std::memory_order_relaxed) - seen;
  window.close();
  s->end.value.store(1);
  const double after = bench::round_trip(&s->turn);
  bench::join_peer(child);
  const double all = static_cast<double>(s->received.value.load());
  const uint64_t sleeps = o.receiver == bench::Waiting::busy ? 0 : s->sleeps.value.load();
  print(o, 2, sent, received, window, before, after,
        sleeps == 0 ? 0 : all / static_cast<double>(sleeps));
}

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  Options o;
  o.size = args.whole("size", 60, 14, bench::kStride);
  // A ring of 1024 slots holds 1023 frames: a batch of 1024 is as many as fit.
  o.batch = std::min(args.whole("batch", 256, 1, bench::kSlots), bench::kSlots - 1);
  o.to = args.whole("to", 1, 1, 16);
  o.seconds = args.number("seconds", 0.4, 0.01, 60);
  o.frames = static_cast<uint64_t>(args.number("frames", 0, 0, 1e12));
  o.receiver = bench::waiting(&args, "receiver");
  const bool single = args.flag("one-core");
  const bool headers = args.flag("headers"), payload = args.flag("payload");
  o.reading = payload   ? bench::Reading::payload
              : headers ? bench::Reading::headers
                        : bench::Reading::slots;
  o.same_core = args.flag("same-core");
  args.done();
  if (o.to != 1 && single) bench::die(2, "--to is for two cores");
  if (o.same_core && single) bench::die(2, "--same-core is for two processes");
  if (o.frames != 0 && !single) bench::die(2, "--frames needs --one-core");
  sched_getaffinity(0, sizeof o.allowed, &o.allowed);
  bench::stop_on_signals();
  if (single) {
    one_core(o);
  } else {
    two_cores(o);
  }
}
