// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Two threads capture what a port receives:
//   1. The first (capture.cc) syncs, filters, and copies frames as pcapng blocks into chunks of memory
//      (capture_chunks.h); where there is none left it counts and goes on.
//   2. The second (capture_writer.h) writes the chunks, begins the next file when it is time, and ends
//      each with what the interface counted.
//   3. The end, whoever asked for it: what arrived is read, what was read is written.
//
// Owns. Nothing; the caller keeps the port until the engine is done.
//
// Invariants. The first thread waits for nothing but frames, so nobody who sends does: a slow disk or
//   reader costs frames of this capture, counted, and nothing else.
//
// Not here. Which port, and whose frames it gets (a monitor's, its own), reports (TypeScript).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "device/device.h"
#include "engine/engine.h"
#include "engine/pcapng.h"
#include "status.h"

namespace vale {

// Lanes of a capture's engine.
enum CaptureLane : unsigned {
  kLaneReceived,  // frames and bytes from the port; accepted: those that passed the filter
  kLaneKept,      // frames of those for which there was memory; bytes of frames, as captured
  kLaneWritten,   // frames written, bytes of all files; events: files
  kCaptureLanes
};

// Mirrors CaptureConfig of src/native-types.ts.
struct CaptureConfig {
  std::string output;           // a path, or "-" for standard output
  CapturedInterface interface;  // filter: compiled here
  uint64_t count = 0;           // end after so many frames that passed the filter, 0 = never
  double duration = 0;          // s, 0 = none
  uint32_t buffer = 64;         // MiB, >= 1
  // A new file, with a number and the time in its name, after so much; 0 = not for that.
  uint64_t next_after_bytes = 0;
  uint64_t next_after_frames = 0;
  double next_after_seconds = 0;
  double next_every_seconds = 0;  // whenever the clock shows a multiple of it
  uint64_t keep_files = 0;        // remove the oldest above that, 0 = keep all
  uint64_t stop_after_bytes = 0;  // of a single file
  uint64_t stop_after_files = 0;
  bool busy = false;
  uint32_t spin = 0;  // µs

  bool several_files() const {
    return next_after_bytes != 0 || next_after_frames != 0 || next_after_seconds > 0 ||
           next_every_seconds > 0;
  }
};

// EINVAL: a port that receives nothing, a filter that libpcap refuses; ENOENT: there is no libpcap.
// Errors of opening and writing files end the engine.
Status start_capture(const CaptureConfig& config, Port* port, std::function<void()> on_done,
                     std::unique_ptr<Engine>* out);

}  // namespace vale
