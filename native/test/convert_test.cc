// SPDX-License-Identifier: BSD-2-Clause
// Ports of unequal virtio-net header length: what arrives is the frame as it should be, counted.
#include "switch/convert.h"

#include "test/support/check.h"
#include "test/support/super_frame.h"
#include "test/support/switch_fixture.h"

using namespace vale;
using namespace super;
using Verdict = Converter::Verdict;

namespace {

Bytes bytes(const std::string& s) { return {s.begin(), s.end()}; }

std::string with(const VnetHeader& header, uint32_t length, const Bytes& frame) {
  std::string s(length, '\0');
  std::memcpy(s.data(), &header, sizeof header);
  return s + text(frame);
}

struct Result {
  Verdict verdict;
  std::vector<std::string> frames;
};

// In fragments of `size` bytes, each in memory of its own, so that a read beyond it shows under a
// sanitizer. The first one holds the whole header, as the switch makes sure.
Result convert(const std::string& frame, uint32_t from, uint32_t to, size_t size,
               uint32_t buffer = 2112) {
  std::vector<std::vector<char>> memory;
  for (size_t at = 0; at < frame.size();) {
    const size_t n = std::min(at == 0 ? std::max<size_t>(size, from) : size, frame.size() - at);
    memory.emplace_back(frame.begin() + static_cast<long>(at),
                        frame.begin() + static_cast<long>(at + n));
    at += n;
  }
  std::vector<Fragment> fragments;
  for (const auto& m : memory) fragments.push_back({m.data(), static_cast<uint32_t>(m.size())});
  Converter converter;
  Result out;
  out.verdict = converter.start(fragments.data(), static_cast<uint32_t>(fragments.size()),
                                static_cast<uint32_t>(frame.size()), from, to);
  if (out.verdict != Verdict::good) return out;
  const uint64_t promised = converter.slots(buffer);
  uint64_t slots = 0;
  for (uint32_t left = converter.frames(); left != 0; left--) {
    const Converter::Pieces one = converter.next();
    std::string s;
    for (uint32_t i = 0; i < one.count; i++) {
      CHECK(one.piece[i].length != 0);
      s.append(one.piece[i].data, one.piece[i].length);
    }
    CHECK_EQ(s.size(), one.bytes);
    slots += (s.size() + buffer - 1) / buffer;
    out.frames.push_back(s);
  }
  if (promised != Converter::kNever) CHECK_EQ(promised, slots);
  return out;
}

uint64_t dropped(const Port& p, Drop why) { return p.counters().drops[static_cast<unsigned>(why)]; }

const Shape kShapes[] = {{},
                         {.v6 = true},
                         {.tcp = false},
                         {.v6 = true, .tcp = false},
                         {.vlan_tags = 1},
                         {.v6 = true, .vlan_tags = 2},
                         {.ip_options = 40, .tcp_options = 40},
                         {.payload = 1},
                         {.payload = 59999}};

}  // namespace

TEST(headers_come_go_and_change_length_and_the_frame_stays) {
  const std::string body = frame(mac(1), mac(2), 1000, 5);
  VnetHeader plain = {};
  for (const uint32_t from : {0u, 10u, 12u}) {
    for (const uint32_t to : {0u, 10u, 12u}) {
      if (from == to) continue;
      for (const size_t size : {size_t{2000}, size_t{64}, size_t{26}, size_t{17}}) {
        const std::string in = from == 0 ? body : with(plain, from, bytes(body));
        const Result r = convert(in, from, to, size);
        CHECK_EQ(r.verdict, Verdict::good);
        CHECK_EQ(r.frames, std::vector<std::string>{std::string(to, '\0') + body});
      }
    }
  }
  // A header in a slot of its own.
  const std::string little = frame(mac(1), mac(2), 60, 5);
  CHECK_EQ(convert(with(plain, 12, bytes(little)), 12, 0, 12).frames[0], little);
}

TEST(between_headers_a_super_frame_stays_one) {
  Bytes whole = build({});
  const VnetHeader h = half_made({}, &whole, kGsoTcp4, 1000);
  const Result r = convert(with(h, 10, whole), 10, 12, 500);
  CHECK_EQ(r.frames, std::vector<std::string>{with(h, 12, whole)});
  CHECK_EQ(convert(with(h, 12, whole), 12, 10, 500).frames[0], with(h, 10, whole));
}

TEST(half_made_checksums_are_completed) {
  for (const Shape& shape : kShapes) {
    Bytes whole = build(shape);
    const VnetHeader h = half_made(shape, &whole, kGsoNone, 0);
    if (shape.payload != 1) CHECK(wire::wrong(whole) != "");
    for (const size_t size : {size_t{100000}, size_t{999}, size_t{41}}) {
      if (whole.size() / size > 60) continue;
      const Result r = convert(with(h, 12, whole), 12, 0, size);
      REQUIRE(r.verdict == Verdict::good && r.frames.size() == 1);
      CHECK_EQ(wire::wrong(bytes(r.frames[0])), "");
    }
  }
}

