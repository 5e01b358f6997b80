// SPDX-License-Identifier: BSD-2-Clause
#include "engine/frame.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/tx_ring.h"
#include "offload/checksum.h"

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

// In network order.
uint16_t swapped(uint32_t word) {
  const auto w = static_cast<uint16_t>(word);
  return std::endian::native == std::endian::little ? __builtin_bswap16(w) : w;
}

uint32_t get16(const uint8_t* at) {
  uint16_t word;
  std::memcpy(&word, at, sizeof word);
  return swapped(word);
}

uint64_t load(const uint8_t* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Where in its word of the grid the two bytes at an offset are.
unsigned shift_of(uint32_t offset) {
  const unsigned first = offset % Frame::kGrid * 8;
  return std::endian::native == std::endian::little ? first : 48 - first;
}

// RFC 1071, as numbers: the sum of what stands there.
uint32_t sum_at(const uint8_t* data, size_t bytes) {
  return swapped(checksum_fold(checksum_sum(data, bytes)));
}

// RFC 1624: what replacing a word adds to a sum.
uint32_t difference(uint32_t before, uint32_t after) { return (~before & 0xffff) + after; }

// The sum of the four words in one of the processor's order; to be swapped once folded (RFC 1071, 2 (B)).
uint32_t sum_of(uint64_t four) {
  constexpr uint64_t kEven = 0x0000ffff0000ffff;
  const uint64_t two = (four & kEven) + (four >> 16 & kEven);
  return static_cast<uint32_t>(two) + static_cast<uint32_t>(two >> 32);
}

}  // namespace

Frame::Frame(const PktGenConfig& config, uint64_t seed)
    : headroom_(config.header_length),
      ipv6_(config.family == 6),
      mac_varies_(config.source_mac.start != config.source_mac.end ||
                  config.destination_mac.start != config.destination_mac.end),
      payload_(kEthernetBytes + (ipv6_ ? kIpv6Bytes : kIpv4Bytes) + kUdpBytes),
      size_(config.size),
      max_size_(std::max(size_, payload_ + kPayloadFields)),
      whole_(std::max(size_, payload_)),
      random_(seed) {
  // Headers are built whole even if the frame ends before them.
  bytes_.resize(headroom_ + max_size_ + kCopyUnit);
  uint8_t* text = frame() + payload_;
  const uint32_t room = max_size() - payload_;
  const char* words = config.indirect ? kIndirectText : kDirectText;
  const uint32_t length = static_cast<uint32_t>(std::strlen(words));
  for (uint32_t i = 0; i < room; i++) text[i] = static_cast<uint8_t>(words[i % length]);

  text_sums_.reserve(room / 2 + 1);
  uint32_t sum = 0;
  text_sums_.push_back(0);
  for (uint32_t i = 0; i + 1 < room; i += 2) {
    sum = checksum_fold(sum + get16(text + i));
    text_sums_.push_back(static_cast<uint16_t>(sum));
  }
  build_headers(config);
  if (!random_words_.empty()) advance();
}

