// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What every measuring program shares: its arguments, two pinned processes over one shared
//   mapping, the clock, the cache-line round trip, and one JSON object on stdout.
//   1. Args: declare with number()/word()/flag(), then done() refuses whatever is left.
//   2. fork_peer() after shared<T>(): parent on the first processor allowed, child on the second.
//   3. round_trip() in the parent while the child is in answer_round_trips(); traffic; once more.
//
// Owns. Nothing that outlives the process; a child is killed with its parent.
//
// Invariants. No program here waits for its peer without looking at stopped().
//
// Not here. What is measured (the .cc files), how runs are paired and compared (bench/ at the top).
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "switch/prefetch.h"

namespace bench {

// The ring geometry every limit uses, and the switch's default: 1024 slots, buffers of 33 cache
// lines, so that equal offsets in consecutive buffers do not compete for one cache set.
constexpr unsigned kSlots = 1024;
constexpr unsigned kStride = 2112;

using vale::prefetch_for_write;

inline uint64_t now_ns() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1000000000u + static_cast<uint64_t>(ts.tv_nsec);
}

// Processor time a process has used, ns; 0 = the caller.
inline uint64_t cpu_ns(pid_t process = 0) {
  clockid_t clock;
  timespec ts = {};
  if (clock_getcpuclockid(process, &clock) == 0) clock_gettime(clock, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1000000000u + static_cast<uint64_t>(ts.tv_nsec);
}

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

[[noreturn, gnu::format(printf, 2, 3)]] inline void die(int code, const char* format, ...) {
  va_list ap;
  va_start(ap, format);
  std::vfprintf(stderr, format, ap);
  va_end(ap);
  std::fputc('\n', stderr);
  std::exit(code);
}

// A word with its two cache lines to itself: the adjacent-line prefetcher pulls pairs.
struct alignas(128) Line {
  std::atomic<uint64_t> value{0};
};

// Of the first 16 bytes of a frame: a value that cannot be had without reading them.
inline uint64_t sum_of_header(const char* frame) {
  uint64_t words[2];
  std::memcpy(words, frame, sizeof words);
  return words[0] ^ words[1];
}

// Of all words of it that are whole.
inline uint64_t sum_of_words(const char* frame, unsigned length) {
  uint64_t sum = 0;
  for (unsigned i = 0; i + 8 <= length; i += 8) {
    uint64_t word;
    std::memcpy(&word, frame + i, sizeof word);
    sum += word;
  }
  return sum;
}

// Set by SIGINT and SIGTERM, and when the peer ends, so that nobody spins for a dead one. The one
// global: a signal handler has nowhere else to write.
inline volatile sig_atomic_t stop_requested = 0;
inline bool stopped() { return stop_requested != 0; }
inline void stop_on_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { stop_requested = 1; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGCHLD, &action, nullptr);
}

// `--key value` and `--flag`, each declared once with its default. Exits 2 on anything else.
class Args {
 public:
  Args(int argc, char** argv) : program_(argv[0]), words_(argv + 1, argv + argc) {}

  double number(const char* key, double fallback, double least, double most) {
    const std::string text = word(key, "");
    if (text.empty()) return fallback;
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (*end != '\0' || !(value >= least && value <= most)) {
      die(2, "%s: --%s %s: not a number in %g..%g", program_, key, text.c_str(), least, most);
    }
    return value;
  }
  unsigned whole(const char* key, unsigned fallback, unsigned least, unsigned most) {
    return static_cast<unsigned>(number(key, fallback, least, most));
  }
  std::string word(const char* key, const char* fallback) {
    std::string value = fallback;
    known_ += std::string(" [--") + key + " VALUE]";
    const auto at = std::find(words_.begin(), words_.end(), std::string("--") + key);
    if (at == words_.end()) return value;
    if (at + 1 == words_.end()) die(2, "%s: --%s needs a value", program_, key);
    value = at[1];
    words_.erase(at, at + 2);
    return value;
  }
  bool flag(const char* key) {
    known_ += std::string(" [--") + key + "]";
    const auto at = std::find(words_.begin(), words_.end(), std::string("--") + key);
    if (at == words_.end()) return false;
    words_.erase(at);
    return true;
  }
  void done() const {
    if (words_.empty()) return;
    const char* odd = words_.front().c_str();
    if (words_.front() == "--help" || words_.front() == "-h") {
      std::printf("usage: %s%s\n", program_, known_.c_str());
      std::exit(0);
    }
    die(2, "%s: %s: unknown argument; usage: %s%s", program_, odd, program_, known_.c_str());
  }

 private:
  const char* program_;
  std::vector<std::string> words_;
  std::string known_;
};

