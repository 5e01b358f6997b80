// SPDX-License-Identifier: BSD-2-Clause
#include "engine/frame.h"

#include <algorithm>
#include <cstring>

namespace vale {
namespace {

constexpr uint32_t kIpv4Bytes = 20, kIpv6Bytes = 40, kUdpBytes = 8;
constexpr uint32_t kUdp = 17;
constexpr uint8_t kHopLimit = 64;
constexpr uint8_t kLowDelay = 0x10;

// The text of the reference's payload: receivers and captures are recognised by it.
constexpr char kDirectText[] =
    "netmap pkt-gen DIRECT payload\nhttp://info.iet.unipi.it/~luigi/netmap/ ";
constexpr char kIndirectText[] =
    "netmap pkt-gen indirect payload\nhttp://info.iet.unipi.it/~luigi/netmap/ ";

void put16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

uint32_t get16(const uint8_t* at) { return static_cast<uint32_t>(at[0]) << 8 | at[1]; }

uint32_t fold(uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}

// RFC 1624: what replacing words adds to a sum.
uint32_t difference(const uint8_t* before, const uint8_t* after, uint32_t bytes) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < bytes; i += 2) sum += (~get16(before + i) & 0xffff) + get16(after + i);
  return fold(sum);
}

uint32_t difference(uint32_t before, uint32_t after) { return fold((~before & 0xffff) + after); }

}  // namespace

uint32_t checksum_add(uint32_t sum, const uint8_t* data, size_t bytes) {
  uint64_t total = sum;
  for (; bytes > 1; data += 2, bytes -= 2) total += get16(data);
  if (bytes == 1) total += static_cast<uint32_t>(data[0]) << 8;
  while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
  return static_cast<uint32_t>(total);
}

uint16_t checksum_fold(uint32_t sum) { return static_cast<uint16_t>(~fold(sum)); }

Frame::Frame(const PktGenConfig& config, uint64_t seed)
    : headroom_(config.header_length),
      ipv6_(config.family == 6),
      random_source_(config.random_source),
      random_destination_(config.random_destination),
      payload_(kEthernetBytes + (ipv6_ ? kIpv6Bytes : kIpv4Bytes) + kUdpBytes),
      size_(config.size),
      whole_(std::max(size_, payload_)),
      random_(seed) {
  // Headers are built whole even if the frame ends before them.
  bytes_.resize(headroom_ + std::max(config.size, payload_ + kPayloadFields));
  uint8_t* text = frame() + payload_;
  const uint32_t room = max_size() - payload_;
  const char* words = config.indirect ? kIndirectText : kDirectText;
  const uint32_t length = static_cast<uint32_t>(std::strlen(words));
  for (uint32_t i = 0; i < room; i++) text[i] = static_cast<uint8_t>(words[i % length]);

  text_sums_.reserve(room / 2 + 1);
  uint32_t sum = 0;
  text_sums_.push_back(0);
  for (uint32_t i = 0; i + 1 < room; i += 2) {
    sum = fold(sum + get16(text + i));
    text_sums_.push_back(static_cast<uint16_t>(sum));
  }
  build_headers(config);
  if (random_source_ || random_destination_) advance();
}

void Frame::build_headers(const PktGenConfig& config) {
  uint8_t* f = frame();
  std::memcpy(f, config.destination_mac.start.data(), 6);
  std::memcpy(f + 6, config.source_mac.start.data(), 6);
  put16(f + 12, ipv6_ ? 0x86dd : 0x0800);

  const uint32_t address = ipv6_ ? 16 : 4;
  const uint32_t source = kEthernetBytes + (ipv6_ ? 8 : 12);
  const uint32_t udp = payload_ - kUdpBytes;
  uint8_t* ip = f + kEthernetBytes;
  if (ipv6_) {
    ip[0] = 0x60;
    put16(ip + 4, whole_ - udp);
    ip[6] = kUdp;
    ip[7] = kHopLimit;
  } else {
    ip[0] = 0x45;
    ip[1] = kLowDelay;
    put16(ip + 2, whole_ - kEthernetBytes);
    put16(ip + 6, 0x4000);  // don't fragment
    ip[8] = kHopLimit;
    ip[9] = kUdp;
  }
  std::memcpy(f + source, config.source.start.data(), address);
  std::memcpy(f + source + address, config.destination.start.data(), address);
  put16(f + udp, config.source.port_start);
  put16(f + udp + 2, config.destination.port_start);
  put16(f + udp + 4, whole_ - udp);

  if (!ipv6_) ip_sum_ = checksum_add(0, ip, kIpv4Bytes);
  // Pseudo-header, header (its checksum field is still zero), payload.
  udp_sum_ = checksum_add(kUdp + (whole_ - udp), f + source, 2 * address);
  udp_sum_ = checksum_add(udp_sum_, f + udp, kUdpBytes);
  udp_sum_ = fold(udp_sum_ + payload_sum(whole_ - payload_));
  store_checksums();

  uint8_t from[2], to[2];
  const auto port = [&](uint32_t offset, const AddressRange& range) {
    put16(from, range.port_start);
    put16(to, range.port_end);
    add_digit(offset, 2, from, to, false, true);
  };
  const auto addresses = [&](uint32_t offset, const AddressRange& range) {
    add_digit(offset, address, range.start.data(), range.end.data(), !ipv6_, true);
  };
  // The odometer's order is the reference's; MAC addresses, which it does not count, come last.
  if (!random_source_) {
    port(udp, config.source);
    addresses(source, config.source);
  }
  if (!random_destination_) {
    port(udp + 2, config.destination);
    addresses(source + address, config.destination);
  }
  add_digit(6, 6, config.source_mac.start.data(), config.source_mac.end.data(), false, false);
  add_digit(0, 6, config.destination_mac.start.data(), config.destination_mac.end.data(), false,
            false);
}

