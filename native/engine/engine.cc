// SPDX-License-Identifier: BSD-2-Clause
#include "engine/engine.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace vale {

void Lane::space(uint32_t free_slots) {
  const uint64_t interval = interval_.load(std::memory_order_relaxed);
  const uint64_t word = space_.load(std::memory_order_relaxed);
  if (word >> 32 != interval || free_slots < static_cast<uint32_t>(word)) {
    space_.store(interval << 32 | free_slots, std::memory_order_relaxed);
  }
}

void Lane::rtt(uint64_t ns) {
  const std::lock_guard<std::mutex> hold(rtt_lock_);
  if (rtt_count_ == 0 || ns < rtt_min_) rtt_min_ = ns;
  rtt_count_++;
  rtt_sum_ += ns;
  rtt_histogram_[ns == 0 ? 0 : std::bit_width(ns) - 1]++;
}

void Lane::take(EngineSample* out) {
  // accepted was written last and is read first, so nobody ever sees more accepted than offered.
  out->accepted = accepted_.load(std::memory_order_acquire);
  out->frames = frames_.load(std::memory_order_relaxed);
  out->bytes = bytes_.load(std::memory_order_relaxed);
  out->events = events_.load(std::memory_order_relaxed);
  out->first = first_.load(std::memory_order_relaxed);
  out->last = last_.load(std::memory_order_relaxed);
  const uint32_t interval = interval_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t space = space_.load(std::memory_order_relaxed);
  out->min_space = space >> 32 == interval ? static_cast<int64_t>(space & 0xffffffff) : -1;

  const std::lock_guard<std::mutex> hold(rtt_lock_);
  out->rtt_count = std::exchange(rtt_count_, 0);
  out->rtt_min = std::exchange(rtt_min_, 0);
  out->rtt_sum = std::exchange(rtt_sum_, 0);
  std::copy(std::begin(rtt_histogram_), std::end(rtt_histogram_), out->rtt_histogram);
  std::fill(std::begin(rtt_histogram_), std::end(rtt_histogram_), 0);
}

Engine::Engine() : stop_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Engine::~Engine() {
  stop();
  join();
  if (stop_fd_ >= 0) close(stop_fd_);
}

Status Engine::start(Options options, Body body) {
  if (stop_fd_ < 0)
    return Status::fail(EMFILE, "no file descriptor left for the engine's stop event");
  options_ = std::move(options);
  body_ = std::move(body);
  for (unsigned i = 0; i < options_.lanes; i++) lanes_.push_back(std::make_unique<Lane>());

  const unsigned online = static_cast<unsigned>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  const unsigned cpus = options_.cpus == 0 ? online : options_.cpus;

  // Threads inherit the mask of their creator: signals go to the thread that can answer them.
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT}) sigdelset(&blocked, fault);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);

  Status status;
  // Nobody passes enter() before all threads exist.
  std::unique_lock<std::mutex> gate(start_lock_);
  for (unsigned i = 0; i < options_.threads && status.ok(); i++) {
    auto thread = std::make_unique<Thread>();
    thread->engine = this;
    thread->index = i;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    int err = 0;
    const unsigned cpu = options_.affinity < 0 ? 0 : (unsigned(options_.affinity) + i) % cpus;
    if (options_.affinity >= 0) {
      cpu_set_t set;
      CPU_ZERO(&set);
      if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
      err = pthread_attr_setaffinity_np(&attr, sizeof set, &set);
    }
    // pthread_create rather than std::thread: failure is an answer here, not an exception.
    if (err == 0) err = pthread_create(&thread->id, &attr, enter, thread.get());
    pthread_attr_destroy(&attr);
    if (err == EINVAL && options_.affinity >= 0) {
      status = Status::fail(err,
                            "CPU %u cannot be used: %u are online, or it is outside this process's "
                            "CPU set",
                            cpu, online);
    } else if (err != 0) {
      status = Status::fail(err, "thread %u could not be started: %s", i, std::strerror(err));
    } else {
      threads_.push_back(std::move(thread));
    }
  }
  if (status.ok() && options_.duration > 0) {
    const int err = pthread_create(&timer_, nullptr, time_out, this);
    has_timer_ = err == 0;
    if (err != 0) {
      status = Status::fail(err, "the timer's thread could not be started: %s", std::strerror(err));
    }
  }
  started_ = status.ok();
  running_.store(started_ ? options_.threads : 0, std::memory_order_release);
  gate.unlock();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!status.ok()) {
    stop();
    join();
  }
  return status;
}

