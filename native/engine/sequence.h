// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. rxseq gives the number and the slots of each frame of one ring to frame(), which tells gaps, frames out
//   of order and changed slot counts; summarise() says at the end what was found.
// Owns. What was expected next, and the counts of one ring.
// Invariants. Lines reach the user at most twice a second, with what was left unsaid in the next.
// Not here. Where the number is in a frame (frame_head.h).
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "engine/engine.h"

namespace vale {

class SequenceCheck {
 public:
  // where: what lines end in, to tell rings apart.
  SequenceCheck(Engine& engine, std::string where) : engine_(engine), where_(std::move(where)) {}

  // A frame with the number `found`, in `fragments` slots. Lines go to the user at most twice a
  // second.
  void frame(uint32_t found, uint32_t fragments);
  // What was found in all; nothing to say when all was well.
  void summarise();

 private:
  // Further behind than this is a sender that started anew, not a late frame.
  static constexpr int64_t kLate = 65536;
  static constexpr uint64_t kQuietNs = 500000000;

  void report(const std::string& text);

  Engine& engine_;
  std::string where_;
  uint32_t expected_ = 0;
  uint32_t fragments_ = 0;  // 0 = none seen yet
  uint64_t gaps_ = 0, missing_ = 0, disordered_ = 0, unsaid_ = 0;
  uint64_t quiet_until_ = 0;
};

}  // namespace vale
