// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One open port as a JavaScript object: the region as an ArrayBuffer, the syncs, and wait().
//   wait() on the environment's thread: ready; arm; ready again; watch (poller.h). Woken, again on
//   that thread: disarm, ready, resolve; or arm again when there was nothing and time is left.
// Owns. The registration, shared with its ArrayBuffer (until close) and with an engine it is lent to.
// Invariants. While lent, JavaScript cannot sync, wait or change it. The region is unmapped only when
//   no ArrayBuffer shows it and no engine uses it. At most one watch at the poller.
// Not here. Opening (runtime.cc), what the rings mean (src/port/ring.ts).
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "addon/poller.h"
#include "device/device.h"

namespace vale::addon {

// A registration and what it needs below it.
struct OpenPort {
  std::shared_ptr<Device> device;  // outlives the port; null for a wire
  std::unique_ptr<Port> port;
  bool lent = false;  // to an engine; environment's thread only
};

class PortObject final : public Napi::ObjectWrap<PortObject>, private Poller::Client {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value create(Napi::Env env, std::shared_ptr<OpenPort> port);
  // nullptr, with an exception pending, when value is no port of this environment.
  static PortObject* unwrap(Napi::Env env, Napi::Value value);

  explicit PortObject(const Napi::CallbackInfo& info);
  ~PortObject() override;

  // For an engine. nullptr, with an exception pending, when it is closed or in use.
  std::shared_ptr<OpenPort> lend();

 private:
  struct Waiter {
    napi_deferred promise;
    short events;
    uint64_t deadline;  // CLOCK_MONOTONIC, ns; UINT64_MAX = never
  };
  // Keeps the region mapped while an ArrayBuffer that is not ours to detach any more shows it.
  struct Lease {
    std::shared_ptr<OpenPort> port;
  };

  Napi::Value info(const Napi::CallbackInfo& call);
  Napi::Value memory(const Napi::CallbackInfo& call);
  Napi::Value memory_key(const Napi::CallbackInfo& call);
  Napi::Value first_tx(const Napi::CallbackInfo& call);
  Napi::Value last_tx(const Napi::CallbackInfo& call);
  Napi::Value first_rx(const Napi::CallbackInfo& call);
  Napi::Value last_rx(const Napi::CallbackInfo& call);
  Napi::Value tx_ring(const Napi::CallbackInfo& call);
  Napi::Value rx_ring(const Napi::CallbackInfo& call);
  void txsync(const Napi::CallbackInfo& call);
  void rxsync(const Napi::CallbackInfo& call);
  Napi::Value wait(const Napi::CallbackInfo& call);
  void wake(const Napi::CallbackInfo& call);
  Napi::Value counters(const Napi::CallbackInfo& call);
  Napi::Value wire_state(const Napi::CallbackInfo& call);
  Napi::Value header_length(const Napi::CallbackInfo& call);
  void set_header_length(const Napi::CallbackInfo& call, const Napi::Value& value);
  void close(const Napi::CallbackInfo& call);

  void woken() override;
  void pump();
  short settle();
  void finish_waits();
  void abandon_waits();

  Port* usable(Napi::Env env, const char* what);
  Port* open_port(Napi::Env env);
  Napi::Value ring_place(const Napi::CallbackInfo& call, bool tx);
  void synced(Napi::Env env, const Port& port, int err);

  PortInfo info_;
  std::shared_ptr<OpenPort> port_;  // null once closed
  std::shared_ptr<Poller> poller_;
  uint64_t watch_ = 0;
  Lease* lease_ = nullptr;
  Napi::Reference<Napi::ArrayBuffer> memory_;
  std::vector<Waiter> waiters_;
  bool armed_ = false;
};

}  // namespace vale::addon
