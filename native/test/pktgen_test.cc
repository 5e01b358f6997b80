// SPDX-License-Identifier: BSD-2-Clause
// The generator's loops over ports on the heap: what is sent, received, answered, counted and said.
#include "engine/pktgen.h"

#include <arpa/inet.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "engine/frame.h"
#include "test/support/check.h"
#include "test/support/fake_port.h"

using namespace vale;
using fake::FakePort;

namespace {

PktGenConfig config_of(PktGenFunction function, uint64_t count = 0) {
  PktGenConfig config;
  config.function = function;
  config.count = count;
  inet_pton(AF_INET, "10.0.0.1", config.source.start.data());
  inet_pton(AF_INET, "10.1.0.1", config.destination.start.data());
  config.source.end = config.source.start;
  config.destination.end = config.destination.start;
  config.source_mac.start = config.source_mac.end = {2, 0, 0, 0, 0, 1};
  config.destination_mac.start.fill(0xff);
  config.destination_mac.end.fill(0xff);
  return config;
}

// Samples until the engine is done, or `limit_ms` have passed and it had to be stopped.
struct Outcome {
  EngineSample total;
  std::string out, err;
  bool stopped = false;
  Status status;
};

void collect(Engine& engine, Outcome& outcome) {
  EngineSample& t = outcome.total;
  std::vector<EngineSample> samples = engine.sample();
  t.frames = t.bytes = t.events = t.accepted = 0;
  for (EngineSample& s : samples) {
    CHECK(s.accepted <= s.frames);
    t.frames += s.frames;
    t.bytes += s.bytes;
    t.events += s.events;
    t.accepted += s.accepted;
    t.first = s.first;
    t.last = s.last;
    t.rtt_count += s.rtt_count;
    if (s.rtt_count != 0) t.rtt_min = s.rtt_min;
    for (unsigned i = 0; i < kRttBuckets; i++) t.rtt_histogram[i] += s.rtt_histogram[i];
    if (s.min_space >= 0) t.min_space = s.min_space;
    for (EngineMessage& m : s.messages) (m.error ? outcome.err : outcome.out) += m.text + "\n";
  }
}

Outcome finish(Engine& engine, int limit_ms = 5000) {
  Outcome outcome;
  const uint64_t end = monotonic_ns() + uint64_t(limit_ms) * 1000000;
  while (!engine.done()) {
    if (!outcome.stopped && monotonic_ns() > end) {
      outcome.stopped = true;
      engine.stop();
    }
    collect(engine, outcome);
    usleep(1000);
  }
  outcome.status = engine.join();
  collect(engine, outcome);
  return outcome;
}

std::unique_ptr<Engine> start(const PktGenConfig& config, std::vector<Port*> ports) {
  std::unique_ptr<Engine> engine;
  CHECK_OK(start_pktgen(config, std::move(ports), nullptr, &engine));
  return engine;
}

std::string refusal(const PktGenConfig& config, Port* port) {
  std::unique_ptr<Engine> engine;
  return start_pktgen(config, {port}, nullptr, &engine).text;
}

// Collects whole frames as the port takes them from the tx ring.
struct Tap {
  std::vector<std::string> frames;
  std::vector<unsigned> slots;
  std::string partial;
  unsigned partial_slots = 0;

  explicit Tap(FakePort& port) {
    port.tap = [this](netmap_ring* ring, uint32_t i) {
      const netmap_slot& s = ring->slot[i];
      const char* data =
          s.flags & NS_INDIRECT ? reinterpret_cast<const char*>(s.ptr) : NETMAP_BUF(ring, s.buf_idx);
      partial.append(data, s.len);
      partial_slots++;
      if (s.flags & NS_MOREFRAG) return;
      frames.push_back(partial);
      slots.push_back(partial_slots);
      partial.clear();
      partial_slots = 0;
    };
  }
};

std::string frame_of(const PktGenConfig& config) {
  const Frame frame(config, 0);
  return std::string(reinterpret_cast<const char*>(frame.data()), frame.size());
}

uint32_t word(const std::string& frame, size_t at) {
  return uint32_t(uint8_t(frame[at])) << 8 | uint8_t(frame[at + 1]);
}

bool udp_checksum_holds(const std::string& frame) {
  const auto* f = reinterpret_cast<const uint8_t*>(frame.data());
  const uint32_t length = uint32_t(frame.size()) - 34;
  uint32_t sum = checksum_add(17 + length, f + 26, 8);
  sum = checksum_add(sum, f + 34, length);
  return checksum_fold(sum) == 0 && checksum_fold(checksum_add(0, f + 14, 20)) == 0 &&
         word(frame, 38) == length;
}

}  // namespace

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
    CHECK(std::all_of(tap.frames.begin(), tap.frames.end(), [&](auto& f) { return f == expected; }));
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
  struct { uint32_t size, fragments, most, buffer; unsigned slots; } cases[] = {
      {60, 2, 0, 2048, 2},  {60, 7, 0, 2048, 7},    {60, 63, 0, 2048, 47}, {1514, 1, 100, 2048, 16},
      {5000, 1, 0, 2048, 3}, {65536, 1, 0, 2112, 32}, {300, 5, 14, 2048, 22}};
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

