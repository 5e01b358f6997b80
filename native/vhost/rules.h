// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The header beside each frame, by what guest and device have agreed on:
//   1. from_guest(): what a guest may ask for, else the frame is refused.
//   2. to_guest(): whether a frame goes as it is, must be finished first (checksum, segmentation:
//      switch/convert.h), or is refused.
// Owns. Nothing. Invariants. A header that is let through is true of its frame as far as lengths go,
//   whoever wrote it: one guest cannot hand another a header that points outside the frame.
// Not here. Where the header lies.
#pragma once

#include <algorithm>

#include "offload/vnet_header.h"
#include "vhost/protocol.h"

namespace vale::vhost {

constexpr uint32_t kPortHeader = 12;  // bytes, of the port on the switch

struct Rules {
  uint64_t features = 0;

  // Bytes in front of a frame in the guest's buffers.
  uint32_t header() const { return (features & (kVersion1 | kMergeable)) != 0 ? 12 : 10; }
  bool mergeable() const { return (features & kMergeable) != 0; }
  bool logs() const { return (features & kLogAll) != 0; }
  bool has(uint64_t wanted) const { return (features & wanted) == wanted; }
};

enum class Verdict { good, finish, bad };

inline bool checksum_fits(const VnetHeader& h, uint32_t bytes) {
  return uint32_t{h.csum_start} + h.csum_offset + 2 <= bytes;
}

// What is wanted of whoever gets the frame, as features; 0 for an unknown kind.
inline uint64_t gso_features(uint8_t type, uint64_t tso4, uint64_t tso6, uint64_t ecn, uint64_t ufo,
                             uint64_t uso) {
  const uint64_t more = (type & kGsoEcn) != 0 ? ecn : 0;
  switch (type & ~kGsoEcn) {
    case kGsoTcp4:
      return tso4 | more;
    case kGsoTcp6:
      return tso6 | more;
    case kGsoUdpFragments:
      return more == 0 ? ufo : 0;
    case kGsoUdpSegments:
      return more == 0 ? uso : 0;
    default:
      return 0;
  }
}

// `bytes` of the frame. Afterwards *h holds nothing but what was asked for and allowed.
inline bool from_guest(const Rules& rules, VnetHeader* h, uint32_t bytes) {
  h->flags &= kVnetNeedsChecksum;  // the others tell of received frames
  if (h->flags == 0 && h->gso_type == kGsoNone) {
    *h = {};
    return true;
  }
  if (h->flags == 0 || !rules.has(kChecksum) || !checksum_fits(*h, bytes)) return false;
  h->hdr_len = static_cast<uint16_t>(std::min<uint32_t>(h->hdr_len, bytes));
  if (h->gso_type == kGsoNone) {
    h->gso_size = 0;
    return true;
  }
  const uint64_t wanted = gso_features(h->gso_type, kTso4, kTso6, kEcn, kUfo, kUso);
  return wanted != 0 && rules.has(wanted) && h->gso_size != 0;
}

inline Verdict to_guest(const Rules& rules, VnetHeader* h, uint32_t bytes) {
  h->flags &= kVnetNeedsChecksum;
  if (h->flags == 0 && h->gso_type == kGsoNone) {
    *h = {};
    return Verdict::good;
  }
  if (h->flags != 0 && !checksum_fits(*h, bytes)) return Verdict::bad;
  if (h->gso_type != kGsoNone && (h->flags == 0 || h->gso_size == 0)) return Verdict::bad;
  if (!rules.has(kGuestChecksum)) return Verdict::finish;
  h->hdr_len = static_cast<uint16_t>(std::min<uint32_t>(h->hdr_len, bytes));
  if (h->gso_type == kGsoNone) return Verdict::good;
  const uint64_t wanted = gso_features(h->gso_type, kGuestTso4, kGuestTso6, kGuestEcn, kGuestUfo,
                                       kGuestUso4 | kGuestUso6);
  if (wanted == 0) return Verdict::bad;
  return rules.has(wanted) ? Verdict::good : Verdict::finish;
}

}  // namespace vale::vhost
