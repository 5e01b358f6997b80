// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What nearly all frames are, many at a time: each in one buffer of a guest's, header in front.
//   1. A queue looks at what comes next, as long as it is such (queue.h).
//   2. read_plain(): a frame's header and addresses, once, into memory of ours.
//   3. put_plain(): header and frame into a buffer of another guest's.
// Owns. Nothing.
// Invariants. Bytes that something was decided by are not read again: those that were looked at are delivered.
// Not here. Whatever else a frame may be: from_guest.h and to_guest.h take those one by one.
#pragma once

#include <linux/if_ether.h>

#include <cstring>

#include "switch/prefetch.h"
#include "vhost/chain.h"
#include "vhost/rules.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace vale::vhost {

struct PlainFrame {
  static constexpr uint32_t kAddresses = 2 * ETH_ALEN;

  const char* data;
  uint32_t bytes;
  char addresses[kAddresses];
  VnetHeader vnet;

  bool goes_where(const PlainFrame& other) const {
    return std::memcmp(addresses, other.addresses, kAddresses) == 0;
  }
};

// False: it is none that a guest may send, or too short to be one.
inline bool read_plain(const Rules& rules, const Plain& from, PlainFrame* to) {
  const uint32_t header = rules.header();
  if (from.bytes < header + ETH_HLEN) return false;
  to->data = from.data + header;
  to->bytes = from.bytes - header;
  std::memcpy(&to->vnet, from.data, sizeof to->vnet);
  std::memcpy(to->addresses, to->data, PlainFrame::kAddresses);
  return from_guest(rules, &to->vnet, to->bytes);
}

// Not a byte more is read or written: what lies behind is the guest's.
inline void copy_exactly(char* to, const char* from, uint32_t n) {
#if defined(__x86_64__)
  const auto get = [from](uint32_t at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + at));
  };
  const auto put = [to](uint32_t at, __m128i value) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + at), value);
  };
  // From both ends to the middle.
  if (n >= 32 && n <= 128) {
    const __m128i a = get(0), b = get(16), y = get(n - 32), z = get(n - 16);
    if (n > 64) {
      const __m128i c = get(32), d = get(48), w = get(n - 64), x = get(n - 48);
      put(32, c);
      put(48, d);
      put(n - 64, w);
      put(n - 48, x);
    }
    put(0, a);
    put(16, b);
    put(n - 32, y);
    put(n - 16, z);
    return;
  }
#endif
  std::memcpy(to, from, n);
}

// header: rules.header(). Afterwards to->bytes are those written. False: it does not fit, or the guest does not
// take it as it is.
inline bool put_plain(const Rules& rules, uint32_t header, const PlainFrame& frame, Plain* to) {
  if (to->bytes < header + frame.bytes) return false;
  VnetHeader vnet = frame.vnet;
  if (to_guest(rules, &vnet, frame.bytes) != Verdict::good) return false;
  char* const data = to->data + header;
  copy_exactly(data, frame.data, frame.bytes);
  std::memcpy(data, frame.addresses, PlainFrame::kAddresses);
  std::memcpy(to->data, &vnet, sizeof vnet);
  const uint16_t buffers = 1;
  if (header > sizeof vnet) std::memcpy(to->data + sizeof vnet, &buffers, sizeof buffers);
  to->bytes = header + frame.bytes;
  return true;
}

// As it is in a slot of a port: kPortHeader bytes in front.
inline void put_behind_header(const PlainFrame& frame, char* to) {
  copy_exactly(to + kPortHeader, frame.data, frame.bytes);
  std::memcpy(to + kPortHeader, frame.addresses, PlainFrame::kAddresses);
  std::memcpy(to, &frame.vnet, sizeof frame.vnet);
  std::memset(to + sizeof frame.vnet, 0, kPortHeader - sizeof frame.vnet);
}

}  // namespace vale::vhost
