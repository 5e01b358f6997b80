// SPDX-License-Identifier: BSD-2-Clause
// The main paths of the data plane with fixed frames in a fixed order, so that the instructions they
// take can be counted (callgrind --toggle-collect='counted_*') and are the same in every run: only
// what happens inside counted_txsync() and counted_rxsync() is. Bare, it checks that every frame
// arrives and prints how many were inside.
//
// With VALE_PLANTED_LOSS (paths_planted.cc) a sync takes --planted more instructions a frame: what
// must be noticed is planted.
#include "bench/fabric.h"

namespace {

using bench::Fabric;

struct Path {
  const char* name;
  unsigned ports, size, batch;
  bool receive;  // count the receiver's sync, not the sender's
  // The port that frame `i` goes to; 0 = everybody.
  unsigned (*to)(bench::Order* order, unsigned i);
};

unsigned first(bench::Order*, unsigned) { return 1; }
unsigned everybody(bench::Order*, unsigned) { return 0; }
unsigned any_of_16(bench::Order* order, unsigned) { return 1 + order->below(16); }

constexpr Path kPaths[] = {
    {"unicast", 2, 60, 256, false, first},         {"unicast-single", 2, 60, 1, false, first},
    {"unicast-large", 2, 1514, 256, false, first}, {"flood-3", 4, 60, 256, false, everybody},
    {"mixed-16", 17, 60, 256, false, any_of_16},   {"receive-single", 2, 60, 1, true, first},
};

}  // namespace

// What is counted: nothing else may be in here. C names, for --toggle-collect. A planted loss is a
// loop of two instructions a turn, and a test and a branch before it.
#ifdef VALE_PLANTED_LOSS
#define PLANTED(turns) \
  if (turns != 0) asm volatile("1: dec %0\n jnz 1b" : "+r"(turns))
#else
#define PLANTED(turns) static_cast<void>(turns)
#endif
extern "C" {
[[gnu::noinline]] int counted_txsync(vale::Port* port, unsigned turns) {
  PLANTED(turns);
  return port->txsync();
}
[[gnu::noinline]] int counted_rxsync(vale::Port* port, unsigned turns) {
  PLANTED(turns);
  return port->rxsync();
}
}

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  const std::string name = args.word("path", "unicast");
  const unsigned wanted = args.whole("frames", 8192, 1, 1u << 24);
  const bool list = args.flag("list");
#ifdef VALE_PLANTED_LOSS
  const unsigned planted = args.whole("planted", 0, 0, 100000);  // instructions a frame; even
#else
  const unsigned planted = 0;
#endif
  args.done();
  if (list) {
    for (const Path& path : kPaths) std::printf("%s\n", path.name);
    return 0;
  }
  const Path* path = std::find_if(std::begin(kPaths), std::end(kPaths),
                                  [&](const Path& p) { return name == p.name; });
  if (path == std::end(kPaths)) bench::die(2, "--path %s: no such path; see --list", name.c_str());

  Fabric::Shape shape;
  shape.ports = path->ports;
  Fabric fabric(shape);
  for (unsigned i = 0; i < fabric.size(); i++) fabric.drain(i);
  netmap_ring* tx = fabric.tx(0);
  bench::Order order(1);
  for (unsigned i = 0; i < tx->num_slots; i++) {
    const unsigned port = path->to(&order, i);
    Fabric::put(tx, i, port == 0 ? 0xffffff : port + 1, 1, path->size);
  }

  // The first round is not counted: mappings are made, and the ring is where every run has it.
  const unsigned warm = tx->num_slots;
  const unsigned instructions = planted * path->batch;
  const unsigned turns = instructions > 2 ? instructions / 2 - 1 : 0;
  uint64_t arrived = 0, counted = 0;
  for (unsigned sent = 0; sent < warm + wanted; sent += path->batch) {
    Fabric::advance(tx, path->batch);
    const bool count = sent >= warm;
    vale::Port* sender = &fabric.port(0);
    Fabric::sync(count && !path->receive ? counted_txsync(sender, turns) : sender->txsync(),
                 "txsync");
    if (count) counted += path->batch;
    for (unsigned i = 1; i < fabric.size(); i++) {
      vale::Port* receiver = &fabric.port(i);
      Fabric::sync(count && path->receive ? counted_rxsync(receiver, turns) : receiver->rxsync(),
                   "rxsync");
      const unsigned frames = Fabric::take(fabric.rx(i));
      if (count) arrived += frames;
      // What was read is released here, except where a receiver's one sync a turn is the figure.
      if (!path->receive) Fabric::sync(receiver->rxsync(), "rxsync");
    }
  }
  const unsigned copies = path->to == everybody ? path->ports - 1 : 1;
  if (arrived != counted * copies) {
    bench::die(1, "%s: %llu frames of %llu arrived", path->name,
               static_cast<unsigned long long>(arrived),
               static_cast<unsigned long long>(counted * copies));
  }
  bench::Json().text("tool", "paths").text("path", path->name).whole("frames", counted).print();
}
