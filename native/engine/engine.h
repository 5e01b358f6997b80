// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. An Engine runs native loops over ports, each in a thread of its own:
//   1. start() makes the threads; each runs the body until that returns a Status.
//   2. A loop publishes its totals in a Lane and looks at stopping() once a turn; where it sleeps,
//      it gives stop_fd() to wait_ports().
//   3. Anyone samples with sample(), as often as wanted, without disturbing the loops.
//   4. stop() asks; on_done is called by the last thread to end; join() returns the first error.
//
// Owns. The threads, the stop eventfd, the lanes. Not the ports: whoever starts an Engine keeps
//   them open, and does not touch them, until done().
//
// Invariants. A lane's counters are written by one thread only, with plain stores, on cache lines
//   of their own; they only grow and are exact once done(). Signals are blocked in the threads.
//   ~Engine stops and joins. The first error stops all threads.
//
// Not here. What the loops do (pktgen.h, bridge.h), how totals become rates (TypeScript).
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "shm/monotonic.h"
#include "shm/relax.h"
#include "status.h"

namespace vale {

constexpr unsigned kRttBuckets = 64;  // bucket k counts round trips of [2^k, 2^(k+1)) ns

// A line for the user; no newline at the end (a dump has some inside).
struct EngineMessage {
  bool error;  // standard error, else standard output
  std::string text;
};

// One lane's totals so far. Times are CLOCK_MONOTONIC, ns; 0 = none yet.
struct EngineSample {
  uint64_t time = 0;       // when this sample was taken
  uint64_t frames = 0;     // tx, ping: put on the ring; rx, pong: received; bridge: moved
  uint64_t bytes = 0;      // of those, without virtio-net header
  uint64_t events = 0;     // syncs that moved something
  uint64_t accepted = 0;   // tx, ping: taken by txsync; pong: answered; rx: same as frames
  int64_t min_space = -1;  // least free rx slots since the last sample; -1 = none seen
  uint64_t first = 0;      // first and last frame
  uint64_t last = 0;
  uint64_t rtt_count = 0;  // ping, since the last sample; ns
  uint64_t rtt_min = 0;
  uint64_t rtt_sum = 0;
  uint64_t rtt_histogram[kRttBuckets] = {};
  std::vector<EngineMessage> messages;  // since the last sample; the first lane carries all
  bool done = false;                    // the lane's thread has ended
};

// What one loop publishes. Only its thread calls anything here but take().
class alignas(128) Lane {
 public:
  void add(uint64_t frames, uint64_t bytes, uint64_t accepted) {
    bump(frames_, frames);
    bump(bytes_, bytes);
    add_accepted(accepted);
  }
  void add_accepted(uint64_t frames) {
    accepted_.store(accepted() + frames, std::memory_order_release);
  }
  void add_event() { bump(events_, 1); }
  void seen(uint64_t now) {  // frames moved at `now`
    if (first_.load(std::memory_order_relaxed) == 0) first_.store(now, std::memory_order_relaxed);
    last_.store(now, std::memory_order_relaxed);
  }
  void space(uint32_t free_slots);
  void rtt(uint64_t ns);  // takes a lock: for loops that measure single frames

  uint64_t frames() const { return frames_.load(std::memory_order_relaxed); }
  uint64_t accepted() const { return accepted_.load(std::memory_order_relaxed); }

  // Everything but time, messages and done. Resets what counts "since the last sample".
  void take(EngineSample* out);

 private:
  static void bump(std::atomic<uint64_t>& word, uint64_t n) {
    word.store(word.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  std::atomic<uint64_t> frames_{0}, bytes_{0}, events_{0}, accepted_{0}, first_{0}, last_{0};
  std::atomic<uint64_t> space_{0};  // (interval << 32) | smallest; belongs to the loop
  alignas(128) std::atomic<uint32_t> interval_{1};  // belongs to whoever samples
  std::mutex rtt_lock_;
  uint64_t rtt_count_ = 0, rtt_min_ = 0, rtt_sum_ = 0;
  uint64_t rtt_histogram_[kRttBuckets] = {};
};

class Engine {
 public:
  // What a thread runs; its own number from 0. Threads and lanes usually correspond, but need not:
  // a bridge is one thread with a lane for each direction.
  using Body = std::function<Status(Engine&, unsigned thread)>;

  Engine();
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Makes the threads. duration in s, 0 = until stopped. affinity: first CPU, -1 = none; thread i
  // runs on CPU (affinity + i) mod cpus, cpus 0 = all that are online. on_done, if any, is called
  // once, by the last thread, as its last act; it must not destroy the Engine. EAGAIN when the
  // system has no more threads, EINVAL for a CPU that does not exist; on failure nothing runs and
  // on_done is not called.
  struct Options {
    unsigned threads = 1;
    unsigned lanes = 1;
    double duration = 0;
    int affinity = -1;
    unsigned cpus = 0;
    std::function<void()> on_done;
  };
  Status start(Options options, Body body);

  // Ask all loops to end soon. Any thread, any number of times.
  void stop();
  // One per lane. Any one thread at a time.
  std::vector<EngineSample> sample();
  bool done() const { return running_.load(std::memory_order_acquire) == 0; }
  // Waits for the end; the first error of a thread, or good.
  Status join();

  // For the loops:
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  int stop_fd() const { return stop_fd_; }  // readable for ever once stop() was called
  bool sleep(uint64_t ns) const;            // until then, a day, or stop(); whether to stop
  Lane& lane(unsigned i) { return *lanes_[i]; }
  unsigned lanes() const { return static_cast<unsigned>(lanes_.size()); }
  // A line for the user. While kMaxMessages wait to be sampled further ones are dropped, and the
  // next sample says how many.
  void say(bool error, std::string text);
  // The same, but waits for room (or the end), for output that must be complete.
  void say_all(bool error, std::string text);

  static constexpr size_t kMaxMessages = 8192;

 private:
  struct Thread {
    Engine* engine;
    unsigned index;
    pthread_t id;
    Status status;
    std::atomic<bool> done{false};
  };
  static void* enter(void* thread);
  static void* time_out(void* engine);

  int stop_fd_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<unsigned> running_{0};
  std::mutex start_lock_;
  bool started_ = false;
  Body body_;
  Options options_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  bool has_timer_ = false;
  pthread_t timer_{};
  bool joined_ = false;
  std::mutex message_lock_;
  std::vector<EngineMessage> messages_;
  uint64_t messages_dropped_ = 0;
};

}  // namespace vale
