// SPDX-License-Identifier: BSD-2-Clause
// What tests of the generator's loops share: configurations, running an engine to its end, and
// seeing the frames it sends.
#pragma once

#include <arpa/inet.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/frame.h"
#include "engine/pktgen.h"
#include "test/support/check.h"
#include "test/support/fake_port.h"
#include "test/support/wire.h"

namespace pktgen {

using namespace vale;
using fake::FakePort;

inline PktGenConfig config_of(PktGenFunction function, uint64_t count = 0) {
  PktGenConfig config;
  config.function = function;
  config.count = count;
  inet_pton(AF_INET, "10.0.0.1", config.source.start.data());
  inet_pton(AF_INET, "10.1.0.1", config.destination.start.data());
  config.source.end = config.source.start;
  config.destination.end = config.destination.start;
  config.source_mac.start = config.source_mac.end = {2, 0, 0, 0, 0, 1};
  config.destination_mac.start.fill(0xff);
  config.destination_mac.end.fill(0xff);
  return config;
}

// Samples until the engine is done, or `limit_ms` have passed and it had to be stopped.
struct Outcome {
  EngineSample total;
  std::string out, err;
  bool stopped = false;
  Status status;
};

inline void collect(Engine& engine, Outcome& outcome) {
  EngineSample& t = outcome.total;
  std::vector<EngineSample> samples = engine.sample();
  t.frames = t.bytes = t.events = t.accepted = 0;
  for (EngineSample& s : samples) {
    CHECK(s.accepted <= s.frames);
    t.frames += s.frames;
    t.bytes += s.bytes;
    t.events += s.events;
    t.accepted += s.accepted;
    t.first = s.first;
    t.last = s.last;
    t.rtt_count += s.rtt_count;
    if (s.rtt_count != 0) t.rtt_min = s.rtt_min;
    for (unsigned i = 0; i < kRttBuckets; i++) t.rtt_histogram[i] += s.rtt_histogram[i];
    if (s.min_space >= 0) t.min_space = s.min_space;
    for (EngineMessage& m : s.messages) (m.error ? outcome.err : outcome.out) += m.text + "\n";
  }
}

inline Outcome finish(Engine& engine, int limit_ms = 5000) {
  Outcome outcome;
  const uint64_t end = monotonic_ns() + uint64_t(limit_ms) * 1000000;
  while (!engine.done()) {
    if (!outcome.stopped && monotonic_ns() > end) {
      outcome.stopped = true;
      engine.stop();
    }
    collect(engine, outcome);
    usleep(1000);
  }
  outcome.status = engine.join();
  collect(engine, outcome);
  return outcome;
}

inline std::unique_ptr<Engine> start(const PktGenConfig& config, std::vector<Port*> ports) {
  std::unique_ptr<Engine> engine;
  CHECK_OK(start_pktgen(config, std::move(ports), nullptr, &engine));
  return engine;
}

inline std::string refusal(const PktGenConfig& config, Port* port) {
  std::unique_ptr<Engine> engine;
  return start_pktgen(config, {port}, nullptr, &engine).text;
}

// Collects whole frames as the port takes them from the tx ring.
struct Tap {
  std::vector<std::string> frames;
  std::vector<unsigned> slots;
  std::string partial;
  unsigned partial_slots = 0;

  explicit Tap(FakePort& port) {
    port.tap = [this](netmap_ring* ring, uint32_t i) {
      const netmap_slot& s = ring->slot[i];
      const char* data = s.flags & NS_INDIRECT ? reinterpret_cast<const char*>(s.ptr)
                                               : NETMAP_BUF(ring, s.buf_idx);
      partial.append(data, s.len);
      partial_slots++;
      if (s.flags & NS_MOREFRAG) return;
      frames.push_back(partial);
      slots.push_back(partial_slots);
      partial.clear();
      partial_slots = 0;
    };
  }
};

inline std::string frame_of(const PktGenConfig& config) {
  const Frame frame(config, 0);
  return std::string(reinterpret_cast<const char*>(frame.data()), frame.size());
}

inline uint32_t word(const std::string& frame, size_t at) {
  return uint32_t(uint8_t(frame[at])) << 8 | uint8_t(frame[at + 1]);
}

inline bool udp_checksum_holds(const std::string& frame) {
  const wire::Frame bytes(frame.begin(), frame.end());
  return wire::type_of(bytes) == 0x0800 && wire::wrong(bytes).empty();
}

}  // namespace pktgen
