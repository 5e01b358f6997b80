// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A capture file is, in this order (draft-ietf-opsawg-pcapng):
//   1. pcapng_begin(): what wrote it, and the one interface.
//   2. A packet block for each frame, built in place: the frame's bytes at kPacketData, the rest by
//      pcapng_packet().
//   3. pcapng_end(): what the interface counted.
//
// Owns. Nothing.
// Invariants. Byte order is the machine's. Times are ns since 1970. Every block's length is a multiple
//   of 4, and is at bytes 4 to 7 of it.
// Not here. Reading (pcap.h), files (capture_writer.h).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace vale {

struct CapturedInterface {
  std::string name;         // "vale0:a/rt"
  std::string description;  // may be empty, as all below
  std::string filter;       // as typed
  std::string application, os, hardware;
  uint32_t snaplen = 262144;  // bytes
};

// received = dropped by the filter + delivered + dropped_here; what the port dropped was not received.
struct CaptureStatistics {
  uint64_t start = 0, end = 0;   // ns since 1970
  uint64_t received = 0;         // frames the capture got from the port
  uint64_t dropped_by_port = 0;  // the capture was too slow for the port's rings
  uint64_t passed = 0;           // the filter
  uint64_t dropped_here = 0;     // what writes was too slow, and memory ran out
  uint64_t delivered = 0;        // written, to this file and those before
};

enum class Direction : uint32_t { unknown = 0, in = 1, out = 2 };

constexpr uint32_t kPacketBlock = 6;
constexpr uint32_t kPacketData = 28;
// Trailer: the option that says in which direction it went, the end of options, the length.
constexpr uint32_t kPacketTrailer = 8 + 4 + 4;

inline uint32_t padded(uint32_t bytes) { return (bytes + 3) & ~3u; }
// Of the whole block with that much of a frame in it.
inline uint32_t pcapng_packet_size(uint32_t captured) {
  return kPacketData + padded(captured) + kPacketTrailer;
}

// All of a packet block but the frame's bytes themselves.
inline void pcapng_packet(uint8_t* block, uint64_t time, uint32_t captured, uint32_t length,
                          Direction direction) {
  const uint32_t total = pcapng_packet_size(captured);
  const uint32_t head[7] = {
      kPacketBlock, total,  0, static_cast<uint32_t>(time >> 32), static_cast<uint32_t>(time),
      captured,     length,
  };
  std::memcpy(block, head, sizeof head);
  const uint32_t zero = 0;
  std::memcpy(block + kPacketData + captured, &zero, padded(captured) - captured);
  // epb_flags is option 2 of 4 bytes; then opt_endofopt.
  const uint32_t tail[4] = {0, static_cast<uint32_t>(direction), 0, total};
  const uint16_t option[2] = {2, 4};
  uint8_t* at = block + kPacketData + padded(captured);
  std::memcpy(at, tail, sizeof tail);
  std::memcpy(at, option, sizeof option);
}

// Of a block: its bytes, and of a packet's its time.
inline uint32_t block_size(const uint8_t* block) {
  uint32_t size;
  std::memcpy(&size, block + 4, sizeof size);
  return size;
}
inline uint64_t packet_time(const uint8_t* block) {
  uint32_t high, low;
  std::memcpy(&high, block + 12, sizeof high);
  std::memcpy(&low, block + 16, sizeof low);
  return static_cast<uint64_t>(high) << 32 | low;
}

std::string pcapng_begin(const CapturedInterface& interface);
std::string pcapng_end(const CaptureStatistics& statistics);

}  // namespace vale
