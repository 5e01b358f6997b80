// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The runtime directory, or the kernel's netmap, as a JavaScript object: control calls go straight to
//   the Device; open() hands out a PortObject, of the switch or of a wire.
// Owns. The Device, shared with the ports it opened.
// Invariants. After close() every call fails with EBADF; open ports stay open.
// Not here. Names and suffixes (src/port/name.ts); rings (port.h).
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "device/device.h"

namespace vale::addon {

class RuntimeObject final : public Napi::ObjectWrap<RuntimeObject> {
 public:
  static Napi::Function define(Napi::Env env);
  // openRuntime(directory?)
  static Napi::Value open_runtime(const Napi::CallbackInfo& call);
  // openKernel()
  static Napi::Value open_kernel(const Napi::CallbackInfo& call);

  explicit RuntimeObject(const Napi::CallbackInfo& info);

 private:
  struct Opened;
  static Napi::Value opened_runtime(Napi::Env env, const Status& status, Opened* opened);

  Napi::Value device_name(const Napi::CallbackInfo& call);
  Napi::Value directory(const Napi::CallbackInfo& call);
  Napi::Value warning(const Napi::CallbackInfo& call);
  Napi::Value list(const Napi::CallbackInfo& call);
  Napi::Value switches(const Napi::CallbackInfo& call);
  Napi::Value info(const Napi::CallbackInfo& call);
  Napi::Value index(const Napi::CallbackInfo& call);
  Napi::Value create(const Napi::CallbackInfo& call);
  Napi::Value remove(const Napi::CallbackInfo& call);
  Napi::Value attach(const Napi::CallbackInfo& call);
  Napi::Value detach(const Napi::CallbackInfo& call);
  Napi::Value poll(const Napi::CallbackInfo& call);
  Napi::Value agents(const Napi::CallbackInfo& call);
  Napi::Value forget_agent(const Napi::CallbackInfo& call);
  Napi::Value set_header_length(const Napi::CallbackInfo& call);
  Napi::Value get_header_length(const Napi::CallbackInfo& call);
  Napi::Value fdb_show(const Napi::CallbackInfo& call);
  Napi::Value fdb_flush(const Napi::CallbackInfo& call);
  Napi::Value fdb_add(const Napi::CallbackInfo& call);
  Napi::Value fdb_remove(const Napi::CallbackInfo& call);
  Napi::Value set_ageing(const Napi::CallbackInfo& call);
  Napi::Value open(const Napi::CallbackInfo& call);
  Napi::Value close(const Napi::CallbackInfo& call);

  Device* device(Napi::Env env);

  std::shared_ptr<Device> device_;  // null once closed
  std::string directory_, warning_;
};

}  // namespace vale::addon
