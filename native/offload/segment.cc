// SPDX-License-Identifier: BSD-2-Clause
#include "offload/segment.h"

#include <arpa/inet.h>

#include <cstring>

#include "offload/checksum.h"
#include "offload/vnet_header.h"

namespace vale {
namespace {

constexpr uint8_t kTcp = 6, kUdp = 17;
constexpr uint8_t kFin = 0x01, kPsh = 0x08, kCwr = 0x80;

uint8_t byte_at(const char* p, uint32_t at) { return static_cast<uint8_t>(p[at]); }

uint16_t u16_at(const char* p, uint32_t at) {
  uint16_t v;
  std::memcpy(&v, p + at, 2);
  return ntohs(v);
}

uint32_t u32_at(const char* p, uint32_t at) {
  uint32_t v;
  std::memcpy(&v, p + at, 4);
  return ntohl(v);
}

void put_u16(char* p, uint32_t at, uint16_t host) {
  const uint16_t v = htons(host);
  std::memcpy(p + at, &v, 2);
}

void put_u32(char* p, uint32_t at, uint32_t host) {
  const uint32_t v = htonl(host);
  std::memcpy(p + at, &v, 4);
}

bool is_vlan(uint16_t type) { return type == 0x8100 || type == 0x88a8; }

}  // namespace

// Finds where the transport header starts and checks that it is the protocol promised.
bool Segmenter::parse_network(const char* frame, uint32_t bytes, uint8_t protocol) {
  uint32_t at = 12;
  while (at + 2 <= bytes && is_vlan(u16_at(frame, at))) at += 4;
  if (at + 2 > bytes) return false;
  const uint16_t type = u16_at(frame, at);
  network_ = at + 2;

  if (type == 0x0800) {
    if (network_ + 20 > bytes) return false;
    const uint8_t version_ihl = byte_at(frame, network_);
    const uint32_t header = (version_ihl & 15u) * 4;
    if (version_ihl >> 4 != 4 || header < 20) return false;
    if (byte_at(frame, network_ + 9) != protocol) return false;
    if ((u16_at(frame, network_ + 6) & 0x3fff) != 0) return false;  // already an IP fragment
    transport_ = network_ + header;
    ipv4_ = true;
    return true;
  }
  if (type != 0x86dd || network_ + 40 > bytes || byte_at(frame, network_) >> 4 != 6) return false;
  ipv4_ = false;
  uint8_t next = byte_at(frame, network_ + 6);
  uint32_t offset = network_ + 40;
  while (next != protocol) {
    const bool skippable = next == 0 || next == 43 || next == 60;  // hop-by-hop, routing, options
    if (!skippable || offset + 8 > bytes) return false;
    next = byte_at(frame, offset);
    offset += (byte_at(frame, offset + 1) + 1u) * 8;
  }
  transport_ = offset;
  return true;
}

bool Segmenter::start(const char* frame, uint32_t bytes, uint8_t gso_type, uint16_t gso_size) {
  reset();
  const uint8_t kind = static_cast<uint8_t>(gso_type & ~kGsoEcn);
  tcp_ = kind == kGsoTcp4 || kind == kGsoTcp6;
  if ((!tcp_ && kind != kGsoUdpSegments) || gso_size == 0) return false;
  if (!parse_network(frame, bytes, tcp_ ? kTcp : kUdp)) return false;
  if (tcp_ && ipv4_ != (kind == kGsoTcp4)) return false;

  uint32_t transport_bytes = 8;
  if (tcp_) {
    if (transport_ + 20 > bytes) return false;
    transport_bytes = (byte_at(frame, transport_ + 12) >> 4) * 4u;
    if (transport_bytes < 20) return false;
  }
  header_bytes_ = transport_ + transport_bytes;
  if (header_bytes_ > kMaxHeader || header_bytes_ >= bytes) return false;

  std::memcpy(header_, frame, header_bytes_);
  payload_ = frame + header_bytes_;
  payload_bytes_ = bytes - header_bytes_;
  gso_size_ = gso_size;
  index_ = 0;
  if (ipv4_) first_id_ = u16_at(header_, network_ + 4);
  if (tcp_) {
    first_sequence_ = u32_at(header_, transport_ + 4);
    tcp_flags_ = byte_at(header_, transport_ + 13);
  }
  return true;
}

void Segmenter::write_network(uint32_t transport_bytes) {
  if (!ipv4_) {
    put_u16(header_, network_ + 4,
            static_cast<uint16_t>(transport_ - network_ - 40 + transport_bytes));
    return;
  }
  put_u16(header_, network_ + 2, static_cast<uint16_t>(transport_ - network_ + transport_bytes));
  put_u16(header_, network_ + 4, static_cast<uint16_t>(first_id_ + index_));
  put_u16(header_, network_ + 10, 0);
  const uint16_t sum = static_cast<uint16_t>(
      ~checksum_fold(checksum_sum(header_ + network_, transport_ - network_)));
  std::memcpy(header_ + network_ + 10, &sum, 2);
}

void Segmenter::write_transport(const char* payload, uint32_t bytes) {
  const uint32_t total = header_bytes_ - transport_ + bytes;
  const uint32_t field = transport_ + (tcp_ ? 16 : 6);
  if (tcp_) {
    put_u32(header_, transport_ + 4, first_sequence_ + offset_);
    uint8_t flags = tcp_flags_;
    if (offset_ + bytes < payload_bytes_) flags &= static_cast<uint8_t>(~(kFin | kPsh));
    if (index_ != 0) flags &= static_cast<uint8_t>(~kCwr);
    header_[transport_ + 13] = static_cast<char>(flags);
  } else {
    put_u16(header_, transport_ + 4, static_cast<uint16_t>(total));
  }
  put_u16(header_, field, 0);

  const uint32_t addresses = ipv4_ ? network_ + 12 : network_ + 8;
  uint64_t sum = checksum_sum(header_ + addresses, ipv4_ ? 8 : 32);
  sum += htonl(total);
  sum += htonl(tcp_ ? kTcp : kUdp);
  sum = checksum_sum(header_ + transport_, header_bytes_ - transport_, sum);
  sum = checksum_sum(payload, bytes, sum);
  uint16_t value = static_cast<uint16_t>(~checksum_fold(sum));
  if (value == 0) value = 0xffff;
  std::memcpy(header_ + field, &value, 2);
}

Segment Segmenter::next() {
  const uint32_t bytes = piece();
  const char* payload = payload_ + offset_;
  write_network(header_bytes_ - transport_ + bytes);
  write_transport(payload, bytes);
  offset_ += bytes;
  index_++;
  return {header_, header_bytes_, payload, bytes};
}

}  // namespace vale