// Pin the caller to the n-th processor it may use, counted from 0.
inline void pin(unsigned n) {
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &allowed) || n-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) die(1, "cannot pin to processor %u", cpu);
    return;
  }
  die(1, "this measurement needs two processors; this process may use fewer");
}

// A T in memory that a forked child shares; every page is present before the clock starts.
template <class T>
T* shared() {
  void* at = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED) die(1, "cannot map %zu bytes: %s", sizeof(T), std::strerror(errno));
  return new (at) T();
}

// 0 in the child. Pins the parent to processor 0 and the child to processor 1 of those allowed.
inline pid_t fork_peer() {
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) die(1, "cannot fork: %s", std::strerror(errno));
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    pin(1);
  } else {
    pin(0);
  }
  return child;
}

// Waits for the child; exits 1 when it failed, since its half of the figure is missing then.
inline void join_peer(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) die(1, "the peer process failed");
}

// One timed window: open() starts it, close() ends it. Says how much of it the processes ran.
class Window {
 public:
  // other: a second process to watch, 0 = none.
  void open(pid_t other) {
    other_ = other;
    own_cpu_ = cpu_ns();
    other_cpu_ = other != 0 ? cpu_ns(other) : 0;
    start_ = now_ns();
  }
  void close() {
    const double wall = static_cast<double>(now_ns() - start_);
    seconds_ = wall * 1e-9;
    own_share_ = static_cast<double>(cpu_ns() - own_cpu_) / wall;
    other_share_ = other_ != 0 ? static_cast<double>(cpu_ns(other_) - other_cpu_) / wall : 1;
  }
  bool opened() const { return start_ != 0; }
  double seconds() const { return seconds_; }
  double own_share() const { return own_share_; }      // of one processor, 0..1
  double other_share() const { return other_share_; }  // 1 when there is no other

 private:
  pid_t other_ = 0;
  uint64_t start_ = 0, own_cpu_ = 0, other_cpu_ = 0;
  double seconds_ = 0, own_share_ = 1, other_share_ = 1;
};

constexpr uint64_t kWarmUp = 20'000'000;  // ns of traffic before a window opens
constexpr uint64_t kEndRoundTrips = ~0ull;

// The peer's half of round_trip(): turn every odd value into the next even one. Compare-and-swap
// fetches the line for writing at once, so a round trip is two transfers and not four.
inline void answer_round_trips(Line* line) {
  for (uint64_t next = 1; !stopped();) {
    uint64_t seen = next;
    if (line->value.compare_exchange_strong(seen, next + 1)) next += 2;
    if (seen == kEndRoundTrips) break;
  }
  line->value.store(0);
}

// Median over 9 trains of 500 of one line's way to the other processor and back, s. The peer must
// be in, or on its way to, answer_round_trips(); it leaves that before this returns.
inline double round_trip(Line* line) {
  double trains[9];
  uint64_t value = 0;
  for (double& train : trains) {
    constexpr unsigned kTrips = 500;
    const uint64_t start = now_ns();
    for (unsigned i = 0; i < kTrips; i++, value += 2) {
      uint64_t seen = value;
      while (!line->value.compare_exchange_strong(seen, value + 1) && !stopped()) seen = value;
    }
    train = static_cast<double>(now_ns() - start) * 1e-9 / kTrips;
  }
  for (uint64_t seen = value; !line->value.compare_exchange_strong(seen, kEndRoundTrips);) {
    if (stopped()) break;
    seen = value;
  }
  while (line->value.load() != 0 && !stopped()) relax();
  std::sort(trains, trains + 9);
  return trains[4];
}

// One JSON object on one line, SI base units.
class Json {
 public:
  Json& text(const char* key, const std::string& value) { return raw(key, "\"" + value + "\""); }
  Json& whole(const char* key, uint64_t value) { return raw(key, std::to_string(value)); }
  Json& real(const char* key, double value) {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.6g", value);
    return raw(key, digits);
  }
  // Frames moved in a window, the two rates everything is compared by, and how much of the window
  // each process had a processor.
  Json& rate(uint64_t frames, unsigned size, const Window& window) {
    const double per_second = static_cast<double>(frames) / window.seconds();
    whole("frames", frames).real("seconds", window.seconds());
    real("framesPerSecond", per_second).real("bitsPerSecond", per_second * 8 * size);
    return real("cpuShare", window.own_share()).real("peerCpuShare", window.other_share());
  }
  void print() const { std::printf("{%s}\n", body_.c_str()); }

 private:
  Json& raw(const char* key, const std::string& value) {
    if (!body_.empty()) body_ += ",";
    body_ += std::string("\"") + key + "\":" + value;
    return *this;
  }
  std::string body_;
};

}  // namespace bench
