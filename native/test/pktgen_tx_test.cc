// SPDX-License-Identifier: BSD-2-Clause
// The generator as a sender, over ports on the heap: what goes out, how fast, what is counted.
#include <algorithm>

#include "test/support/pktgen.h"

using namespace pktgen;

TEST(tx_sends_exactly_n_equal_frames) {
  for (uint32_t burst : {1u, 7u, 63u, 512u}) {
    FakePort port("a");
    Tap tap(port);
    PktGenConfig config = config_of(PktGenFunction::tx, 1000);
    config.burst = burst;
    const auto engine = start(config, {&port});
    const Outcome o = finish(*engine);
    CHECK_OK(o.status);
    CHECK_EQ(o.total.frames, 1000u);
    CHECK_EQ(o.total.accepted, 1000u);
    CHECK_EQ(o.total.bytes, 60000u);
    CHECK_EQ(o.total.events, (1000 + std::min(burst, 63u) - 1) / std::min(burst, 63u));
    CHECK(o.total.first != 0 && o.total.first <= o.total.last);
    CHECK_EQ(tap.frames.size(), 1000u);
    const std::string expected = frame_of(config);
    CHECK(
        std::all_of(tap.frames.begin(), tap.frames.end(), [&](auto& f) { return f == expected; }));
  }
}

TEST(counts_are_divided_over_threads) {
  FakePort a("a"), b("b"), c("c");
  const auto engine = start(config_of(PktGenFunction::tx, 1000), {&a, &b, &c});
  CHECK_EQ(finish(*engine).total.frames, 1000u);
  CHECK_EQ(a.tx_frames.load(), 334u);
  CHECK_EQ(c.tx_frames.load(), 333u);
  FakePort d("d"), e("e");
  const auto one = start(config_of(PktGenFunction::tx, 1), {&d, &e});
  CHECK_EQ(finish(*one).total.frames, 1u);
}

TEST(all_rings_of_a_port_are_used) {
  fake::Options options;
  options.rings = 3;
  FakePort a("a", options), b("b", options);
  FakePort::cable(a, b, true);
  const auto rx = start(config_of(PktGenFunction::rx, 3000), {&b});
  PktGenConfig config = config_of(PktGenFunction::tx, 3000);
  config.burst = 10;
  const auto tx = start(config, {&a});
  finish(*tx);
  CHECK_EQ(finish(*rx).total.frames, 3000u);
}

TEST(fragments_add_up_to_the_frame) {
  struct {
    uint32_t size, fragments, most, buffer;
    unsigned slots;
  } cases[] = {{60, 2, 0, 2048, 2},      {60, 7, 0, 2048, 7},   {60, 63, 0, 2048, 47},
               {1514, 1, 100, 2048, 16}, {5000, 1, 0, 2048, 3}, {65536, 1, 0, 2112, 32},
               {300, 5, 14, 2048, 22}};
  for (const auto& c : cases) {
    fake::Options options;
    options.buffer_bytes = c.buffer;
    FakePort port("a", options);
    Tap tap(port);
    PktGenConfig config = config_of(PktGenFunction::tx, 50);
    config.size = c.size;
    config.fragments = c.fragments;
    config.max_fragment = c.most;
    const auto engine = start(config, {&port});
    const Outcome o = finish(*engine);
    CHECK_EQ(o.total.accepted, 50u);
    CHECK_EQ(tap.frames.size(), 50u);
    const std::string expected = frame_of(config);
    for (size_t i = 0; i < tap.frames.size(); i++) {
      if (tap.frames[i] != expected) check::fail(__FILE__, __LINE__, "frame " + std::to_string(i));
      CHECK_EQ(tap.slots[i], c.slots);
    }
  }
}

TEST(ranges_random_sizes_and_sequence_numbers_on_the_ring) {
  for (int variant = 0; variant < 6; variant++) {
    FakePort port("a");
    Tap tap(port);
    PktGenConfig config = config_of(PktGenFunction::txseq, 500);
    config.size = 400;
    if (variant & 1) config.size_min = 50;
    config.source.port_end = 1300;
    config.fragments = variant >= 4 ? 3 : 1;
    config.indirect = variant == 3;
    if (variant == 2) config.header_length = 12;
    const auto engine = start(config, {&port});
    finish(*engine);
    REQUIRE(tap.frames.size() == 500);
    size_t shortest = 1000, longest = 0;
    for (uint32_t i = 0; i < 500; i++) {
      std::string f = tap.frames[i];
      if (variant == 2) {
        CHECK_EQ(f.substr(0, 12), std::string(12, '\0'));
        f.erase(0, 12);
      }
      CHECK_EQ(word(f, 42) << 16 | word(f, 44), i);
      CHECK_EQ(word(f, 34), 1234 + i % 67);
      CHECK(udp_checksum_holds(f));
      shortest = std::min(shortest, f.size());
      longest = std::max(longest, f.size());
    }
    if (variant & 1) {
      CHECK(shortest >= 50 && shortest < 100 && longest > 350 && longest < 400);
    } else {
      CHECK_EQ(shortest, 400u);
    }
  }
}

TEST(equal_seeds_send_equal_frames) {
  std::vector<std::string> first;
  for (int round = 0; round < 2; round++) {
    FakePort port("a");
    Tap tap(port);
    PktGenConfig config = config_of(PktGenFunction::tx, 200);
    config.size_min = 60;
    config.size = 200;
    config.random_source = config.random_destination = true;
    config.seed = 42;
    const auto engine = start(config, {&port});
    finish(*engine);
    for (const std::string& f : tap.frames) CHECK(udp_checksum_holds(f));
    if (round == 0) first = tap.frames;
    CHECK(tap.frames == first);
  }
}

