// SPDX-License-Identifier: BSD-2-Clause
#include "offload/segment.h"

#include <arpa/inet.h>
#include <time.h>

#include <cstring>

#include "offload/checksum.h"
#include "offload/vnet_header.h"

namespace vale {
namespace {

constexpr uint8_t kTcp = 6, kUdp = 17;
constexpr uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kOptions = 60;  // of IPv6
constexpr uint32_t kFragmentHeader = 8;
constexpr uint32_t kIpv6Header = 40;
// RFC 2675: a hop-by-hop header of this option alone, which BIG TCP puts first.
constexpr uint32_t kJumboHeader = 8;
constexpr uint8_t kJumboOption = 0xc2, kJumboBytes = 4;
constexpr uint32_t kMaxPacket = 65535;  // bytes that an IP header can tell of
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

// What stands behind an IPv6 header of a packet beyond 64 KB, whose own length field says 0.
bool is_jumbo(const char* header, uint32_t bytes) {
  return bytes >= kIpv6Header + kJumboHeader && u16_at(header, 4) == 0 &&
         byte_at(header, 6) == kHopByHop && byte_at(header, kIpv6Header + 1) == 0 &&
         byte_at(header, kIpv6Header + 2) == kJumboOption &&
         byte_at(header, kIpv6Header + 3) == kJumboBytes;
}

bool is_vlan(uint16_t type) { return type == 0x8100 || type == 0x88a8; }

// Of the fragments of one IPv6 datagram; comes again after four minutes, when the last one is put
// together or forgotten (RFC 8200, section 4.5).
uint32_t datagram_id() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint32_t>(
      (static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec)) / 64);
}

}  // namespace

// Finds where the transport header starts and checks that it is the protocol promised.
bool Segmenter::parse_network(const char* frame, uint32_t bytes, uint8_t protocol) {
  uint32_t at = 12;
  while (at + 2 <= bytes && is_vlan(u16_at(frame, at))) at += 4;
  if (at + 2 > bytes) return false;
  const uint16_t type = u16_at(frame, at);
  network_ = at + 2;
  jumbo_ = 0;

  if (type == 0x0800) {
    if (network_ + 20 > bytes) return false;
    const uint8_t version_ihl = byte_at(frame, network_);
    const uint32_t header = (version_ihl & 15u) * 4;
    if (version_ihl >> 4 != 4 || header < 20) return false;
    if (byte_at(frame, network_ + 9) != protocol) return false;
    if ((u16_at(frame, network_ + 6) & 0x3fff) != 0) return false;  // already an IP fragment
    transport_ = boundary_ = network_ + header;
    ipv4_ = true;
    return true;
  }
  if (type != 0x86dd || network_ + kIpv6Header > bytes || byte_at(frame, network_) >> 4 != 6)
    return false;
  ipv4_ = false;
  if (is_jumbo(frame + network_, bytes - network_)) jumbo_ = kJumboHeader;
  next_header_ = network_ + 6;
  uint8_t next = byte_at(frame, next_header_);
  uint32_t offset = network_ + kIpv6Header;
  boundary_ = offset;
  while (next != protocol) {
    const bool skippable = next == kHopByHop || next == kRouting || next == kOptions;
    if (!skippable || offset + 8 > bytes) return false;
    const uint32_t here = offset;
    offset += (byte_at(frame, here + 1) + 1u) * 8;
    if (next != kOptions) {  // each router reads it: it stands in every fragment
      next_header_ = here;
      boundary_ = offset;
    }
    next = byte_at(frame, here);
  }
  transport_ = offset;
  return true;
}

bool Segmenter::knows(uint8_t gso_type) {
  switch (gso_type & ~kGsoEcn) {
    case kGsoTcp4:
    case kGsoTcp6:
    case kGsoUdpFragments:
    case kGsoUdpSegments:
      return true;
    default:
      return false;
  }
}

bool Segmenter::start(const char* frame, uint32_t bytes, uint8_t gso_type, uint16_t gso_size) {
  reset();
  const uint8_t kind = static_cast<uint8_t>(gso_type & ~kGsoEcn);
  tcp_ = kind == kGsoTcp4 || kind == kGsoTcp6;
  fragments_ = kind == kGsoUdpFragments;
  if (!knows(gso_type) || gso_size == 0) return false;
  if (!parse_network(frame, bytes, tcp_ ? kTcp : kUdp)) return false;
  if (tcp_ && ipv4_ != (kind == kGsoTcp4)) return false;
  gso_size_ = gso_size;
  if (fragments_) return start_fragments(frame, bytes);

  uint32_t transport_bytes = 8;
  if (tcp_) {
    if (transport_ + 20 > bytes) return false;
    transport_bytes = (byte_at(frame, transport_ + 12) >> 4) * 4u;
    if (transport_bytes < 20) return false;
  }
  header_bytes_ = transport_ + transport_bytes;
  if (header_bytes_ > kMaxHeader || header_bytes_ >= bytes) return false;
  const uint32_t left = bytes - header_bytes_;
  if (header_bytes_ - network_ + (left < gso_size_ ? left : gso_size_) > kMaxPacket) return false;

  payload_ = frame + header_bytes_;
  payload_bytes_ = left;
  take_headers(frame);
  index_ = 0;
  if (ipv4_) first_id_ = u16_at(header_, network_ + 4);
  if (tcp_) {
    first_sequence_ = u32_at(header_, transport_ + 4);
    tcp_flags_ = byte_at(header_, transport_ + 13);
  }
  return true;
}

