// SPDX-License-Identifier: BSD-2-Clause
// What the generator's frames are, byte for byte, and that their checksums hold whatever changes.
#include "engine/frame.h"

#include <arpa/inet.h>

#include "engine/pace.h"
#include "test/support/check.h"
#include "test/support/wire.h"

using namespace vale;

namespace {

AddressRange range(int family, const char* start, const char* end, int port_start, int port_end) {
  AddressRange out;
  inet_pton(family, start, out.start.data());
  inet_pton(family, end, out.end.data());
  out.port_start = static_cast<uint16_t>(port_start);
  out.port_end = static_cast<uint16_t>(port_end);
  return out;
}

PktGenConfig default_config(unsigned family = 4) {
  PktGenConfig config;
  config.function = PktGenFunction::tx;
  config.family = family;
  if (family == 4) {
    config.source = range(AF_INET, "10.0.0.1", "10.0.0.1", 1234, 1234);
    config.destination = range(AF_INET, "10.1.0.1", "10.1.0.1", 1234, 1234);
  } else {
    config.source = range(AF_INET6, "fd00::1", "fd00::1", 1234, 1234);
    config.destination = range(AF_INET6, "fd00:1::1", "fd00:1::1", 1234, 1234);
  }
  config.destination_mac.start.fill(0xff);
  config.destination_mac.end.fill(0xff);
  return config;
}

uint32_t word(const uint8_t* at) { return uint32_t(at[0]) << 8 | at[1]; }

// Both checksums of a UDP frame, recomputed from nothing but its bytes.
bool checksums_hold(const Frame& frame) {
  const uint8_t* f = frame.data();
  const bool v6 = word(f + 12) == 0x86dd;
  const uint32_t udp = v6 ? 54 : 34;
  return wire::wrong({f, f + frame.size()}).empty() && word(f + udp + 6) != 0;
}

std::string tuple(const Frame& frame) {
  const uint8_t* f = frame.data();
  char text[64];
  std::snprintf(text, sizeof text, "%u.%u:%u>%u.%u:%u", f[28], f[29], word(f + 34), f[32], f[33],
                word(f + 36));
  return text;
}

}  // namespace

TEST(default_ipv4_frame_is_the_references) {
  const Frame frame(default_config(), 0);
  static const uint8_t expected[60] = {
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,    0,    0,   0,   0,    0,    0x08, 0x00,  // Ethernet
      0x45, 0x10, 0,    46,   0,    0,    0x40, 0,    64,  17,  0x26, 0xad, 10,   0,
      0,    1,    10,   1,    0,    1,                 // IPv4
      0x04, 0xd2, 0x04, 0xd2, 0,    26,   0x15, 0x80,  // UDP
      'n',  'e',  't',  'm',  'a',  'p',  ' ',  'p',  'k', 't', '-',  'g',  'e',  'n',
      ' ',  'D',  'I',  'R'};
  CHECK_EQ(frame.size(), 60u);
  for (unsigned i = 0; i < 60; i++) {
    if (frame.data()[i] != expected[i]) {
      check::fail(__FILE__, __LINE__,
                  "byte " + std::to_string(i) + " is " + std::to_string(frame.data()[i]));
    }
  }
}

TEST(default_ipv6_frame_has_right_lengths_and_checksum) {
  PktGenConfig config = default_config(6);
  config.size = 100;
  const Frame frame(config, 0);
  const uint8_t* f = frame.data();
  CHECK_EQ(word(f + 12), 0x86ddu);
  CHECK_EQ(f[14], 0x60);
  CHECK_EQ(f[20], 17);
  CHECK_EQ(f[21], 64);
  CHECK_EQ(std::memcmp(f + 62, "netmap pkt-gen DIRECT payload\nhttp://i", 38), 0);
  CHECK(checksums_hold(frame));
}

TEST(payload_text_repeats_and_names_indirect) {
  PktGenConfig config = default_config();
  config.size = 300;
  config.indirect = true;
  const Frame frame(config, 0);
  const std::string text =
      "netmap pkt-gen indirect payload\nhttp://info.iet.unipi.it/~luigi/netmap/ ";
  for (uint32_t i = 42; i < 300; i++) {
    REQUIRE(frame.data()[i] == static_cast<uint8_t>(text[(i - 42) % text.size()]));
  }
  CHECK(checksums_hold(frame));
}

TEST(virtio_header_is_zeros_before_the_frame) {
  PktGenConfig config = default_config();
  config.header_length = 12;
  const Frame frame(config, 0);
  const Frame plain(default_config(), 0);
  CHECK_EQ(frame.headroom(), 12u);
  for (int i = 1; i <= 12; i++) CHECK_EQ(frame.data()[-i], 0);
  CHECK_EQ(std::memcmp(frame.data(), plain.data(), 60), 0);
}

TEST(ranges_count_like_an_odometer) {
  PktGenConfig config = default_config();
  config.source = range(AF_INET, "10.0.0.1", "10.0.0.2", 5, 6);
  config.destination = range(AF_INET, "10.1.0.255", "10.1.1.0", 7, 8);
  Frame frame(config, 0);
  const char* expected[] = {"0.1:5>0.255:7", "0.1:6>0.255:7", "0.2:5>0.255:7", "0.2:6>0.255:7",
                            "0.1:5>0.255:8", "0.1:6>0.255:8", "0.2:5>0.255:8", "0.2:6>0.255:8",
                            "0.1:5>1.0:7",   "0.1:6>1.0:7",   "0.2:5>1.0:7",   "0.2:6>1.0:7",
                            "0.1:5>1.0:8",   "0.1:6>1.0:8",   "0.2:5>1.0:8",   "0.2:6>1.0:8",
                            "0.1:5>0.255:7"};
  CHECK(frame.has_ranges());
  for (const char* want : expected) {
    CHECK_EQ(tuple(frame), want);
    CHECK(checksums_hold(frame));
    frame.advance();
  }
}

