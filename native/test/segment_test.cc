// SPDX-License-Identifier: BSD-2-Clause
// Cutting super-frames: what comes out is what a NIC would have sent; what is malformed is refused.
#include "offload/segment.h"

#include "offload/vnet_header.h"
#include "test/support/check.h"
#include "test/support/wire.h"

using namespace vale;
using wire::Frame;

namespace {

void put_u16(Frame& f, size_t at, size_t v) {
  f[at] = static_cast<uint8_t>(v >> 8);
  f[at + 1] = static_cast<uint8_t>(v);
}

struct Shape {
  bool v6 = false, tcp = true;
  size_t vlan_tags = 0, ip_options = 0, tcp_options = 12, payload = 3000;
  uint8_t tcp_flags = 0x18;
};

Frame build(const Shape& shape) {
  const size_t ip = 14 + 4 * shape.vlan_tags;
  const size_t l4 = ip + (shape.v6 ? 40 : 20) + shape.ip_options;
  const size_t data = l4 + (shape.tcp ? 20 + shape.tcp_options : 8);
  const uint8_t protocol = shape.tcp ? 6 : 17;
  Frame f(data + shape.payload);
  for (size_t i = 0; i < f.size(); i++) f[i] = static_cast<uint8_t>(i * 11 + (i >> 8));
  for (size_t i = 0; i < shape.vlan_tags; i++) put_u16(f, 12 + 4 * i, 0x8100);
  put_u16(f, ip - 2, shape.v6 ? 0x86dd : 0x0800);
  if (shape.v6) {
    f[ip] = 0x60;
    put_u16(f, ip + 4, f.size() - ip - 40);
    f[ip + 6] = shape.ip_options != 0 ? 60 : protocol;
    if (shape.ip_options != 0) {
      f[ip + 40] = protocol;
      f[ip + 41] = static_cast<uint8_t>(shape.ip_options / 8 - 1);
    }
  } else {
    f[ip] = static_cast<uint8_t>(0x40 | (l4 - ip) / 4);
    put_u16(f, ip + 2, f.size() - ip);
    put_u16(f, ip + 4, 0xfffe);  // the identification wraps
    put_u16(f, ip + 6, 0x4000);
    f[ip + 9] = protocol;
  }
  if (shape.tcp) {
    f[l4 + 12] = static_cast<uint8_t>((20 + shape.tcp_options) / 4 << 4);
    f[l4 + 13] = shape.tcp_flags;
    put_u16(f, l4 + 4, 0xffff);  // the sequence number wraps
    put_u16(f, l4 + 6, 0xff00);
  }
  return f;
}

uint8_t gso_of(const Shape& shape) {
  return !shape.tcp ? kGsoUdpSegments : shape.v6 ? kGsoTcp6 : kGsoTcp4;
}

std::vector<Frame> cut(const Frame& frame, uint8_t gso, uint16_t size, bool* ok) {
  Segmenter segmenter;
  *ok = segmenter.start(reinterpret_cast<const char*>(frame.data()),
                        static_cast<uint32_t>(frame.size()), gso, size);
  std::vector<Frame> out;
  while (!segmenter.done()) {
    const uint32_t bytes = segmenter.next_bytes();
    const Segment one = segmenter.next();
    Frame piece(one.header, one.header + one.header_bytes);
    piece.insert(piece.end(), one.payload, one.payload + one.payload_bytes);
    CHECK_EQ(piece.size(), bytes);
    out.push_back(piece);
  }
  return out;
}

}  // namespace

TEST(segments_are_complete_frames) {
  const Shape shapes[] = {{},
                          {.v6 = true},
                          {.tcp = false},
                          {.v6 = true, .tcp = false},
                          {.vlan_tags = 1},
                          {.v6 = true, .vlan_tags = 2},
                          {.ip_options = 40, .tcp_options = 40},
                          {.payload = 1},
                          {.payload = 1000},
                          {.payload = 65000}};
  for (const Shape& shape : shapes) {
    const Frame whole = build(shape);
    const size_t header = whole.size() - shape.payload;
    bool ok = false;
    const auto pieces = cut(whole, gso_of(shape), 1000, &ok);
    REQUIRE(ok);
    CHECK_EQ(pieces.size(), (shape.payload + 999) / 1000);
    Frame payload;
    for (const Frame& piece : pieces) {
      CHECK_EQ(wire::wrong(piece), "");
      payload.insert(payload.end(), piece.begin() + static_cast<long>(header), piece.end());
    }
    CHECK(payload == Frame(whole.begin() + static_cast<long>(header), whole.end()));
  }
}

TEST(tcp_fields_advance) {
  const Frame whole = build({.payload = 2500, .tcp_flags = 0x80 | 0x18 | 0x01});  // CWR PSH ACK FIN
  bool ok = false;
  const auto pieces = cut(whole, kGsoTcp4 | kGsoEcn, 1000, &ok);
  REQUIRE(pieces.size() == 3);
  const uint8_t flags[] = {0x90, 0x10, 0x19};
  const int ids[] = {0xfffe, 0xffff, 0};
  const uint32_t sequence[] = {0xffffff00, 0xffffff00 + 1000u, 0xffffff00 + 2000u};
  for (size_t i = 0; i < 3; i++) {
    CHECK_EQ(pieces[i][34 + 13], flags[i]);
    CHECK_EQ(wire::u16(pieces[i], 18), ids[i]);
    CHECK_EQ(uint32_t{wire::u16(pieces[i], 38)} << 16 | wire::u16(pieces[i], 40), sequence[i]);
  }
}

TEST(options_headers_of_ipv6_are_skipped) {
  const Shape shape = {.v6 = true, .ip_options = 16};
  bool ok = false;
  const auto pieces = cut(build(shape), kGsoTcp6, 1000, &ok);
  CHECK(ok);
  REQUIRE(pieces.size() == 3);
  CHECK_EQ(wire::u16(pieces[2], 18), 16 + 32 + 1000);
}

TEST(what_is_malformed_is_refused) {
  bool ok = true;
  for (const Shape& shape : {Shape{}, Shape{.v6 = true, .ip_options = 16}, Shape{.tcp = false}}) {
    const Frame whole = build(shape);
    const size_t header = whole.size() - shape.payload;
    for (size_t bytes = 0; bytes <= header; bytes++) {
      // A buffer of just that size, so that a read beyond it shows under a sanitizer.
      cut(Frame(whole.begin(), whole.begin() + static_cast<long>(bytes)), gso_of(shape), 1000, &ok);
      CHECK(!ok);
    }
    cut(whole, gso_of(shape), 0, &ok);
    CHECK(!ok);
    cut(whole, 3, 1000, &ok);  // UDP to be cut into IP fragments
    CHECK(!ok);
    cut(whole, shape.v6 ? kGsoTcp4 : kGsoTcp6, 1000, &ok);
    CHECK(!ok);
  }
  Frame fragment = build({});
  fragment[20] = 0x20;
  cut(fragment, kGsoTcp4, 1000, &ok);
  CHECK(!ok);
}