TEST(indirect_frames_point_outside_the_region) {
  FakePort a("a"), b("b");
  FakePort::cable(a, b, true);
  Tap tap(a);
  PktGenConfig config = config_of(PktGenFunction::tx, 300);
  config.indirect = true;
  const auto rx = start(config_of(PktGenFunction::rx, 300), {&b});
  const auto tx = start(config, {&a});
  finish(*tx);
  CHECK_EQ(finish(*rx).total.bytes, 300u * 60);
  CHECK(a.tx_ring(0)->slot[0].flags & NS_INDIRECT);
  CHECK_EQ(tap.frames.at(0).substr(42), "netmap pkt-gen ind");
}

TEST(rubbish_leaves_payloads_alone) {
  FakePort port("a");
  Tap tap(port);
  PktGenConfig config = config_of(PktGenFunction::tx, 10);
  config.rubbish = true;
  const auto engine = start(config, {&port});
  finish(*engine);
  CHECK_EQ(tap.frames.at(0), std::string(60, '\0'));
}

TEST(captures_are_played_in_order_again_and_again) {
  char path[] = "/tmp/vale-play-XXXXXX";
  const int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  std::string file("\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0", 24);
  const size_t sizes[] = {60, 5000, 14};
  for (size_t size : sizes) {
    const char length[2] = {static_cast<char>(size), static_cast<char>(size >> 8)};
    for (int i = 0; i < 2; i++) file += std::string(4, '\x07');
    for (int i = 0; i < 2; i++) file += std::string(length, 2) + std::string(2, '\0');
    file += std::string(size, static_cast<char>('a' + size % 26));
  }
  CHECK_EQ(write(fd, file.data(), file.size()), static_cast<ssize_t>(file.size()));
  close(fd);
  for (uint32_t header : {0u, 12u}) {
    FakePort port("a");
    Tap tap(port);
    PktGenConfig config = config_of(PktGenFunction::tx, 100);
    config.pcap_file = path;
    config.header_length = header;
    const auto engine = start(config, {&port});
    const Outcome o = finish(*engine);
    CHECK_EQ(o.total.accepted, 100u);
    CHECK_EQ(o.total.bytes, 33u * 5074 + 60);
    REQUIRE(tap.frames.size() == 100);
    for (size_t i = 0; i < 100; i++) {
      const size_t size = sizes[i % 3];
      CHECK(tap.frames[i] == std::string(header, '\0') + std::string(size, char('a' + size % 26)));
      CHECK_EQ(tap.slots[i], size == 5000 ? 3u : 1u);
    }
  }
  unlink(path);
}

TEST(a_rate_is_kept) {
  FakePort port("a");
  PktGenConfig config = config_of(PktGenFunction::tx);
  config.rate = 50000;
  config.duration = 0.4;
  const auto tx = start(config, {&port});
  const Outcome o = finish(*tx);
  // A loaded machine may come late, not early.
  const uint64_t due = (o.total.last - o.total.first) * 50000 / 1000000000;
  CHECK(o.total.frames <= due + 2 * 166);
  CHECK(o.total.frames > due / 2);
}

TEST(dump_shows_every_slot) {
  FakePort port("a");
  PktGenConfig config = config_of(PktGenFunction::tx, 3);
  config.dump = true;
  const auto engine = start(config, {&port});
  const Outcome o = finish(*engine);
  CHECK(o.out.find("cur     2 [buf      4 flags 0x0000 len    60]\n") != std::string::npos);
  CHECK(o.out.find("\n    0: ff ff ff ff ff ff 02 00 00 00 00 01 08 00 45 10 ..............E.\n") !=
        std::string::npos);
  CHECK(o.out.find("\n   48: 20 70 6b 74 2d 67 65 6e 20 44 49 52              pkt-gen DIR\n") !=
        std::string::npos);
}

TEST(a_full_pipe_makes_the_sender_wait_and_stop_leaves_the_rest_offered) {
  FakePort a("a"), b("b");
  FakePort::cable(a, b, true);
  const auto tx = start(config_of(PktGenFunction::tx), {&a});
  usleep(50000);
  const uint64_t syncs = a.syncs;
  usleep(50000);
  CHECK(a.syncs - syncs < 10);  // it sleeps
  const uint64_t before = monotonic_ns();
  const Outcome o = finish(*tx, 0);
  CHECK(monotonic_ns() - before < 1000000000);
  CHECK_EQ(o.total.accepted, 63u);
  CHECK_EQ(o.total.frames, 126u);
}

TEST(a_sender_that_is_done_sleeps_until_its_frames_are_taken) {
  FakePort port("a");
  port.stalled = true;
  const auto tx = start(config_of(PktGenFunction::tx, 10), {&port});
  usleep(20000);
  const uint64_t syncs = port.syncs;
  usleep(50000);
  CHECK(port.syncs - syncs < 10);
  CHECK(!tx->done());
  port.stalled = false;
  port.wake();
  const Outcome o = finish(*tx);
  CHECK(!o.stopped);
  CHECK_EQ(o.total.accepted, 10u);
}

TEST(without_a_receiver_everything_is_accepted) {
  FakePort a("a"), b("b");
  FakePort::cable(a, b);
  const auto tx = start(config_of(PktGenFunction::tx, 5000), {&a});
  const Outcome o = finish(*tx);
  CHECK_EQ(o.total.accepted, 5000u);
  CHECK_EQ(a.dropped.load(), 5000u - 63);
}
