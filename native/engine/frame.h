// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A Frame is the generator's UDP frame, complete and with right checksums after every call:
//   1. The constructor builds the first one. 2. advance() goes to the next of the configured ranges
//   or to random ones; resize() and set_payload() change it further. 3. data() and size() are what
//   to send.
// Owns. Its bytes, and `headroom` zero bytes before them for a virtio-net header.
// Invariants. Only the bytes of data() from varying_from() to varying_bytes() ever differ between two frames of
//   one Frame, up to the shorter size: the rest may be written into a buffer once. Checksums are
//   adjusted by the difference (RFC 1624), never recomputed over the payload.
// Not here. Rings and slots (tx_ring.h), when to send (pace.h).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/pktgen.h"

namespace vale {

// splitmix64: small, fast, and equal seeds give equal frames everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // In [low, high); low < high.
  uint32_t between(uint32_t low, uint32_t high) {
    return low + static_cast<uint32_t>((next() >> 32) * (high - low) >> 32);
  }

 private:
  uint64_t state_;
};

constexpr uint32_t kEthernetBytes = 14;
constexpr uint32_t kMinFrame = 16, kMaxFrame = 65536;

class Frame {
 public:
  // Uses the configuration's size, family, addresses, random_*, header_length and indirect (which
  // the payload's text names). `seed` is used for random addresses only.
  Frame(const PktGenConfig& config, uint64_t seed);

  const uint8_t* data() const { return &bytes_[headroom_]; }
  uint32_t size() const { return size_; }
  uint32_t max_size() const { return max_size_; }
  uint32_t headroom() const { return headroom_; }
  // Offset in the frame where the UDP payload starts: 42, or 62 for IPv6.
  uint32_t payload_offset() const { return payload_; }
  uint32_t varying_bytes() const { return payload_ + kPayloadFields; }
  // And where they begin, on the grid of kGrid: behind the addresses of Ethernet unless these have ranges.
  uint32_t varying_from() const { return mac_varies_ ? 0 : 16; }
  // Whether advance() changes anything.
  bool has_ranges() const { return !digits_.empty() || !random_words_.empty(); }

  void advance();
  // 16 <= bytes <= max_size(). A frame too short for its headers carries the headers of the
  // shortest whole one, cut off.
  void resize(uint32_t bytes);
  // offset even, relative to the payload, offset + n <= kPayloadFields, within the frame; n even.
  void set_payload(uint32_t offset, const void* data, uint32_t n);

  static constexpr uint32_t kPayloadFields = 12;  // as much as ping writes
  static constexpr uint32_t kGrid = 8;

 private:
  __extension__ using Number = unsigned __int128;

  // One place of the odometer: a big-endian field that counts from start to end. As a number, so
  // that a step costs the words that change and no more.
  struct Digit {
    uint32_t offset;
    uint32_t bytes;
    bool in_ip;   // covered by the IPv4 header's checksum
    bool in_udp;  // covered by UDP's
    Number start, end, now;
  };

  uint8_t* frame() { return &bytes_[headroom_]; }
  void add_digit(uint32_t offset, uint32_t bytes, const uint8_t* start, const uint8_t* end, bool ip,
                 bool udp);
  struct Sums {  // wide, so that no load spans two of them just stored
    uint64_t ip, udp;
  };
  void count(Digit& digit, Number value, Sums* sums);
  // Fields are written, and frames copied (TxRing), in words of a grid of kGrid bytes that begins with the frame: a
  // load that spans a narrower store of just now would wait until that is in the cache.
  void put16(uint32_t offset, uint32_t value);
  struct RandomWord {
    uint32_t offset;
    uint64_t mask, ip_mask;  // what is random, and what of that the IPv4 header's checksum covers
  };
  void add_random(uint32_t address, uint32_t port);
  void build_headers(const PktGenConfig& config);
  uint32_t payload_sum(uint32_t bytes) const;
  void store_checksums(uint32_t ip_change, uint32_t udp_change);

  uint32_t headroom_;
  bool ipv6_;
  bool mac_varies_;
  uint32_t payload_;
  uint32_t size_, max_size_;
  uint32_t whole_;                     // max(size_, headers)
  uint64_t ip_sum_ = 0, udp_sum_ = 0;  // folded to 16 bits, not inverted
  std::vector<uint8_t> bytes_;         // and kCopyUnit zeros
  std::vector<uint16_t> text_sums_;    // sum of the first 2i payload bytes, as built
  uint32_t fields_sum_ = 0;            // what set_payload() has added to that
  std::vector<Digit> digits_;
  std::vector<RandomWord> random_words_;
  Random random_;
};

}  // namespace vale