TEST(super_frames_are_cut_whatever_their_fragments) {
  for (const Shape& shape : kShapes) {
    Bytes whole = build(shape);
    const VnetHeader h = half_made(shape, &whole, gso_of(shape), 1000);
    const size_t header = whole.size() - shape.payload;
    for (const size_t size : {size_t{100000}, size_t{2112}, size_t{1001}}) {
      for (const uint32_t buffer : {64u, 256u, 2112u}) {
        const Result r = convert(with(h, 10, whole), 10, 0, size, buffer);
        REQUIRE(r.verdict == Verdict::good);
        CHECK_EQ(r.frames.size(), (shape.payload + 999) / 1000);
        std::string payload;
        for (const std::string& f : r.frames) {
          CHECK_EQ(wire::wrong(bytes(f)), "");
          payload += f.substr(header);
        }
        CHECK(payload == text(whole).substr(header));
      }
    }
  }
}

TEST(datagrams_too_long_for_the_wire_become_ip_fragments) {
  for (const bool v6 : {false, true}) {
    const Shape shape = {.v6 = v6, .tcp = false, .vlan_tags = 1, .payload = 20000};
    Bytes whole = build(shape);
    const VnetHeader h = half_made(shape, &whole, kGsoUdpFragments, 1480);
    const Result r = convert(with(h, 12, whole), 12, 0, 2112);
    REQUIRE(r.verdict == Verdict::good);
    CHECK_EQ(r.frames.size(), size_t{14});
    std::vector<Bytes> fragments;
    for (const std::string& f : r.frames) fragments.push_back(bytes(f));
    const Bytes datagram = put_together(fragments);
    REQUIRE(datagram.size() == whole.size());
    CHECK_EQ(wire::wrong(datagram), "");
  }
}

TEST(a_header_that_is_not_true_is_told_from_one_that_asks_too_much) {
  Bytes whole = build({});
  const VnetHeader good = half_made({}, &whole, kGsoTcp4, 1000);
  const auto verdict = [&](auto change) {
    VnetHeader h = good;
    change(h);
    return convert(with(h, 12, whole), 12, 0, 2112).verdict;
  };
  CHECK_EQ(verdict([](VnetHeader&) {}), Verdict::good);
  CHECK_EQ(verdict([](VnetHeader& h) { h.flags = 3; }), Verdict::good);
  CHECK_EQ(verdict([](VnetHeader& h) { h.gso_type |= kGsoEcn; }), Verdict::good);
  CHECK_EQ(verdict([](VnetHeader& h) { h.flags = 0x80; }), Verdict::malformed);
  CHECK_EQ(verdict([](VnetHeader& h) { h.gso_size = 0; }), Verdict::malformed);
  CHECK_EQ(verdict([](VnetHeader& h) { h.gso_type = kGsoTcp6; }), Verdict::malformed);
  CHECK_EQ(verdict([](VnetHeader& h) { h.gso_type = kGsoUdpSegments; }), Verdict::malformed);
  CHECK_EQ(verdict([](VnetHeader& h) { h.gso_type = 2; }), Verdict::impossible);
  CHECK_EQ(verdict([](VnetHeader& h) { h.gso_type = kGsoTcp4 | 0x20; }), Verdict::impossible);
  const auto summed = [&](uint16_t start, uint16_t offset) {
    return verdict([&](VnetHeader& h) {
      h.gso_type = kGsoNone;
      h.csum_start = start;
      h.csum_offset = offset;
    });
  };
  const auto end = static_cast<uint16_t>(whole.size());
  CHECK_EQ(summed(end, 0), Verdict::malformed);
  CHECK_EQ(summed(static_cast<uint16_t>(end - 2), 0), Verdict::good);
  CHECK_EQ(summed(static_cast<uint16_t>(end - 2), 1), Verdict::malformed);
  CHECK_EQ(summed(0xffff, 0xffff), Verdict::malformed);
}

TEST(through_the_switch_each_port_gets_its_form_and_the_account_closes) {
  Fixture f;
  auto a = f.open("vale0:a"), none = f.open("vale0:none"), ten = f.open("vale0:ten"),
       same = f.open("vale0:same");
  CHECK_OK(a->set_header_length(12));
  CHECK_OK(same->set_header_length(12));
  CHECK_OK(ten->set_header_length(10));
  Bytes whole = build({.payload = 60000});
  for (int i = 0; i < 6; i++) whole[i] = 0xff;
  const VnetHeader h = half_made({.payload = 60000}, &whole, kGsoTcp4, 1448);
  f.put(*a, with(h, 12, whole));
  f.put(*a, with({}, 12, bytes(frame(kBroadcast, mac(1), 60, 1))));
  a->txsync();
  const auto cut = f.receive(*none);
  REQUIRE(cut.size() == 43);
  for (size_t i = 0; i < 42; i++) CHECK_EQ(wire::wrong(bytes(cut[i])), "");
  CHECK_EQ(cut[42], frame(kBroadcast, mac(1), 60, 1));
  CHECK_EQ(f.receive(*same)[0], with(h, 12, whole));
  const auto ten_got = f.receive(*ten);
  REQUIRE(ten_got.size() == 2);
  CHECK_EQ(ten_got[0], with(h, 10, whole));
  CHECK_EQ(ten_got[1], std::string(10, '\0') + frame(kBroadcast, mac(1), 60, 1));
  const PortCounters n = a->counters();
  CHECK_EQ(n.tx_frames, uint64_t{2});
  CHECK_EQ(n.tx_copies, uint64_t{43 + 2 + 2});
  CHECK_EQ(n.tx_delivered, n.tx_copies);
  CHECK_EQ(none->counters().rx_frames, uint64_t{43});
  CHECK_EQ(none->counters().rx_read, uint64_t{43});

  f.send(*none, frame(kBroadcast, mac(3), 200, 2));
  CHECK_EQ(f.receive(*a)[0], std::string(12, '\0') + frame(kBroadcast, mac(3), 200, 2));
}

