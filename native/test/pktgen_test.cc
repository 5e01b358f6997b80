// SPDX-License-Identifier: BSD-2-Clause
// The generator's other functions over ports on the heap: what is received, answered, counted and
// said, and how a run ends.
#include "test/support/pktgen.h"

#include <signal.h>

#include <atomic>

using namespace pktgen;

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
  for (const int number : {0, 1, 5, 6, 3, 7}) {
    const char wire[4] = {0, 0, 0, static_cast<char>(number)};
    frame.set_payload(0, wire, 4);
    std::memcpy(NETMAP_BUF(ring, ring->slot[ring->head].buf_idx), frame.data(), 60);
    ring->slot[ring->head].len = 60;
    ring->head = ring->cur = ring->head + 1;
  }
  a.txsync();
  const Outcome o = finish(*rx, 50);
  CHECK_EQ(o.total.frames, 6u);
  CHECK_EQ(o.err,
           "Sequence GAP: exp 2 found 5\n"
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
  CHECK_OK(start_pktgen(
      config_of(PktGenFunction::tx, 10), {&a, &b}, [&] { calls++; }, &engine));
  finish(*engine);
  CHECK_EQ(calls.load(), 1);
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
  CHECK_EQ(refusal(config, &port),
           "a: a frame of 65536 bytes takes 656 slots of a tx ring in which 63 can be used; send "
           "shorter "
           "frames or longer fragments, or open it with more slots");
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