TEST(mac_ranges_count_after_the_addresses) {
  PktGenConfig config = default_config();
  config.source = range(AF_INET, "10.0.0.1", "10.0.0.1", 5, 6);
  config.source_mac = {{2, 0, 0, 0, 0, 0xff}, {2, 0, 0, 0, 1, 0}};
  Frame frame(config, 0);
  const uint8_t* mac = frame.data() + 6;
  CHECK_EQ(mac[5], 0xff);
  frame.advance();
  CHECK_EQ(mac[5], 0xff);
  frame.advance();
  CHECK_EQ(mac[4], 1);
  CHECK_EQ(mac[5], 0);
  CHECK(checksums_hold(frame));
}

TEST(checksums_hold_over_random_configurations) {
  Random random(1);
  for (int round = 0; round < 400; round++) {
    const bool v6 = random.next() % 2 == 0;
    PktGenConfig config = default_config(v6 ? 6 : 4);
    const uint32_t least = v6 ? 74 : 54;
    config.size = random.between(least, round % 20 == 0 ? 65537 : 2000);
    config.header_length = round % 3 == 0 ? 12 : 0;
    config.random_source = random.next() % 4 == 0;
    config.random_destination = random.next() % 4 == 0;
    for (AddressRange* r : {&config.source, &config.destination}) {
      for (auto& byte : r->start) byte = static_cast<uint8_t>(random.next());
      r->end = r->start;
      r->end[1] = 0xff;
      r->port_start = static_cast<uint16_t>(random.next());
      r->port_end = 0xffff;
    }
    Frame frame(config, random.next());
    for (uint32_t step = 0; step < 200; step++) {
      if (!checksums_hold(frame)) {
        check::fail(__FILE__, __LINE__,
                    "round " + std::to_string(round) + " step " + std::to_string(step));
        return;
      }
      switch (random.next() % 3) {
        case 0:
          frame.advance();
          break;
        case 1:
          frame.resize(random.between(least, frame.max_size() + 1));
          break;
        default: {
          const uint64_t value[2] = {random.next(), random.next()};
          frame.set_payload(0, value, random.next() % 2 == 0 ? 4 : 12);
        }
      }
    }
  }
}

TEST(only_the_announced_bytes_vary) {
  PktGenConfig config = default_config();
  config.size = 1514;
  config.random_source = true;
  Frame frame(config, 3);
  const std::vector<uint8_t> before(frame.data(), frame.data() + 1514);
  frame.advance();
  frame.resize(800);
  frame.set_payload(0, "abcdefghijkl", 12);
  CHECK_EQ(std::memcmp(frame.data() + frame.varying_bytes(), &before[frame.varying_bytes()],
                       1514 - frame.varying_bytes()),
           0);
}

TEST(equal_seeds_give_equal_frames) {
  PktGenConfig config = default_config();
  config.random_source = config.random_destination = true;
  Frame a(config, 7), b(config, 7), c(config, 8);
  bool differs = false;
  for (int i = 0; i < 100; i++) {
    CHECK_EQ(std::memcmp(a.data(), b.data(), 60), 0);
    differs |= std::memcmp(a.data(), c.data(), 60) != 0;
    a.advance(), b.advance(), c.advance();
  }
  CHECK(differs);
}

TEST(short_frames_are_cut_headers) {
  PktGenConfig config = default_config();
  config.size = 16;
  const Frame frame(config, 0);
  CHECK_EQ(frame.size(), 16u);
  CHECK_EQ(word(frame.data() + 12), 0x0800u);
  CHECK_EQ(frame.data()[14], 0x45);
}

TEST(rate_is_held_whatever_sleeps_cost) {
  struct {
    double rate;
    uint32_t burst;
  } cases[] = {{1, 512}, {1000, 512}, {299, 512}, {1e6, 512}, {14880952, 64}};
  for (const auto& c : cases) {
    Random random(9);
    Pacer pacer(c.rate, c.burst);
    CHECK(pacer.burst() >= 1 && pacer.burst() <= c.burst);
    CHECK(pacer.burst() == 1 || pacer.burst() <= c.rate / 300);
    const uint64_t start = 1000000000;
    uint64_t now = start, sent = 0;
    const uint64_t end = start + 20000000000u;
    while (now < end) {
      const uint32_t n = pacer.allowed(now);
      pacer.sent(n);
      sent += n;
      // Sending takes 5 ns a frame; a sleep ends up to 100 µs late.
      now = n > 0 ? now + n * 5 : std::max(now, pacer.due() + random.between(0, 100000));
    }
    const double expected = c.rate * 20;
    CHECK(static_cast<double>(sent) >= expected * 0.999 - pacer.burst());
    CHECK(static_cast<double>(sent) <= expected * 1.001 + pacer.burst());
  }
}

TEST(a_stopped_sender_does_not_flood_when_it_goes_on) {
  Pacer pacer(1e6, 512);
  CHECK_EQ(pacer.allowed(1000), 512u);
  pacer.sent(512);
  const uint64_t later = 60000000000u;
  uint64_t sent = 0;
  while (uint32_t n = pacer.allowed(later)) {
    pacer.sent(n);
    sent += n;
  }
  CHECK(sent <= 200000 + 1024);
}
