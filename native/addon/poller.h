// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The sleeping half of wait.h, for a thread that runs an event loop and must not sleep itself:
//   1. A client (a port with waits pending) has armed itself, found nothing and calls watch().
//   2. One thread sleeps in epoll for all clients of the environment.
//   3. At an event or a deadline it posts to the environment's loop, which calls client.woken().
// Owns. The thread, the epoll and event descriptors, the threadsafe function. Neither clients nor
//   their descriptors.
// Invariants. Everything but the thread's own loop runs on the environment's thread, so rings are
//   only ever touched there. A watch fires once. The loop is kept alive exactly while a client holds.
// Not here. What being ready means (port.cc).
#pragma once

#include <node_api.h>
#include <pthread.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "status.h"

namespace vale::addon {

class Poller {
 public:
  class Client {
   public:
    virtual void woken() = 0;

   protected:
    ~Client() = default;
  };

  Poller() = default;
  ~Poller() { stop(); }
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Makes the thread, the first time.
  Status start(napi_env env);

  uint64_t add(Client* client);
  // fd may be -1: only the deadline then. deadline: CLOCK_MONOTONIC, ns.
  Status watch(uint64_t id, int fd, uint32_t epoll_events, uint64_t deadline);
  // Must be called before the descriptor is closed.
  void forget(uint64_t id);

  // While at least one hold is out the event loop does not end.
  void hold();
  void release();

 private:
  struct Watch {
    Client* client = nullptr;
    int fd = -1;  // as registered with epoll
    bool pending = false;
    uint64_t deadline = 0;
  };

  static void* run(void* self);
  void loop();
  void stop();
  void nudge();
  static void deliver(napi_env env, napi_value, void* self, void*);

  napi_env env_ = nullptr;
  napi_threadsafe_function post_ = nullptr;
  int epoll_fd_ = -1, event_fd_ = -1;
  pthread_t thread_{};
  bool running_ = false;
  unsigned holds_ = 0;
  uint64_t next_id_ = 1;

  std::mutex lock_;  // of everything below
  bool stopping_ = false;
  uint64_t sleeping_until_ = 0;
  std::map<uint64_t, Watch> watches_;
  std::vector<uint64_t> fired_;
};

}  // namespace vale::addon
