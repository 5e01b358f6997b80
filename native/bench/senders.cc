// SPDX-License-Identifier: BSD-2-Clause
// How many frames a second get through when there are more processes than processors: --senders
// processes, each without a pause, to one receiver or to one each, all on two processors in turns.
// Receivers sleep when there is nothing, as programs that share a processor must. What a receiver could
// not take in time is dropped, and reported beside; so is how even the receivers' shares are.
#include <functional>

#include "bench/ports.h"

namespace {

using bench::Line;

constexpr unsigned kMost = 16;

struct Shared {
  Line turn;             // round trip
  Line ready, go, end;   // processes that have opened; the start; the end
  Line sent[kMost];      // by sender
  Line received[kMost];  // by receiver
};

struct Options {
  unsigned senders, receivers, size, batch;
};

void write_pair(netmap_ring* ring, unsigned sender, unsigned receiver, unsigned size) {
  for (unsigned i = 0; i < ring->num_slots; i++) {
    netmap_slot* slot = &ring->slot[i];
    slot->len = static_cast<uint16_t>(size);
    slot->flags = 0;
    char* frame = NETMAP_BUF(ring, slot->buf_idx);
    bench::write_frame(frame, 0, size);
    frame[4] = 1;  // 02:00:00:00:01:RR from 02:00:00:00:00:SS
    frame[5] = static_cast<char>(receiver);
    frame[11] = static_cast<char>(sender);
  }
}

void wait_for(const Line& line, uint64_t least) {
  while (line.value.load() < least && !bench::stopped()) usleep(200);
}

void send(const Options& o, Shared* s, unsigned self) {
  bench::End end;
  end.open(("valebench:tx" + std::to_string(self)).c_str());
  bench::Sender sender(end, 0, o.size);
  write_pair(end.tx(), self, self % o.receivers, o.size);
  s->ready.value++;
  wait_for(s->go, 1);
  uint64_t sent = 0;
  while (s->end.value.load(std::memory_order_relaxed) == 0 && !bench::stopped()) {
    sent += sender.send(o.batch);
    s->sent[self].value.store(sent, std::memory_order_relaxed);
  }
}

void receive(const Options& o, Shared* s, unsigned self) {
  bench::End end;
  end.open(("valebench:rx" + std::to_string(self)).c_str());
  // To itself, so that nobody gets it and the switch knows where the address is.
  netmap_ring* ring = end.tx();
  write_pair(ring, self, self, o.size);
  for (unsigned i = 0; i < ring->num_slots; i++) NETMAP_BUF(ring, ring->slot[i].buf_idx)[10] = 1;
  ring->head = ring->cur = ring->head + 1;
  end.port->txsync();
  bench::Receiver receiver(end);
  s->ready.value++;
  uint64_t received = 0;
  while (s->end.value.load(std::memory_order_relaxed) == 0 && !bench::stopped()) {
    received += bench::receive(&receiver, bench::Waiting::block);
    s->received[self].value.store(received, std::memory_order_relaxed);
  }
}

uint64_t sum(const Line* lines, unsigned n) {
  uint64_t total = 0;
  for (unsigned i = 0; i < n; i++) total += lines[i].value.load(std::memory_order_relaxed);
  return total;
}

pid_t start(unsigned processor, const std::function<void()>& body) {
  const pid_t parent = getpid(), child = fork();
  if (child < 0) bench::die(1, "cannot fork: %s", std::strerror(errno));
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  bench::pin(processor);
  body();
  std::exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  Options o;
  o.senders = args.whole("senders", 1, 1, kMost);
  const std::string receivers = args.word("receivers", "one");
  o.size = args.whole("size", 60, 60, bench::kStride);
  o.batch = std::min(args.whole("batch", 256, 1, bench::kSlots), bench::kSlots - 1);
  const double seconds = args.number("seconds", 0.4, 0.01, 60);
  args.done();
  if (receivers != "one" && receivers != "each") bench::die(2, "--receivers: one or each");
  o.receivers = receivers == "one" ? 1 : o.senders;

  Shared* s = bench::shared<Shared>();
  std::vector<pid_t> children;
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  const auto round_trip = [&] {
    s->turn.value.store(0);
    bench::stop_on_signals();
    const pid_t child = bench::fork_peer();
    if (child == 0) {
      bench::answer_round_trips(&s->turn);
      _exit(0);
    }
    const double trip = bench::round_trip(&s->turn);
    signal(SIGCHLD, SIG_DFL);  // this end was expected
    bench::join_peer(child);
    sched_setaffinity(0, sizeof allowed, &allowed);
    return trip;
  };
  const double before = round_trip();
  bench::stop_requested = 0;
  bench::stop_on_signals();

  for (unsigned i = 0; i < o.receivers; i++)
    children.push_back(start((i + 1) % 2, [&, i] { receive(o, s, i); }));
  wait_for(s->ready, o.receivers);
  for (unsigned i = 0; i < o.senders; i++)
    children.push_back(start(i % 2, [&, i] { send(o, s, i); }));
  wait_for(s->ready, o.receivers + o.senders);
  s->go.value.store(1);
  usleep(50'000);  // past the start
  const uint64_t sent = sum(s->sent, o.senders);
  std::vector<uint64_t> at(o.receivers);
  for (unsigned i = 0; i < o.receivers; i++) at[i] = s->received[i].value.load();
  bench::Window window;
  window.open(0);
  usleep(static_cast<useconds_t>(seconds * 1e6));
  uint64_t received = 0, least = ~0ull, most = 0;
  for (unsigned i = 0; i < o.receivers; i++) {
    const uint64_t n = s->received[i].value.load() - at[i];
    received += n;
    least = std::min(least, n);
    most = std::max(most, n);
  }
  const uint64_t offered = sum(s->sent, o.senders) - sent;
  window.close();
  const bool early = bench::stopped();
  signal(SIGCHLD, SIG_DFL);
  s->end.value.store(1);
  for (const pid_t child : children) bench::join_peer(child);
  if (early) bench::die(1, "interrupted, or a process ended early");
  bench::stop_requested = 0;
  const double after = round_trip();
  if (received == 0) bench::die(1, "no frame arrived");
  bench::Json()
      .text("tool", "senders")
      .whole("senders", o.senders)
      .whole("receivers", o.receivers)
      .whole("frames", received)
      .real("seconds", window.seconds())
      .real("framesPerSecond", static_cast<double>(received) / window.seconds())
      .real("bitsPerSecond", static_cast<double>(received) / window.seconds() * 8 * o.size)
      .real("perFrame", window.seconds() / static_cast<double>(received))
      .whole("offered", offered)
      .whole("dropped", offered > received ? offered - received : 0)
      .real("evenness", most == 0 ? 1 : static_cast<double>(least) / static_cast<double>(most))
      .real("roundTripBefore", before)
      .real("roundTripAfter", after)
      .print();
}