void Frame::add_digit(uint32_t offset, uint32_t bytes, const uint8_t* start, const uint8_t* end,
                      bool ip, bool udp) {
  if (std::memcmp(start, end, bytes) == 0) return;
  Digit digit{offset, bytes, ip, udp, 0, 0, 0};
  for (uint32_t i = 0; i < bytes; i++) {
    digit.start = digit.start << 8 | start[i];
    digit.end = digit.end << 8 | end[i];
  }
  digit.now = digit.start;
  digits_.push_back(digit);
}

void Frame::count(Digit& digit, Number value) {
  uint8_t* at = frame() + digit.offset + digit.bytes - 2;
  uint32_t change = 0;
  for (Number from = digit.now, to = value; from != to; from >>= 16, to >>= 16, at -= 2) {
    change += difference(static_cast<uint16_t>(from), static_cast<uint16_t>(to));
    put16(at, static_cast<uint16_t>(to));
  }
  if (digit.in_ip) ip_sum_ = fold(ip_sum_ + change);
  if (digit.in_udp) udp_sum_ = fold(udp_sum_ + change);
  digit.now = value;
}

void Frame::write(uint32_t offset, const uint8_t* value, uint32_t bytes, bool in_ip, bool in_udp) {
  uint8_t* at = frame() + offset;
  const uint32_t change = difference(at, value, bytes);
  if (in_ip) ip_sum_ = fold(ip_sum_ + change);
  if (in_udp) udp_sum_ = fold(udp_sum_ + change);
  std::memcpy(at, value, bytes);
}

void Frame::randomise(uint32_t address, uint32_t port) {
  // IPv6 keeps its network: the interface identifier is what differs between hosts.
  const uint32_t bytes = ipv6_ ? 8 : 4;
  const uint32_t offset = ipv6_ ? address + 8 : address;
  uint8_t value[8];
  const uint64_t identifier = random_.next();
  std::memcpy(value, &identifier, 8);
  write(offset, value, bytes, !ipv6_, true);
  put16(value, static_cast<uint32_t>(random_.next() >> 48));
  write(port, value, 2, false, true);
}

void Frame::advance() {
  const uint32_t source = kEthernetBytes + (ipv6_ ? 8 : 12);
  const uint32_t udp = payload_ - kUdpBytes;
  if (random_source_) randomise(source, udp);
  if (random_destination_) randomise(source + (ipv6_ ? 16 : 4), udp + 2);
  for (Digit& digit : digits_) {
    const bool carry = digit.now == digit.end;
    count(digit, carry ? digit.start : digit.now + 1);
    if (!carry) break;
  }
  store_checksums();
}

void Frame::resize(uint32_t bytes) {
  const uint32_t whole = std::max(bytes, payload_);
  size_ = bytes;
  if (whole == whole_) return;
  uint8_t* f = frame();
  const uint32_t udp = payload_ - kUdpBytes;
  const uint32_t change = difference(whole_ - udp, whole - udp);
  if (ipv6_) {
    put16(f + kEthernetBytes + 4, whole - udp);
  } else {
    put16(f + kEthernetBytes + 2, whole - kEthernetBytes);
    ip_sum_ = fold(ip_sum_ + difference(whole_ - kEthernetBytes, whole - kEthernetBytes));
  }
  put16(f + udp + 4, whole - udp);
  // The length counts twice, in the header and in the pseudo-header.
  udp_sum_ = fold(udp_sum_ + 2 * change);
  udp_sum_ =
      fold(udp_sum_ + difference(payload_sum(whole_ - payload_), payload_sum(whole - payload_)));
  whole_ = whole;
  store_checksums();
}

void Frame::set_payload(uint32_t offset, const void* data, uint32_t n) {
  uint8_t* at = frame() + payload_ + offset;
  const uint32_t change = difference(at, static_cast<const uint8_t*>(data), n);
  fields_sum_ = fold(fields_sum_ + change);
  udp_sum_ = fold(udp_sum_ + change);
  std::memcpy(at, data, n);
  store_checksums();
}

// Of the first `bytes` of the payload as it is now; frames shorter than the fields are not resized.
uint32_t Frame::payload_sum(uint32_t bytes) const {
  uint32_t sum = text_sums_[bytes / 2] + fields_sum_;
  if (bytes % 2 == 1) sum += static_cast<uint32_t>(data()[payload_ + bytes - 1]) << 8;
  return fold(sum);
}

void Frame::store_checksums() {
  uint8_t* f = frame();
  if (!ipv6_) put16(f + kEthernetBytes + 10, checksum_fold(ip_sum_));
  const uint16_t udp = checksum_fold(udp_sum_);
  put16(f + payload_ - 2, udp == 0 ? 0xffff : udp);  // zero would mean "none"
}

}  // namespace vale
