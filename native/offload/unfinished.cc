// SPDX-License-Identifier: BSD-2-Clause
#include "offload/unfinished.h"

#include <algorithm>
#include <cstring>

#include "offload/checksum.h"

namespace vale {
namespace {

constexpr uint8_t kTcp = 6, kUdp = 17;
constexpr uint8_t kHopByHop = 0, kOptions = 60;  // of IPv6
constexpr uint32_t kTcpField = 16, kUdpField = 6;

struct Transport {
  uint32_t at, bytes;  // in the frame
  uint8_t protocol;
  uint64_t addresses;  // their sum
};

class Headers {
 public:
  Headers(const char* data, uint32_t bytes) : data_(data), bytes_(bytes) {}

  bool holds(uint32_t at, uint32_t bytes) const { return at <= bytes_ && bytes <= bytes_ - at; }
  uint8_t u8(uint32_t at) const { return static_cast<uint8_t>(data_[at]); }
  uint32_t u16(uint32_t at) const { return static_cast<uint32_t>(u8(at) << 8 | u8(at + 1)); }
  uint64_t sum(uint32_t at, uint32_t bytes) const { return checksum_sum(data_ + at, bytes); }

 private:
  const char* data_;
  uint32_t bytes_;
};

bool find_ipv4(const Headers& frame, uint32_t ip, Transport* out) {
  if (!frame.holds(ip, 20)) return false;
  const uint32_t header = (frame.u8(ip) & 15u) * 4, total = frame.u16(ip + 2);
  if (frame.u8(ip) >> 4 != 4 || header < 20 || total < header) return false;
  if ((frame.u16(ip + 6) & 0x3fff) != 0) return false;  // a fragment: finished before it was cut
  *out = {ip + header, total - header, frame.u8(ip + 9), frame.sum(ip + 12, 8)};
  return true;
}

bool find_ipv6(const Headers& frame, uint32_t ip, Transport* out) {
  if (!frame.holds(ip, 40) || frame.u8(ip) >> 4 != 6) return false;
  const uint32_t end = ip + 40 + frame.u16(ip + 4);
  uint8_t next = frame.u8(ip + 6);
  uint32_t at = ip + 40;
  while (next == kHopByHop || next == kOptions) {
    if (!frame.holds(at, 8)) return false;
    next = frame.u8(at);
    at += (frame.u8(at + 1) + 1u) * 8;
  }
  if (at > end) return false;
  *out = {at, end - at, next, frame.sum(ip + 8, 32)};
  return true;
}

bool find_transport(const Headers& frame, Transport* out) {
  uint32_t at = 12;
  for (; frame.holds(at, 2); at += 4) {
    const uint32_t type = frame.u16(at);
    if (type == 0x0800) return find_ipv4(frame, at + 2, out);
    if (type == 0x86dd) return find_ipv6(frame, at + 2, out);
    if (type != 0x8100 && type != 0x88a8) return false;
  }
  return false;
}

}  // namespace

bool finish_checksum(const FramePiece* pieces, uint32_t count) {
  const Headers frame(pieces[0].data, pieces[0].bytes);
  Transport transport;
  if (!find_transport(frame, &transport)) return false;
  if (transport.protocol != kTcp && transport.protocol != kUdp) return false;
  const uint32_t offset = transport.protocol == kTcp ? kTcpField : kUdpField;
  if (transport.bytes < offset + 2 || !frame.holds(transport.at, offset + 2)) return false;

  const uint8_t rest[4] = {0, transport.protocol, static_cast<uint8_t>(transport.bytes >> 8),
                           static_cast<uint8_t>(transport.bytes)};
  const uint16_t half_made = checksum_fold(checksum_sum(rest, sizeof rest, transport.addresses));
  char* const field = pieces[0].data + transport.at + offset;
  if (std::memcmp(field, &half_made, sizeof half_made) != 0 || half_made == 0) return false;

  uint64_t sum = 0;
  uint32_t left = transport.bytes, from = transport.at;
  for (uint32_t i = 0; i < count && left != 0; i++, from = 0) {
    const uint32_t part = std::min(left, pieces[i].bytes - from);
    if (part % 2 != 0 && part != left) return false;
    sum = checksum_sum(pieces[i].data + from, part, sum);
    left -= part;
  }
  if (left != 0) return false;
  uint16_t whole = static_cast<uint16_t>(~checksum_fold(sum));
  if (whole == 0) whole = 0xffff;  // in UDP 0 means "none"; elsewhere both are the same number
  std::memcpy(field, &whole, sizeof whole);
  return true;
}

}  // namespace vale
