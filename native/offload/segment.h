// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Linux and virtual machines hand TCP data over as frames of up to 64 KB, of BIG TCP 512 KB, that a
//   NIC would cut (TSO, USO, UFO), and glue received ones together (GRO). start() takes such a frame;
//   next() yields the frames that belong on the wire, one after the other, until done().
//
// Owns. A copy of the headers. The payload stays in the caller's memory, unchanged, until done().
//
// Invariants. Every segment is complete: lengths, IPv4 identification or fragment offset, sequence
//   numbers, flags and all checksums. Malformed super-frames are refused by start(), never read
//   beyond their end, whatever else writes into them meanwhile.
//
// Not here. Where super-frames come from and segments go to (nic/, switch/convert.h); putting
//   fragments together.
#pragma once

#include <cstdint>

namespace vale {

struct Segment {
  const char* header;  // valid until the next call
  uint32_t header_bytes;
  const char* payload;
  uint32_t payload_bytes;
};

class Segmenter {
 public:
  // gso_type and gso_size (payload bytes a segment; of IP, where one datagram becomes fragments) as in
  // VnetHeader. False: malformed, or of a kind other than TCP and UDP over IPv4 or IPv6.
  bool start(const char* frame, uint32_t bytes, uint8_t gso_type, uint16_t gso_size);
  static bool knows(uint8_t gso_type);
  bool done() const { return offset_ >= payload_bytes_; }
  uint32_t next_bytes() const { return header_bytes_ + piece(); }
  // What is still to come: all but the last are of next_bytes().
  uint32_t left() const { return (payload_bytes_ - offset_ + gso_size_ - 1) / gso_size_; }
  uint32_t last_bytes() const {
    return header_bytes_ + payload_bytes_ - offset_ - (left() - 1) * gso_size_;
  }
  Segment next();
  void reset() { offset_ = payload_bytes_ = 0; }

 private:
  static constexpr uint32_t kMaxHeader = 512;

  uint32_t piece() const {
    const uint32_t left = payload_bytes_ - offset_;
    return left < gso_size_ ? left : gso_size_;
  }
  bool parse_network(const char* frame, uint32_t bytes, uint8_t protocol);
  void take_headers(const char* frame);
  bool start_fragments(const char* frame, uint32_t bytes);
  uint16_t transport_sum(const char* transport, uint32_t header_bytes, const char* payload,
                         uint32_t bytes) const;
  void write_network(uint32_t transport_bytes);
  void write_transport(const char* payload, uint32_t bytes);
  Segment next_fragment();

  const char* payload_ = nullptr;
  uint32_t payload_bytes_ = 0;
  uint32_t offset_ = 0;  // of the next segment in the payload
  uint32_t index_ = 0;   // of the next segment
  uint32_t gso_size_ = 1;
  uint32_t network_ = 0;  // offsets in header_
  uint32_t transport_ = 0;
  uint32_t header_bytes_ = 0;
  uint32_t jumbo_ = 0;  // bytes of an IPv6 header that tells of more than 64 KB: segments have none
  // Of IPv6: where its fragment header goes, and the byte that says what follows there.
  uint32_t boundary_ = 0, next_header_ = 0;
  uint32_t lead_ = 0;  // bytes of the payload that are in header_, behind it: the first fragment's
  bool ipv4_ = false, tcp_ = false, fragments_ = false;
  uint16_t first_id_ = 0;
  uint32_t first_sequence_ = 0;
  uint8_t tcp_flags_ = 0;
  char header_[kMaxHeader];
};

}  // namespace vale
