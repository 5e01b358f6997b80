// SPDX-License-Identifier: BSD-2-Clause
#include "addon/runtime.h"

#include <cstring>
#include <utility>
#include <vector>

#include "addon/convert.h"
#include "addon/environment.h"
#include "addon/port.h"
#include "device/kernel.h"
#include "device/user.h"
#include "device/wire.h"

namespace vale::addon {
namespace {

template <typename Row>
Napi::Array to_js(Napi::Env env, const std::vector<Row>& rows) {
  Napi::Array array = Napi::Array::New(env, rows.size());
  for (uint32_t i = 0; i < rows.size(); i++) array.Set(i, addon::to_js(env, rows[i]));
  return array;
}

// Names on a switch start with "vale" and hold a colon, those of pipes a brace; every other name is a
// persistent port's or an interface's, and a persistent port wins. The kernel's netmap opens interfaces
// itself.
Status open_port(Device& device, const OpenRequest& request, const WireOptions& options, bool* wire,
                 std::unique_ptr<Port>* out) {
  *wire = false;
  const Status status = device.open(request, out);
  const bool on_switch =
      request.name.rfind("vale", 0) == 0 && request.name.find(':') != std::string::npos;
  const bool pipe = request.name.find_first_of("{}") != std::string::npos;
  if (std::strcmp(device.name(), "kernel") == 0) return status;
  if (on_switch || pipe || (status.err != ENXIO && status.err != EOPNOTSUPP)) return status;
  *wire = true;
  return open_wire(request, options, out);
}

}  // namespace

// What is handed to the constructor.
struct RuntimeObject::Opened {
  std::unique_ptr<Device> device;
  std::string directory, warning;
};

Napi::Function RuntimeObject::define(Napi::Env env) {
  return DefineClass(env, "NativeRuntime",
                     {
                         InstanceAccessor<&RuntimeObject::device_name>("device"),
                         InstanceAccessor<&RuntimeObject::directory>("directory"),
                         InstanceAccessor<&RuntimeObject::warning>("warning"),
                         InstanceMethod<&RuntimeObject::list>("list"),
                         InstanceMethod<&RuntimeObject::switches>("switches"),
                         InstanceMethod<&RuntimeObject::info>("info"),
                         InstanceMethod<&RuntimeObject::index>("index"),
                         InstanceMethod<&RuntimeObject::create>("create"),
                         InstanceMethod<&RuntimeObject::remove>("remove"),
                         InstanceMethod<&RuntimeObject::attach>("attach"),
                         InstanceMethod<&RuntimeObject::detach>("detach"),
                         InstanceMethod<&RuntimeObject::poll>("poll"),
                         InstanceMethod<&RuntimeObject::agents>("agents"),
                         InstanceMethod<&RuntimeObject::forget_agent>("forgetAgent"),
                         InstanceMethod<&RuntimeObject::set_header_length>("setHeaderLength"),
                         InstanceMethod<&RuntimeObject::get_header_length>("getHeaderLength"),
                         InstanceMethod<&RuntimeObject::fdb_show>("fdbShow"),
                         InstanceMethod<&RuntimeObject::fdb_flush>("fdbFlush"),
                         InstanceMethod<&RuntimeObject::fdb_add>("fdbAdd"),
                         InstanceMethod<&RuntimeObject::fdb_remove>("fdbRemove"),
                         InstanceMethod<&RuntimeObject::set_ageing>("setAgeing"),
                         InstanceMethod<&RuntimeObject::open>("open"),
                         InstanceMethod<&RuntimeObject::close>("close"),
                     });
}

Napi::Value RuntimeObject::open_runtime(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  std::string directory;
  const bool given = !call[0].IsUndefined();
  if (given && !read_string(env, call[0], "directory", &directory)) return env.Undefined();
  Opened opened;
  const Status status = open_user_device(given ? directory.c_str() : nullptr, &opened.device,
                                         &opened.directory, &opened.warning);
  return opened_runtime(env, status, &opened);
}

Napi::Value RuntimeObject::open_kernel(const Napi::CallbackInfo& call) {
  Opened opened;
  const Status status = open_kernel_device(&opened.device);
  opened.directory = kKernelPath;
  return opened_runtime(call.Env(), status, &opened);
}

Napi::Value RuntimeObject::opened_runtime(Napi::Env env, const Status& status, Opened* opened) {
  if (!status.ok()) return fail(env, status);
  return env.GetInstanceData<Environment>()->runtime_class.New(
      {Napi::External<Opened>::New(env, opened)});
}

RuntimeObject::RuntimeObject(const Napi::CallbackInfo& call)
    : Napi::ObjectWrap<RuntimeObject>(call) {
  if (call.Length() != 1 || !call[0].IsExternal()) {
    fail(call.Env(), Status::fail(EINVAL, "runtimes are made by openRuntime()"));
    return;
  }
  Opened* opened = call[0].As<Napi::External<Opened>>().Data();
  device_ = std::move(opened->device);
  directory_ = std::move(opened->directory);
  warning_ = std::move(opened->warning);
}

Device* RuntimeObject::device(Napi::Env env) {
  if (device_ != nullptr) return device_.get();
  fail(env, Status::fail(EBADF, "%s: this runtime was closed; open it again", directory_.c_str()));
  return nullptr;
}

Napi::Value RuntimeObject::device_name(const Napi::CallbackInfo& call) {
  Device* const on = device(call.Env());
  return on == nullptr ? call.Env().Undefined() : Napi::String::New(call.Env(), on->name());
}

Napi::Value RuntimeObject::directory(const Napi::CallbackInfo& call) {
  return Napi::String::New(call.Env(), directory_);
}

Napi::Value RuntimeObject::warning(const Napi::CallbackInfo& call) {
  return Napi::String::New(call.Env(), warning_);
}

Napi::Value RuntimeObject::list(const Napi::CallbackInfo& call) {
  Device* const on = device(call.Env());
  std::vector<PortRow> rows;
  if (on == nullptr) return call.Env().Undefined();
  const Status status = on->list(&rows);
  return status.ok() ? to_js(call.Env(), rows) : fail(call.Env(), status);
}

Napi::Value RuntimeObject::switches(const Napi::CallbackInfo& call) {
  Device* const on = device(call.Env());
  std::vector<SwitchRow> rows;
  if (on == nullptr) return call.Env().Undefined();
  const Status status = on->switches(&rows);
  return status.ok() ? to_js(call.Env(), rows) : fail(call.Env(), status);
}

Napi::Value RuntimeObject::info(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  OpenRequest request;
  PortInfo answer;
  if (on == nullptr || !read_request(env, call[0], &request)) return env.Undefined();
  const Status status = on->info(request.name, request, &answer);
  return status.ok() ? addon::to_js(env, answer) : fail(env, status);
}

Napi::Value RuntimeObject::index(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string port;
  uint32_t switch_index = 0, port_index = 0;
  if (on == nullptr || !read_string(env, call[0], "port", &port)) return env.Undefined();
  const Status status = on->index(port, &switch_index, &port_index);
  if (!status.ok()) return fail(env, status);
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("switchIndex", switch_index);
  answer.Set("portIndex", port_index);
  return answer;
}

Napi::Value RuntimeObject::create(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  OpenRequest request;
  PortInfo answer;
  if (on == nullptr || !read_request(env, call[0], &request)) return env.Undefined();
  const Status status = on->create(request, &answer);
  return status.ok() ? addon::to_js(env, answer) : fail(env, status);
}

Napi::Value RuntimeObject::remove(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string name;
  if (on == nullptr || !read_string(env, call[0], "name", &name)) return env.Undefined();
  const Status status = on->remove(name);
  return status.ok() ? env.Undefined() : fail(env, status);
}

Napi::Value RuntimeObject::attach(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  AttachRequest request;
  uint32_t port_index = 0;
  if (on == nullptr || !read_attach(env, call[0], call[1], &request)) return env.Undefined();
  std::string warning;
  const Status status = on->attach(request, &port_index, &warning);
  if (!status.ok()) return fail(env, status);
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("portIndex", port_index);
  answer.Set("warning", warning);
  return answer;
}

Napi::Value RuntimeObject::detach(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string port;
  uint32_t port_index = 0;
  if (on == nullptr || !read_string(env, call[0], "port", &port)) return env.Undefined();
  const Status status = on->detach(port, &port_index);
  if (!status.ok()) return fail(env, status);
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("portIndex", port_index);
  return answer;
}

Napi::Value RuntimeObject::poll(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string port;
  uint32_t cores = 0, first = 0;
  if (on == nullptr || !read_string(env, call[0], "port", &port) ||
      !read_number(env, call[1], "cores", &cores) || !read_number(env, call[2], "first", &first)) {
    return env.Undefined();
  }
  const Status status = on->polling(port, cores, first);
  return status.ok() ? env.Undefined() : fail(env, status);
}

Napi::Value RuntimeObject::agents(const Napi::CallbackInfo& call) {
  Device* const on = device(call.Env());
  std::vector<AgentRow> rows;
  if (on == nullptr) return call.Env().Undefined();
  const Status status = on->agents(&rows);
  return status.ok() ? to_js(call.Env(), rows) : fail(call.Env(), status);
}

Napi::Value RuntimeObject::forget_agent(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string port;
  if (on == nullptr || !read_string(env, call[0], "port", &port)) return env.Undefined();
  const Status status = on->forget_agent(port, call[1].ToBoolean().Value());
  return status.ok() ? env.Undefined() : fail(env, status);
}

Napi::Value RuntimeObject::set_header_length(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string port;
  uint32_t length = 0;
  if (on == nullptr || !read_string(env, call[0], "port", &port) ||
      !read_number(env, call[1], "length", &length)) {
    return env.Undefined();
  }
  const Status status = on->set_header_length(port, length);
  return status.ok() ? env.Undefined() : fail(env, status);
}

Napi::Value RuntimeObject::get_header_length(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string port;
  uint32_t length = 0;
  if (on == nullptr || !read_string(env, call[0], "port", &port)) return env.Undefined();
  const Status status = on->get_header_length(port, &length);
  return status.ok() ? Napi::Value::From(env, length) : fail(env, status);
}

Napi::Value RuntimeObject::fdb_show(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string sw;
  std::vector<FdbRow> rows;
  if (on == nullptr || !read_string(env, call[0], "switch", &sw)) return env.Undefined();
  const Status status = on->fdb_show(sw, &rows);
  return status.ok() ? to_js(env, rows) : fail(env, status);
}

Napi::Value RuntimeObject::fdb_flush(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string sw;
  uint32_t removed = 0;
  if (on == nullptr || !read_string(env, call[0], "switch", &sw)) return env.Undefined();
  const Status status = on->fdb_flush(sw, &removed);
  return status.ok() ? Napi::Value::From(env, removed) : fail(env, status);
}

Napi::Value RuntimeObject::fdb_add(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string port;
  uint8_t mac[6];
  if (on == nullptr || !read_string(env, call[0], "port", &port) || !read_mac(env, call[1], mac)) {
    return env.Undefined();
  }
  const Status status = on->fdb_add(port, mac);
  return status.ok() ? env.Undefined() : fail(env, status);
}

Napi::Value RuntimeObject::fdb_remove(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string sw;
  uint8_t mac[6];
  if (on == nullptr || !read_string(env, call[0], "switch", &sw) || !read_mac(env, call[1], mac)) {
    return env.Undefined();
  }
  const Status status = on->fdb_remove(sw, mac);
  return status.ok() ? env.Undefined() : fail(env, status);
}

Napi::Value RuntimeObject::set_ageing(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  std::string sw;
  uint32_t seconds = 0;
  if (on == nullptr || !read_string(env, call[0], "switch", &sw) ||
      !read_number(env, call[1], "seconds", &seconds)) {
    return env.Undefined();
  }
  const Status status = on->set_ageing(sw, seconds);
  return status.ok() ? env.Undefined() : fail(env, status);
}

Napi::Value RuntimeObject::open(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Device* const on = device(env);
  OpenRequest request;
  WireOptions options;
  if (on == nullptr || !read_request(env, call[0], &request) ||
      !read_wire_options(env, call[1], &options)) {
    return env.Undefined();
  }
  auto opened = std::make_shared<OpenPort>();
  bool wire = false;
  const Status status = open_port(*on, request, options, &wire, &opened->port);
  if (!status.ok()) return fail(env, status);
  if (!wire) opened->device = device_;
  return PortObject::create(env, std::move(opened));
}

Napi::Value RuntimeObject::close(const Napi::CallbackInfo& call) {
  device_.reset();
  return call.Env().Undefined();
}

}  // namespace vale::addon
