// SPDX-License-Identifier: BSD-2-Clause
// Cutting super-frames: what comes out is what a NIC would have sent; what is malformed is refused.
#include "offload/segment.h"

#include <algorithm>

#include "test/support/check.h"
#include "test/support/super_frame.h"

using namespace vale;
using namespace super;
using wire::Frame;

namespace {

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

// Of frames that are right, each with a header of so many bytes.
Frame payload_of(const std::vector<Frame>& pieces, size_t header) {
  Frame payload;
  for (const Frame& piece : pieces) {
    CHECK_EQ(wire::wrong(piece), "");
    payload.insert(payload.end(), piece.begin() + static_cast<long>(header), piece.end());
  }
  return payload;
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
    CHECK(payload_of(pieces, header) ==
          Frame(whole.begin() + static_cast<long>(header), whole.end()));
  }
}

TEST(beyond_64_kb_segments_say_their_own_length) {
  const Shape shapes[] = {{.payload = 500000},
                          {.v6 = true, .payload = 500000, .jumbo = true},
                          {.v6 = true, .vlan_tags = 2, .payload = 70000, .jumbo = true}};
  for (const Shape& shape : shapes) {
    Frame whole = build(shape);
    if (!shape.v6) put_u16(whole, 16, 0);  // Linux writes no length that does not fit
    Shape one = shape;
    one.jumbo = false;
    const size_t header = transport_of(one) + 32;
    bool ok = false;
    const auto pieces = cut(whole, gso_of(shape), 1400, &ok);
    REQUIRE(ok);
    CHECK_EQ(pieces.size(), (shape.payload + 1399) / 1400);
    CHECK(payload_of(pieces, header) ==
          Frame(whole.end() - static_cast<long>(shape.payload), whole.end()));
    cut(whole, kGsoUdpFragments, 1400, &ok);
    CHECK(!ok);
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

TEST(a_datagram_becomes_ip_fragments) {
  for (const bool v6 : {false, true}) {
    for (const size_t options : {size_t{0}, size_t{16}}) {
      for (const size_t payload : {size_t{1}, size_t{992}, size_t{993}, size_t{30000}}) {
        const Shape shape = {
            .v6 = v6, .tcp = false, .vlan_tags = 1, .ip_options = options, .payload = payload};
        const Frame whole = build(shape);
        bool ok = false;
        const auto pieces = cut(whole, kGsoUdpFragments, 1003, &ok);  // rounded to 1000
        REQUIRE(ok);
        const size_t in_ip = payload + 8 + (v6 ? options : 0);
        CHECK_EQ(pieces.size(), (in_ip + 999) / 1000);
        const Frame datagram = put_together(pieces);
        REQUIRE(datagram.size() == whole.size());
        if (!v6 || options == 0) CHECK_EQ(wire::wrong(datagram), "");
        CHECK(std::equal(datagram.end() - static_cast<long>(payload), datagram.end(),
                         whole.end() - static_cast<long>(payload)));
      }
    }
  }
}

TEST(fragments_of_two_ipv6_datagrams_do_not_mix) {
  const Frame whole = build({.v6 = true, .tcp = false});
  bool ok = false;
  Frame ids[2];
  for (Frame& id : ids) {
    const auto pieces = cut(whole, kGsoUdpFragments, 1000, &ok);
    REQUIRE(pieces.size() == 4);
    for (const Frame& p : pieces) CHECK(std::equal(&p[58], &p[62], &pieces[0][58]));
    id.assign(&pieces[0][58], &pieces[0][62]);
    usleep(1);
  }
  CHECK(ids[0] != ids[1]);
}

TEST(a_packet_longer_than_ip_can_tell_is_refused) {
  bool ok = true;
  cut(build({.payload = 65530}), kGsoTcp4, 65500, &ok);
  CHECK(!ok);
  cut(build({.payload = 65530}), kGsoTcp4, 65000, &ok);
  CHECK(ok);
  cut(build({.tcp = false, .payload = 65530}), kGsoUdpFragments, 1000, &ok);
  CHECK(!ok);
}

TEST(what_is_malformed_is_refused) {
  bool ok = true;
  for (const Shape& shape : {Shape{}, Shape{.v6 = true, .ip_options = 16}, Shape{.tcp = false},
                             Shape{.v6 = true, .jumbo = true}}) {
    const Frame whole = build(shape);
    const size_t header = whole.size() - shape.payload;
    for (size_t bytes = 0; bytes <= header; bytes++) {
      // A buffer of just that size, so that a read beyond it shows under a sanitizer.
      cut(Frame(whole.begin(), whole.begin() + static_cast<long>(bytes)), gso_of(shape), 1000, &ok);
      CHECK(!ok);
    }
    cut(whole, gso_of(shape), 0, &ok);
    CHECK(!ok);
    cut(whole, 2, 1000, &ok);  // no such kind
    CHECK(!ok);
    cut(whole, shape.v6 ? kGsoTcp4 : kGsoTcp6, 1000, &ok);
    CHECK(!ok);
  }
  Frame fragment = build({});
  fragment[20] = 0x20;
  cut(fragment, kGsoTcp4, 1000, &ok);
  CHECK(!ok);
}
