// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A stack that leaves a checksum to the hardware puts the sum of the pseudo header into its field,
//   and says beside the frame what is still to be done. Where what is said gets lost, finish_checksum()
//   looks into the frame: a TCP or UDP checksum that is exactly that sum is completed.
// Owns. Nothing.
// Invariants. A frame with a good checksum stays as it is, even if that is the sum, too: completing it
//   gives the same. Nothing beyond the pieces is read, whatever the headers say.
// Not here. What says it beside the frame (vnet_header.h, checksum.h). Frames inside tunnels, SCTP.
#pragma once

#include <cstdint>

namespace vale {

struct FramePiece {
  char* data;
  uint32_t bytes;
};

// The frame in its pieces, headers in the first. True when a checksum was completed.
bool finish_checksum(const FramePiece* pieces, uint32_t count);

}  // namespace vale
