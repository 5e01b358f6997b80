// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A running engine as a JavaScript object: ports are lent to it, sample() converts what its
//   lanes hold, the last thread posts to the environment's loop, and there done settles and the ports
//   are given back.
// Owns. The Engine, and a share of its ports while it runs.
// Invariants. The threads are joined before the ports are given back, and before the environment
//   ends. A running engine keeps the event loop alive.
// Not here. What engines do (native/engine); turning samples into rates (src/session).
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <vector>

#include "addon/port.h"
#include "engine/engine.h"

namespace vale::addon {

class EngineObject final : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value start_pktgen(const Napi::CallbackInfo& call);
  static Napi::Value start_bridge(const Napi::CallbackInfo& call);
  static Napi::Value start_capture(const Napi::CallbackInfo& call);

  explicit EngineObject(const Napi::CallbackInfo& call);

 private:
  // Outlives the object when that is collected, and the environment's data when that ends first.
  struct Run {
    std::vector<std::shared_ptr<OpenPort>> ports;  // outlive the engine
    std::unique_ptr<Engine> engine;
    napi_threadsafe_function post = nullptr;
    EngineObject* object = nullptr;
  };
  using Start = std::function<Status(const std::vector<Port*>& ports, std::function<void()> on_done,
                                     std::unique_ptr<Engine>* out)>;

  static Napi::Value start(Napi::Env env, const std::vector<PortObject*>& ports, const Start& how);
  static void ended(napi_env env, napi_value, void* run, void*);
  void finish();

  Napi::Value sample(const Napi::CallbackInfo& call);
  Napi::Value stop(const Napi::CallbackInfo& call);
  Napi::Value done(const Napi::CallbackInfo& call);

  std::shared_ptr<Run> run_;
  napi_deferred deferred_ = nullptr;
  Napi::ObjectReference done_;  // the promise
};

}  // namespace vale::addon
