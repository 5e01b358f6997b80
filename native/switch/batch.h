// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What mixed.cc and classify.cc read from a tx ring and deliver.cc copies: up to kMaxFrames frames, each
//   with where its bytes are and where it goes.
//
// Owns. Memory of the sending thread, reused by each sync.
// Invariants. Indices and lengths in here were read once from the ring and validated; the ring is not
//   looked at again.
// Not here. The rings.
#pragma once

#include <cstdint>
#include <memory>

#include "types.h"

namespace vale {

constexpr uint32_t kMaxFrames = 256;     // of a batch
constexpr uint32_t kRunFrames = 256;     // of a run
constexpr uint32_t kDeliverFrames = 64;  // copied, then published, at a time
constexpr uint32_t kDeliverLarge = 256;  // of large frames, and of any at most
constexpr uint32_t kMaxFragments = NETMAP_MAX_FRAGS;
constexpr uint32_t kBatchFragments = 1024;

enum : uint16_t { kFlood = 256, kDropped = 257 };  // Frame::dest beyond the port indices

struct Frame {
  const char* data;  // first fragment
  uint32_t length;   // all fragments
  uint16_t dest;     // port index, kFlood or kDropped
  uint8_t fragments;
  uint8_t reserved;
  uint32_t first_fragment;  // in Batch::fragment, when fragments > 1 or data is in `staging`
};

struct Fragment {
  const char* data;
  uint32_t length;
};

struct Batch {
  uint32_t count = 0;
  uint32_t fragments = 0;
  uint32_t steady = 0;  // frames whose neighbours have the same addresses
  bool uniform = true;  // one destination, single fragments
  bool simple = true;   // single fragments that fit any buffer of the sender's size
  bool floods = false;
  uint32_t next_slot = 0;  // first slot not in this batch
  uint64_t flood[4] = {};  // members at classification, without the sender
  uint32_t flood_count = 0;
  Frame frame[kMaxFrames + 1];
  Fragment fragment[kBatchFragments + kMaxFragments];
  std::unique_ptr<char[]> staging;  // NS_INDIRECT payloads
  uint32_t staged = 0;
};
constexpr uint32_t kStagingBytes = 8u << 20;

}  // namespace vale