// All before the payload, as it stands before that of each segment.
void Segmenter::take_headers(const char* frame) {
  if (jumbo_ == 0) {
    std::memcpy(header_, frame, header_bytes_);
    return;
  }
  const uint32_t front = network_ + kIpv6Header, next = front + jumbo_;
  std::memcpy(header_, frame, front);
  std::memcpy(header_ + front, frame + next, header_bytes_ - next);
  header_[network_ + 6] = frame[front];
  transport_ -= jumbo_;
  header_bytes_ -= jumbo_;
}

// One datagram: its checksum is made over the whole of it, then it is cut as IP does.
bool Segmenter::start_fragments(const char* frame, uint32_t bytes) {
  if (transport_ + 8 > bytes || bytes - boundary_ > kMaxPacket || jumbo_ != 0) return false;
  lead_ = transport_ + 8 - boundary_;
  header_bytes_ = boundary_ + (ipv4_ ? 0 : kFragmentHeader);
  gso_size_ &= ~7u;
  if (header_bytes_ + lead_ > kMaxHeader || gso_size_ < lead_) return false;
  if (header_bytes_ - network_ + gso_size_ > kMaxPacket) return false;

  std::memcpy(header_, frame, boundary_);
  std::memcpy(header_ + header_bytes_, frame + boundary_, lead_);
  payload_ = frame + boundary_;
  payload_bytes_ = bytes - boundary_;
  if (!ipv4_) {
    char* fragment = header_ + boundary_;
    fragment[0] = header_[next_header_];
    fragment[1] = 0;
    put_u32(fragment, 4, datagram_id());
    header_[next_header_] = kFragment;
  }
  char* udp = header_ + header_bytes_ + lead_ - 8;
  put_u16(udp, 4, static_cast<uint16_t>(bytes - transport_));
  put_u16(udp, 6, 0);
  const uint16_t sum = transport_sum(udp, 8, frame + transport_ + 8, bytes - transport_ - 8);
  std::memcpy(udp + 6, &sum, 2);
  return true;
}

Segment Segmenter::next_fragment() {
  const uint32_t bytes = piece(), lead = offset_ == 0 ? lead_ : 0;
  const bool more = offset_ + bytes < payload_bytes_;
  if (ipv4_) {
    put_u16(header_, network_ + 6, static_cast<uint16_t>(offset_ / 8 | (more ? 0x2000 : 0)));
    first_id_ = u16_at(header_, network_ + 4);
    index_ = 0;  // all fragments of a datagram carry its identification
    write_network(bytes);
  } else {
    put_u16(header_, boundary_ + 2, static_cast<uint16_t>(offset_ | (more ? 1 : 0)));
    put_u16(header_, network_ + 4,
            static_cast<uint16_t>(header_bytes_ - network_ - kIpv6Header + bytes));
  }
  const char* payload = payload_ + offset_ + lead;
  offset_ += bytes;
  return {header_, header_bytes_ + lead, payload, bytes - lead};
}

void Segmenter::write_network(uint32_t transport_bytes) {
  if (!ipv4_) {
    put_u16(header_, network_ + 4,
            static_cast<uint16_t>(transport_ - network_ - kIpv6Header + transport_bytes));
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
  const uint16_t sum =
      transport_sum(header_ + transport_, header_bytes_ - transport_, payload, bytes);
  std::memcpy(header_ + field, &sum, 2);
}

// The checksum, as stored, of a transport header whose own field is zero; the addresses of the pseudo
// header are in header_.
uint16_t Segmenter::transport_sum(const char* transport, uint32_t header_bytes, const char* payload,
                                  uint32_t bytes) const {
  const uint32_t addresses = ipv4_ ? network_ + 12 : network_ + 8;
  uint64_t sum = checksum_sum(header_ + addresses, ipv4_ ? 8 : 32);
  sum += htonl(header_bytes + bytes);
  sum += htonl(tcp_ ? kTcp : kUdp);
  sum = checksum_sum(transport, header_bytes, sum);
  sum = checksum_sum(payload, bytes, sum);
  const uint16_t value = static_cast<uint16_t>(~checksum_fold(sum));
  return value == 0 ? 0xffff : value;  // in UDP 0 means "none"; elsewhere both are the same number
}

Segment Segmenter::next() {
  if (fragments_) return next_fragment();
  const uint32_t bytes = piece();
  const char* payload = payload_ + offset_;
  write_network(header_bytes_ - transport_ + bytes);
  write_transport(payload, bytes);
  offset_ += bytes;
  index_++;
  return {header_, header_bytes_, payload, bytes};
}

}  // namespace vale
