// SPDX-License-Identifier: BSD-2-Clause
// The addon's entry: NativeBinding of src/native-types.ts, made anew for every environment.
#include <napi.h>

#include "addon/convert.h"
#include "addon/engine.h"
#include "addon/environment.h"
#include "addon/port.h"
#include "addon/program.h"
#include "addon/runtime.h"
#include "device/wire.h"
#include "engine/filter.h"
#include "engine/pcapng.h"
#include "nic/probe.h"
#include "shm/inspect.h"

namespace vale::addon {
namespace {

Napi::Value list_interfaces(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  const std::vector<WireInterface> found = interfaces();
  Napi::Array array = Napi::Array::New(env, found.size());
  for (uint32_t i = 0; i < found.size(); i++) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", found[i].name);
    object.Set("mac", format_mac(found[i].mac));
    object.Set("mtu", found[i].mtu);
    array.Set(i, object);
  }
  return array;
}

// What `vale doctor` asks: errno values, 0 = it works.
Napi::Value probe(const Napi::CallbackInfo& call) {
  const WireProbe found = probe_wires();
  Napi::Object object = Napi::Object::New(call.Env());
  object.Set("packetSocket", found.packet_socket);
  object.Set("xdpSocket", found.xdp_socket);
  object.Set("bpfProgram", found.bpf_program);
  object.Set("tcxLink", found.tcx_link);
  object.Set("netfilterTable", found.netfilter_table);
  object.Set("tapDevice", found.tap_device);
  return object;
}

Napi::Value inspect(const Napi::CallbackInfo& call) {
  const bool own = call[0].IsUndefined();
  const DirectoryFacts facts = inspect_directory(own ? "" : call[0].ToString().Utf8Value());
  Napi::Object object = Napi::Object::New(call.Env());
  object.Set("directory", facts.path);
  object.Set("errno", facts.refusal.err);
  object.Set("refusal", facts.refusal.text);
  object.Set("layout", facts.layout);
  object.Set("expectedLayout", facts.expected);
  object.Set("living", facts.living);
  object.Set("dead", facts.dead);
  return object;
}

// What is wrong with a filter, "" nothing.
Napi::Value check_filter(const Napi::CallbackInfo& call) {
  Filter filter;
  const Status status =
      compile_filter(call[0].ToString().Utf8Value(), CapturedInterface().snaplen, &filter);
  return Napi::String::New(call.Env(), status.text);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* data = new Environment;
  env.SetInstanceData(data);
  data->runtime_class = Napi::Persistent(RuntimeObject::define(env));
  data->port_class = Napi::Persistent(PortObject::define(env));
  data->engine_class = Napi::Persistent(EngineObject::define(env));

  exports.Set("version", VALE_VERSION);
  exports.Set("openRuntime", Napi::Function::New<RuntimeObject::open_runtime>(env, "openRuntime"));
  exports.Set("openKernel", Napi::Function::New<RuntimeObject::open_kernel>(env, "openKernel"));
  exports.Set("startPktGen", Napi::Function::New<EngineObject::start_pktgen>(env, "startPktGen"));
  exports.Set("startBridge", Napi::Function::New<EngineObject::start_bridge>(env, "startBridge"));
  exports.Set("startCapture",
              Napi::Function::New<EngineObject::start_capture>(env, "startCapture"));
  exports.Set("checkFilter", Napi::Function::New<check_filter>(env, "checkFilter"));
  exports.Set("probe", Napi::Function::New<probe>(env, "probe"));
  exports.Set("inspect", Napi::Function::New<inspect>(env, "inspect"));
  exports.Set("interfaces", Napi::Function::New<list_interfaces>(env, "interfaces"));
  exports.Set("readerGone", Napi::Function::New<reader_gone>(env, "readerGone"));
  exports.Set("execute", Napi::Function::New<execute>(env, "execute"));
  exports.Set("hasFileCapabilities",
              Napi::Function::New<has_file_capabilities>(env, "hasFileCapabilities"));
  return exports;
}

}  // namespace

NODE_API_MODULE(vale, init)

}  // namespace vale::addon