TEST(rx_counts_whole_frames_and_bytes_of_all_slots) {
  FakePort a("a"), b("b");
  FakePort::cable(a, b, true);
  PktGenConfig config = config_of(PktGenFunction::tx, 500);
  config.size = 300;
  config.fragments = 4;
  config.header_length = 10;
  PktGenConfig receive = config_of(PktGenFunction::rx, 500);
  receive.header_length = 10;
  const auto rx = start(receive, {&b});
  const auto tx = start(config, {&a});
  finish(*tx);
  const Outcome o = finish(*rx);
  CHECK(!o.stopped);
  CHECK_EQ(o.total.frames, 500u);
  CHECK_EQ(o.total.accepted, 500u);
  CHECK_EQ(o.total.bytes, 500u * 300);
  CHECK(o.total.min_space >= 0 && o.total.min_space < 64);
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

TEST(without_a_receiver_everything_is_accepted) {
  FakePort a("a"), b("b");
  FakePort::cable(a, b);
  const auto tx = start(config_of(PktGenFunction::tx, 5000), {&a});
  const Outcome o = finish(*tx);
  CHECK_EQ(o.total.accepted, 5000u);
  CHECK_EQ(a.dropped.load(), 5000u - 63);
}

TEST(an_idle_receiver_sleeps_and_ends_when_asked) {
  FakePort port("a");
  const auto rx = start(config_of(PktGenFunction::rx), {&port});
  usleep(20000);
  const uint64_t syncs = port.syncs;
  usleep(50000);
  CHECK_EQ(port.syncs.load(), syncs);
  const uint64_t before = monotonic_ns();
  const Outcome o = finish(*rx, 0);
  CHECK(monotonic_ns() - before < 500000000);
  CHECK_OK(o.status);
  CHECK_EQ(o.total.frames, 0u);
  CHECK_EQ(o.total.first, 0u);
}

TEST(what_was_delivered_before_the_stop_is_counted) {
  FakePort a("a"), b("b");
  FakePort::cable(a, b, true);
  const auto tx = start(config_of(PktGenFunction::tx, 60), {&a});
  finish(*tx);
  const auto rx = start(config_of(PktGenFunction::rx), {&b});
  CHECK_EQ(finish(*rx, 0).total.frames, 60u);
}

TEST(a_second_of_silence_ends_rx_with_w) {
  FakePort a("a"), b("b"), c("c");
  FakePort::cable(a, b, true);
  PktGenConfig config = config_of(PktGenFunction::rx);
  config.wait_once = true;
  const auto rx = start(config, {&b, &c});
  usleep(1100000);
  CHECK(!rx->done());  // the first frame may take as long as it likes
  const auto tx = start(config_of(PktGenFunction::tx, 10), {&a});
  finish(*tx);
  const Outcome o = finish(*rx);
  CHECK(!o.stopped);
  CHECK_EQ(o.total.frames, 10u);
}

TEST(duration_ends_both_directions) {
  FakePort a("a"), b("b");
  FakePort::cable(a, b);
  PktGenConfig config = config_of(PktGenFunction::tx);
  config.duration = 0.1;
  const auto tx = start(config, {&a});
  config.function = PktGenFunction::rx;
  const auto rx = start(config, {&b});
  CHECK(!finish(*tx).stopped);
  CHECK(!finish(*rx).stopped);
}

TEST(a_rate_is_kept) {
  FakePort port("a");
  PktGenConfig config = config_of(PktGenFunction::tx);
  config.rate = 50000;
  config.duration = 0.4;
  const auto tx = start(config, {&port});
  const Outcome o = finish(*tx);
  CHECK(o.total.frames <= 20000 + 166);
  CHECK(o.total.frames > 10000);  // a loaded machine may come late, not early
}

TEST(ping_measures_what_pong_answers) {
  for (unsigned family : {4u, 6u}) {
    for (uint32_t fragments : {1u, 3u}) {
      FakePort a("a"), b("b");
      FakePort::cable(a, b);
      FakePort::cable(b, a);
      Tap answers(b);
      PktGenConfig config = config_of(PktGenFunction::ping, 100);
      config.family = family;
      config.size = 100;
      config.fragments = fragments;
      config.burst = 1;
      const auto pong = start(config_of(PktGenFunction::pong), {&b});
      const auto ping = start(config, {&a});
      const Outcome o = finish(*ping);
      CHECK(!o.stopped);
      CHECK_EQ(o.err, "");
      CHECK_EQ(o.total.frames, 100u);
      CHECK_EQ(o.total.rtt_count, 100u);
      CHECK(o.total.rtt_min > 0);
      uint64_t in_histogram = 0;
      for (uint64_t n : o.total.rtt_histogram) in_histogram += n;
      CHECK_EQ(in_histogram, 100u);
      const Outcome p = finish(*pong, 0);
      CHECK_EQ(p.total.frames, 100u);
      CHECK_EQ(p.total.accepted, 100u);
      REQUIRE(answers.frames.size() == 100);
      const std::string sent = frame_of(config), back = answers.frames[0];
      CHECK_EQ(back.substr(0, 6), sent.substr(6, 6));
      CHECK_EQ(back.substr(6, 6), sent.substr(0, 6));
      if (family == 4) {
        CHECK_EQ(back.substr(26, 4), sent.substr(30, 4));
        CHECK_EQ(back.substr(30, 4), sent.substr(26, 4));
        CHECK(udp_checksum_holds(back));
      } else {
        CHECK_EQ(back.substr(22, 16), sent.substr(38, 16));
      }
    }
  }
}

TEST(rxseq_reports_gaps_disorder_and_a_summary) {
  FakePort a("a"), b("b");
  FakePort::cable(a, b, true);
  const auto rx = start(config_of(PktGenFunction::rxseq), {&b});
  Frame frame(config_of(PktGenFunction::txseq), 0);
  netmap_ring* ring = a.tx_ring(0);
  for (const char number : {0, 1, 5, 6, 3, 7}) {
    const char wire[4] = {0, 0, 0, number};
    frame.set_payload(0, wire, 4);
    std::memcpy(NETMAP_BUF(ring, ring->slot[ring->head].buf_idx), frame.data(), 60);
    ring->slot[ring->head].len = 60;
    ring->head = ring->cur = ring->head + 1;
  }
  a.txsync();
  const Outcome o = finish(*rx, 50);
  CHECK_EQ(o.total.frames, 6u);
  CHECK_EQ(o.err, "Sequence GAP: exp 2 found 5\n"
                  "Sequence: 3 frames missing in 1 gaps, 1 out of order (1 lines not shown)\n");
}

TEST(rxseq_says_nothing_when_all_is_well) {
  FakePort a("a"), b("b");
  FakePort::cable(a, b, true);
  PktGenConfig config = config_of(PktGenFunction::txseq, 2000);
  config.fragments = 5;
  const auto rx = start(config_of(PktGenFunction::rxseq, 2000), {&b});
  const auto tx = start(config, {&a});
  finish(*tx);
  const Outcome o = finish(*rx);
  CHECK_EQ(o.total.frames, 2000u);
  CHECK_EQ(o.err, "");
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

TEST(a_port_that_goes_away_ends_the_run_with_an_error) {
  for (PktGenFunction function : {PktGenFunction::tx, PktGenFunction::rx, PktGenFunction::pong}) {
    FakePort port("vale0:a");
    PktGenConfig config = config_of(function);
    config.rate = 1000;
    const auto engine = start(config, {&port});
    usleep(20000);
    port.unplug(ENXIO);
    const Outcome o = finish(*engine);
    CHECK(!o.stopped);
    CHECK_EQ(o.status.text, "vale0:a was detached while it was in use");
  }
}

TEST(the_last_thread_tells_that_all_are_done) {
  FakePort a("a"), b("b");
  std::atomic<int> calls{0};
  std::unique_ptr<Engine> engine;
  CHECK_OK(start_pktgen(config_of(PktGenFunction::tx, 10), {&a, &b}, [&] { calls++; }, &engine));
  finish(*engine);
  CHECK_EQ(calls.load(), 1);
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

TEST(contradictions_are_refused_in_one_line) {
  FakePort port("a");
  PktGenConfig config = config_of(PktGenFunction::txseq);
  config.size = 45;
  CHECK_EQ(refusal(config, &port), "txseq needs frames of at least 46 bytes, not 45");
  config = config_of(PktGenFunction::tx);
  config.size = 65537;
  CHECK_EQ(refusal(config, &port), "frame size 65537 is not within 16..65536 bytes");
  config.size = 65536;
  config.max_fragment = 100;
  CHECK_EQ(refusal(config, &port), "a: a frame of 65536 bytes takes 656 slots here, at most 63 are possible");
  config = config_of(PktGenFunction::rx);
  config.pcap_file = "x.pcap";
  CHECK_EQ(refusal(config, &port), "x.pcap: a capture is played by function tx, not by rx");
  config = config_of(PktGenFunction::tx);
  config.affinity = 5000;
  config.cpus = 6000;
  CHECK(refusal(config, &port).starts_with("CPU 5000 cannot be used"));
}

TEST(signals_do_not_reach_the_threads) {
  FakePort port("a");
  const auto rx = start(config_of(PktGenFunction::rx), {&port});
  static volatile sig_atomic_t here;
  static pthread_t main_thread;
  main_thread = pthread_self();
  here = 0;
  struct sigaction action = {}, before;
  action.sa_handler = [](int) { here = pthread_equal(pthread_self(), main_thread) ? 1 : 2; };
  sigaction(SIGUSR1, &action, &before);
  kill(getpid(), SIGUSR1);
  usleep(1000);
  CHECK_EQ(here, 1);
  sigaction(SIGUSR1, &before, nullptr);
  finish(*rx, 0);
}