void Frame::build_headers(const PktGenConfig& config) {
  uint8_t* f = frame();
  std::memcpy(f, config.destination_mac.start.data(), 6);
  std::memcpy(f + 6, config.source_mac.start.data(), 6);
  put16(12, ipv6_ ? 0x86dd : 0x0800);

  const uint32_t address = ipv6_ ? 16 : 4;
  const uint32_t source = kEthernetBytes + (ipv6_ ? 8 : 12);
  const uint32_t udp = payload_ - kUdpBytes;
  uint8_t* ip = f + kEthernetBytes;
  if (ipv6_) {
    ip[0] = 0x60;
    put16(kEthernetBytes + 4, whole_ - udp);
    ip[6] = kUdp;
    ip[7] = kHopLimit;
  } else {
    ip[0] = 0x45;
    ip[1] = kLowDelay;
    put16(kEthernetBytes + 2, whole_ - kEthernetBytes);
    put16(kEthernetBytes + 6, 0x4000);  // don't fragment
    ip[8] = kHopLimit;
    ip[9] = kUdp;
  }
  std::memcpy(f + source, config.source.start.data(), address);
  std::memcpy(f + source + address, config.destination.start.data(), address);
  put16(udp, config.source.port_start);
  put16(udp + 2, config.destination.port_start);
  put16(udp + 4, whole_ - udp);

  if (!ipv6_) ip_sum_ = sum_at(ip, kIpv4Bytes);
  // Pseudo-header, header (its checksum field is still zero), payload.
  udp_sum_ = kUdp + (whole_ - udp) + sum_at(f + source, 2 * address) + sum_at(f + udp, kUdpBytes) +
             payload_sum(whole_ - payload_);
  store_checksums(0xffff, 0);  // as much as 0, but it is written

  const auto port = [&](uint32_t offset, const AddressRange& range) {
    const uint16_t from = swapped(range.port_start), to = swapped(range.port_end);
    add_digit(offset, 2, reinterpret_cast<const uint8_t*>(&from),
              reinterpret_cast<const uint8_t*>(&to), false, true);
  };
  const auto addresses = [&](uint32_t offset, const AddressRange& range) {
    add_digit(offset, address, range.start.data(), range.end.data(), !ipv6_, true);
  };
  // The odometer's order is the reference's; MAC addresses, which it does not count, come last.
  if (config.random_source) {
    add_random(source, udp);
  } else {
    port(udp, config.source);
    addresses(source, config.source);
  }
  if (config.random_destination) {
    add_random(source + address, udp + 2);
  } else {
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

inline void Frame::put16(uint32_t offset, uint32_t value) {
  uint8_t* const at = frame() + offset / kGrid * kGrid;
  const unsigned shift = shift_of(offset);
  const uint64_t word =
      (load(at) & ~(uint64_t{0xffff} << shift)) | static_cast<uint64_t>(swapped(value)) << shift;
  std::memcpy(at, &word, sizeof word);
}

void Frame::count(Digit& digit, Number value, Sums* sums) {
  uint32_t at = digit.offset + digit.bytes - 2;
  uint32_t change = 0;
  for (Number from = digit.now, to = value; from != to; from >>= 16, to >>= 16, at -= 2) {
    change += difference(static_cast<uint16_t>(from), static_cast<uint16_t>(to));
    put16(at, static_cast<uint16_t>(to));
  }
  if (digit.in_ip) sums->ip += change;
  if (digit.in_udp) sums->udp += change;
  digit.now = value;
}

// Which bytes advance() makes random: an address and a port.
void Frame::add_random(uint32_t address, uint32_t port) {
  const auto add = [&](uint32_t offset, bool ip) {
    const uint32_t at = offset / kGrid * kGrid;
    const uint64_t mask = uint64_t{0xffff} << shift_of(offset);
    auto same = std::find_if(random_words_.begin(), random_words_.end(),
                             [&](const RandomWord& w) { return w.offset == at; });
    if (same == random_words_.end()) same = random_words_.insert(same, {at, 0, 0});
    same->mask |= mask;
    if (ip) same->ip_mask |= mask;
  };
  // IPv6 keeps its network: the interface identifier is what differs between hosts.
  const uint32_t first = ipv6_ ? address + 8 : address, bytes = ipv6_ ? 8 : 4;
  for (uint32_t i = 0; i < bytes; i += 2) add(first + i, !ipv6_);
  add(port, false);
}

void Frame::advance() {
  if (!has_ranges()) return;
  Sums sums{0, 0};
  for (const RandomWord& w : random_words_) {
    uint8_t* const at = frame() + w.offset;
    const uint64_t before = load(at), after = (before & ~w.mask) | (random_.next() & w.mask);
    std::memcpy(at, &after, sizeof after);
    sums.ip += sum_of(~before & w.ip_mask) + sum_of(after & w.ip_mask);
    sums.udp += sum_of(~before & w.mask) + sum_of(after & w.mask);
  }
  if (!random_words_.empty())
    sums = {swapped(checksum_fold(static_cast<uint32_t>(sums.ip))),
            swapped(checksum_fold(static_cast<uint32_t>(sums.udp)))};
  for (Digit& digit : digits_) {
    const uint16_t last = static_cast<uint16_t>(digit.now);
    if (digit.now != digit.end && last != 0xffff) [[likely]] {
      // One more in one word is one more in the sums.
      put16(digit.offset + digit.bytes - 2, last + 1u);
      digit.now++;
      sums.ip += digit.in_ip;
      sums.udp += digit.in_udp;
      break;
    }
    const bool carry = digit.now == digit.end;
    count(digit, carry ? digit.start : digit.now + 1, &sums);
    if (!carry) break;
  }
  store_checksums(static_cast<uint32_t>(sums.ip), static_cast<uint32_t>(sums.udp));
}

void Frame::resize(uint32_t bytes) {
  const uint32_t whole = std::max(bytes, payload_);
  size_ = bytes;
  if (whole == whole_) return;
  const uint32_t udp = payload_ - kUdpBytes;
  uint32_t ip_change = 0;
  if (ipv6_) {
    put16(kEthernetBytes + 4, whole - udp);
  } else {
    put16(kEthernetBytes + 2, whole - kEthernetBytes);
    ip_change = difference(whole_ - kEthernetBytes, whole - kEthernetBytes);
  }
  put16(udp + 4, whole - udp);
  // The length counts twice, in the header and in the pseudo-header.
  const uint32_t udp_change =
      2 * difference(whole_ - udp, whole - udp) +
      difference(payload_sum(whole_ - payload_), payload_sum(whole - payload_));
  whole_ = whole;
  store_checksums(ip_change, udp_change);
}

void Frame::set_payload(uint32_t offset, const void* data, uint32_t n) {
  uint8_t* at = frame() + payload_ + offset;
  const auto* const value = static_cast<const uint8_t*>(data);
  uint32_t change = 0;
  for (uint32_t i = 0; i < n; i += 2) change += difference(get16(at + i), get16(value + i));
  fields_sum_ = checksum_fold(fields_sum_ + change);
  for (uint32_t i = 0; i < n; i += 2) put16(payload_ + offset + i, get16(value + i));
  store_checksums(0, change);
}

// Of the first `bytes` of the payload as it is now; frames shorter than the fields are not resized.
uint32_t Frame::payload_sum(uint32_t bytes) const {
  // An odd last byte counts as the high one; without a branch, of random sizes half are odd.
  const uint32_t odd = data()[payload_ + bytes - 1] & (0 - (bytes & 1));
  return checksum_fold(text_sums_[bytes / 2] + fields_sum_ + (odd << 8));
}

// What has changed, in words of network order.
void Frame::store_checksums(uint32_t ip_change, uint32_t udp_change) {
  const uint32_t ip = checksum_fold(static_cast<uint32_t>(ip_sum_) + ip_change);
  const uint32_t udp = checksum_fold(static_cast<uint32_t>(udp_sum_) + udp_change);
  ip_sum_ = ip;
  udp_sum_ = udp;
  if (!ipv6_ && ip_change != 0) put16(kEthernetBytes + 10, ~ip);
  put16(payload_ - 2, udp == 0xffff ? 0xffff : ~udp);  // zero would mean "none"
}

}  // namespace vale