TEST(a_super_frame_that_does_not_fit_is_dropped_whole) {
  Fixture f;
  OpenRequest small;
  small.rx_slots = 16;
  auto a = f.open("vale0:a"), b = f.open("vale0:b", small);
  CHECK_OK(a->set_header_length(10));
  const Shape shape = {.payload = 9000};
  Bytes whole = build(shape);
  const VnetHeader h = half_made(shape, &whole, kGsoTcp4, 1000);
  const std::string super_frame = with(h, 10, whole);
  for (int i = 0; i < 7; i++) f.put(*a, with({}, 10, bytes(frame(kBroadcast, mac(1), 60, i))));
  f.put(*a, super_frame);
  f.put(*a, with({}, 10, bytes(frame(kBroadcast, mac(1), 60, 7))));
  a->txsync();
  CHECK_EQ(f.receive(*b).size(), size_t{8});
  CHECK_EQ(dropped(*b, Drop::ring_full), uint64_t{1});
  CHECK_EQ(a->counters().tx_copies, uint64_t{9});
  CHECK_EQ(a->counters().tx_delivered, uint64_t{8});
  f.send(*a, super_frame);
  CHECK_EQ(f.receive(*b).size(), size_t{9});
  CHECK_EQ(a->counters().tx_copies, uint64_t{18});

  Bytes more = build({.payload = 20000});
  const VnetHeader m = half_made({.payload = 20000}, &more, kGsoTcp4, 1000);
  f.send(*a, with(m, 10, more));
  CHECK_EQ(f.receive(*b).size(), size_t{0});
  CHECK_EQ(dropped(*b, Drop::too_big), uint64_t{1});
}

TEST(indirect_payloads_small_buffers_and_odd_borders_are_converted_too) {
  Fixture f;
  OpenRequest small;
  small.buf_size = 128;
  small.rx_slots = 1024;
  auto a = f.open("vale0:a"), b = f.open("vale0:b", small);
  CHECK_OK(a->set_header_length(12));
  const Shape shape = {.v6 = true, .payload = 20000};
  Bytes whole = build(shape);
  for (int i = 0; i < 6; i++) whole[i] = 0xff;
  const std::string s = with(half_made(shape, &whole, kGsoTcp6, 1400), 12, whole);
  f.put(*a, s, 777);
  netmap_ring* r = a->tx_ring(0);
  netmap_slot& slot = r->slot[r->head];
  slot.ptr = reinterpret_cast<uint64_t>(s.data());
  slot.len = static_cast<uint16_t>(s.size());
  slot.flags = NS_INDIRECT;
  r->head = r->cur = r->head + 1;
  a->txsync();
  const auto got = f.receive(*b);
  REQUIRE(got.size() == 30);
  for (const std::string& g : got) CHECK_EQ(wire::wrong(bytes(g)), "");
  CHECK(std::equal(got.begin(), got.begin() + 15, got.begin() + 15));
  CHECK_EQ(b->counters().rx_read, uint64_t{30});
}

TEST(what_cannot_be_converted_is_counted_with_its_reason) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  CHECK_OK(a->set_header_length(12));
  VnetHeader unknown = {}, wrong = {};
  unknown.gso_type = 2;
  wrong.flags = kVnetNeedsChecksum;
  wrong.csum_start = 2000;
  const Bytes one = bytes(frame(kBroadcast, mac(1), 60, 1));
  f.put(*a, with(unknown, 12, one));
  f.put(*a, with(wrong, 12, one));
  f.put(*a, with({}, 12, one));
  a->txsync();
  CHECK_EQ(f.receive(*b).size(), size_t{1});
  CHECK_EQ(dropped(*b, Drop::header_mismatch), uint64_t{1});
  CHECK_EQ(dropped(*b, Drop::bad_header), uint64_t{1});
  CHECK_EQ(a->counters().tx_copies, uint64_t{3});
  CHECK_EQ(a->counters().tx_delivered, uint64_t{1});
}
