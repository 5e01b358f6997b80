// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One thread serves both directions, A to B and B to A, as in the reference:
//   1. rxsync both ports.
//   2. For each direction and rx ring, move up to a burst of whole frames into the other port's tx
//      ring (frame_mover.h): rx ring i to tx ring i mod their number, which keeps a ring's order.
//   3. txsync where something was moved; else wait for frames where there are none, for room where
//      the other side is full.
//
// Owns. Nothing; the caller keeps the ports until the engine is done.
//
// Invariants. Only what fits the other port's tx ring is taken from an rx ring, so nothing taken is
//   lost between the two. Two lanes: A to B, B to A. Where it must drop, it says so: a frame that
//   could never fit the other port's ring.
//
// Not here. What the ports do with frames (device/), the report (TypeScript).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "device/device.h"
#include "engine/engine.h"
#include "status.h"

namespace vale {

// Mirrors BridgeConfig of src/native-types.ts.
struct BridgeConfig {
  uint32_t burst = 1024;  // most frames a ring and turn, >= 1
  bool zero_copy = true;  // swap buffers where both ports are in one region
  bool one_way = false;   // only A to B; if both are one port it sends back what it receives
  bool busy = false;      // never sleep
  uint32_t spin = 0;      // µs to spin before sleeping
  int verbose = 0;        // 1: a line after 2.5 s of silence; 2: after every wake-up
  int affinity = -1;      // CPU, -1 = any
};

// EINVAL: burst 0, a port whose rx (tx) rings are not bound that has to receive (send), ports with
// virtio-net headers of different lengths.
Status start_bridge(const BridgeConfig& config, Port* a, Port* b, std::function<void()> on_done,
                    std::unique_ptr<Engine>* out);

}  // namespace vale
