// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What captured frames are written to:
//   1. Open the file, FIFO or standard output; begin it (pcapng_begin).
//   2. Write chunks as they come, whole blocks. Between two blocks the next file may be due, by size, by
//      number of frames, by the times in the blocks; on an idle port by the clock.
//   3. End each file with what the interface counted, the last one when no more chunks come.
//
// Owns. The file that is open; the names of those before it, where only some are kept.
//
// Invariants. A file on a full disk is cut after its last whole block. A FIFO whose reader does not read
//   holds up nothing but this thread, and that for half a second once the engine stops. A reader that
//   has gone ends the capture, and well.
//
// Not here. Where the chunks come from (capture.h).
#pragma once

#include "engine/capture.h"
#include "engine/capture_chunks.h"

namespace vale {

// The second thread. drops_before: of the port, when the capture began.
Status write_capture(const CaptureConfig& config, Engine& engine, Port& port, uint64_t drops_before,
                     CaptureChunks& chunks);

// ns since 1970.
uint64_t real_ns();

}  // namespace vale
