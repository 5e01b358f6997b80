// SPDX-License-Identifier: BSD-2-Clause
#include "addon/poller.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/engine.h"

namespace vale::addon {
namespace {

constexpr uint64_t kNever = UINT64_MAX;

}  // namespace

Status Poller::start(napi_env env) {
  if (post_ != nullptr) return Status::good();
  if (stopping_) return Status::fail(ECANCELED, "this thread is ending; nothing can be waited for");
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  event_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{EPOLLIN, {.u64 = 0}};
  if (epoll_fd_ < 0 || event_fd_ < 0 ||
      epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, event_fd_, &event) != 0) {
    const int err = errno;
    if (epoll_fd_ >= 0) close(epoll_fd_);
    if (event_fd_ >= 0) close(event_fd_);
    epoll_fd_ = event_fd_ = -1;
    return Status::fail(err, "cannot wait for ports: %s", std::strerror(err));
  }
  env_ = env;
  napi_value name;
  napi_create_string_utf8(env, "vale poller", NAPI_AUTO_LENGTH, &name);
  const auto finalize = [](napi_env, void* self, void*) { static_cast<Poller*>(self)->stop(); };
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, this, finalize, this,
                                      deliver, &post_) != napi_ok) {
    post_ = nullptr;
    return Status::fail(ENOMEM, "cannot wait for ports: the event loop takes no more callbacks");
  }
  napi_unref_threadsafe_function(env, post_);

  // Signals are for the threads of the program.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int err = pthread_create(&thread_, nullptr, run, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  running_ = err == 0;
  if (running_) return Status::good();
  napi_release_threadsafe_function(post_, napi_tsfn_abort);
  stop();
  return Status::fail(err, "cannot wait for ports: no thread: %s", std::strerror(err));
}

uint64_t Poller::add(Client* client) {
  const std::lock_guard guard(lock_);
  watches_[next_id_].client = client;
  return next_id_++;
}

Status Poller::watch(uint64_t id, int fd, uint32_t epoll_events, uint64_t deadline) {
  const std::lock_guard guard(lock_);
  Watch& watch = watches_[id];
  // Pending before epoll can see the descriptor: an event that is there already must find it.
  watch.pending = true;
  watch.deadline = deadline;
  if (fd >= 0) {
    epoll_event event{epoll_events | EPOLLONESHOT, {.u64 = id}};
    if (watch.fd >= 0 && watch.fd != fd) {
      epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, watch.fd, nullptr);
      watch.fd = -1;
    }
    if (epoll_ctl(epoll_fd_, watch.fd < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0) {
      watch.pending = false;
      return Status::fail(errno, "cannot wait for a port: %s", std::strerror(errno));
    }
    watch.fd = fd;
  }
  if (deadline < sleeping_until_) nudge();
  return Status::good();
}

void Poller::forget(uint64_t id) {
  const std::lock_guard guard(lock_);
  const auto found = watches_.find(id);
  if (found == watches_.end()) return;
  if (found->second.fd >= 0) epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, found->second.fd, nullptr);
  watches_.erase(found);
}

void Poller::hold() {
  if (holds_++ == 0 && post_ != nullptr) napi_ref_threadsafe_function(env_, post_);
}

void Poller::release() {
  if (--holds_ == 0 && post_ != nullptr) napi_unref_threadsafe_function(env_, post_);
}

void Poller::nudge() {
  const uint64_t one = 1;
  // Only a counter at its limit refuses, and then the thread wakes anyway.
  [[maybe_unused]] const ssize_t written = write(event_fd_, &one, sizeof one);
}

void* Poller::run(void* self) {
  static_cast<Poller*>(self)->loop();
  return nullptr;
}

void Poller::loop() {
  epoll_event events[64];
  std::unique_lock guard(lock_);
  while (!stopping_) {
    const uint64_t now = monotonic_ns();
    uint64_t next = kNever;
    const size_t before = fired_.size();
    for (auto& [id, watch] : watches_) {
      if (!watch.pending) continue;
      if (watch.deadline <= now) {
        watch.pending = false;
        fired_.push_back(id);
      } else {
        next = std::min(next, watch.deadline);
      }
    }
    const bool expired = fired_.size() > before;
    sleeping_until_ = expired ? 0 : next;
    guard.unlock();
    if (expired) napi_call_threadsafe_function(post_, nullptr, napi_tsfn_nonblocking);
    // Rounded up: waking before the deadline would only spin.
    const int timeout =
        expired ? 0
        : next == kNever
            ? -1
            : static_cast<int>(std::min<uint64_t>((next - now + 999'999) / 1'000'000, 3'600'000));
    const int count = epoll_wait(epoll_fd_, events, std::size(events), timeout);
    guard.lock();
    sleeping_until_ = 0;
    bool found = false;
    for (int i = 0; i < count; i++) {
      const uint64_t id = events[i].data.u64;
      if (id == 0) {
        uint64_t drained;
        [[maybe_unused]] const ssize_t got = read(event_fd_, &drained, sizeof drained);
        continue;
      }
      const auto watch = watches_.find(id);
      if (watch == watches_.end() || !watch->second.pending) continue;
      watch->second.pending = false;
      fired_.push_back(id);
      found = true;
    }
    if (found) {
      guard.unlock();
      napi_call_threadsafe_function(post_, nullptr, napi_tsfn_nonblocking);
      guard.lock();
    }
  }
}

void Poller::deliver(napi_env env, napi_value, void* context, void*) {
  auto* self = static_cast<Poller*>(context);
  if (env == nullptr) return;
  std::vector<uint64_t> fired;
  {
    const std::lock_guard guard(self->lock_);
    fired.swap(self->fired_);
  }
  for (const uint64_t id : fired) {
    Client* client = nullptr;
    {
      const std::lock_guard guard(self->lock_);
      const auto found = self->watches_.find(id);
      if (found != self->watches_.end()) client = found->second.client;
    }
    if (client != nullptr) client->woken();
  }
}

void Poller::stop() {
  {
    const std::lock_guard guard(lock_);
    stopping_ = true;
    if (event_fd_ >= 0) nudge();
  }
  if (running_) pthread_join(thread_, nullptr);
  running_ = false;
  post_ = nullptr;
  if (epoll_fd_ >= 0) close(epoll_fd_);
  if (event_fd_ >= 0) close(event_fd_);
  epoll_fd_ = event_fd_ = -1;
}

}  // namespace vale::addon