void* Engine::enter(void* arg) {
  Thread& thread = *static_cast<Thread*>(arg);
  Engine& engine = *thread.engine;
  { const std::lock_guard<std::mutex> gate(engine.start_lock_); }
  if (!engine.started_) return nullptr;

  thread.status = engine.body_(engine, thread.index);
  if (!thread.status.ok()) engine.stop();
  thread.done.store(true, std::memory_order_release);
  if (engine.running_.fetch_sub(1, std::memory_order_acq_rel) == 1 && engine.options_.on_done) {
    engine.options_.on_done();
  }
  return nullptr;
}

void* Engine::time_out(void* arg) {
  Engine& engine = *static_cast<Engine*>(arg);
  // A century is enough, and fits the clock.
  const double duration = std::min(engine.options_.duration, 3e9);
  const uint64_t end = monotonic_ns() + static_cast<uint64_t>(duration * 1e9);
  while (!engine.stopping()) {
    const uint64_t now = monotonic_ns();
    if (now >= end) break;
    engine.sleep(end - now);
  }
  engine.stop();
  return nullptr;
}

void Engine::stop() {
  stopping_.store(true, std::memory_order_relaxed);
  const uint64_t one = 1;
  // Full means that it is readable already.
  [[maybe_unused]] const ssize_t n = write(stop_fd_, &one, sizeof one);
}

bool Engine::sleep(uint64_t ns) const {
  // At most a day at a time, so that it fits the fields.
  ns = std::min<uint64_t>(ns, 86400ull * 1000000000u);
  const timespec ts{static_cast<time_t>(ns / 1000000000u), static_cast<long>(ns % 1000000000u)};
  pollfd stop_event{stop_fd_, POLLIN, 0};
  ppoll(&stop_event, 1, &ts, nullptr);
  return stopping();
}

Status Engine::join() {
  if (!joined_) {
    for (auto& thread : threads_) pthread_join(thread->id, nullptr);
    if (has_timer_) {
      stop();
      pthread_join(timer_, nullptr);
    }
    joined_ = true;
  }
  for (auto& thread : threads_) {
    if (!thread->status.ok()) return thread->status;
  }
  return Status::good();
}

std::vector<EngineSample> Engine::sample() {
  std::vector<EngineSample> out(lanes_.size());
  for (size_t i = 0; i < lanes_.size(); i++) {
    // done before the counters: a sample that says done carries the final ones.
    const size_t thread = std::min(i, threads_.empty() ? 0 : threads_.size() - 1);
    out[i].done = threads_.empty() || threads_[thread]->done.load(std::memory_order_acquire);
    lanes_[i]->take(&out[i]);
    out[i].time = monotonic_ns();
  }
  if (!out.empty()) {
    const std::lock_guard<std::mutex> hold(message_lock_);
    out[0].messages.swap(messages_);
    if (messages_dropped_ != 0) {
      out[0].messages.push_back(
          {true, std::to_string(std::exchange(messages_dropped_, 0)) + " lines not shown"});
    }
  }
  return out;
}

void Engine::say(bool error, std::string text) {
  const std::lock_guard<std::mutex> hold(message_lock_);
  if (messages_.size() >= kMaxMessages) {
    messages_dropped_++;
    return;
  }
  messages_.push_back({error, std::move(text)});
}

void Engine::say_all(bool error, std::string text) {
  for (;;) {
    {
      const std::lock_guard<std::mutex> hold(message_lock_);
      if (messages_.size() < kMaxMessages || stopping()) {
        if (messages_.size() < kMaxMessages) {
          messages_.push_back({error, std::move(text)});
        } else {
          messages_dropped_++;
        }
        return;
      }
    }
    sleep(1000000);
  }
}

}  // namespace vale
