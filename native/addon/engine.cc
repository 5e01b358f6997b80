// SPDX-License-Identifier: BSD-2-Clause
#include "addon/engine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "addon/convert.h"
#include "addon/engine_config.h"
#include "addon/environment.h"

namespace vale::addon {
namespace {

Napi::Object to_js(Napi::Env env, const EngineSample& sample) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("time", big(env, sample.time));
  object.Set("frames", big(env, sample.frames));
  object.Set("bytes", big(env, sample.bytes));
  object.Set("events", big(env, sample.events));
  object.Set("accepted", big(env, sample.accepted));
  object.Set("minSpace", static_cast<double>(sample.min_space));
  object.Set("first", big(env, sample.first));
  object.Set("last", big(env, sample.last));
  object.Set("rttCount", big(env, sample.rtt_count));
  object.Set("rttMin", big(env, sample.rtt_min));
  object.Set("rttSum", big(env, sample.rtt_sum));
  Napi::BigUint64Array histogram = Napi::BigUint64Array::New(env, kRttBuckets);
  std::copy_n(sample.rtt_histogram, kRttBuckets, histogram.Data());
  object.Set("rttHistogram", histogram);
  Napi::Array messages = Napi::Array::New(env, sample.messages.size());
  for (uint32_t i = 0; i < sample.messages.size(); i++) {
    Napi::Object message = Napi::Object::New(env);
    message.Set("stream", sample.messages[i].error ? "err" : "out");
    message.Set("text", sample.messages[i].text);
    messages.Set(i, message);
  }
  object.Set("messages", messages);
  object.Set("done", sample.done);
  return object;
}

}  // namespace

Napi::Function EngineObject::define(Napi::Env env) {
  return DefineClass(env, "NativeEngine",
                     {
                         InstanceMethod<&EngineObject::sample>("sample"),
                         InstanceMethod<&EngineObject::stop>("stop"),
                         InstanceAccessor<&EngineObject::done>("done"),
                     });
}

EngineObject::EngineObject(const Napi::CallbackInfo& call) : Napi::ObjectWrap<EngineObject>(call) {
  if (call.Length() != 1 || !call[0].IsExternal()) {
    fail(call.Env(), Status::fail(EINVAL, "engines are made by the functions named start…()"));
    return;
  }
  napi_value promise;
  if (napi_create_promise(call.Env(), &deferred_, &promise) != napi_ok) return;
  run_ = *call[0].As<Napi::External<std::shared_ptr<Run>>>().Data();
  run_->object = this;
  done_ = Napi::Persistent(Napi::Object(call.Env(), promise));
}

Napi::Value EngineObject::start(Napi::Env env, const std::vector<PortObject*>& ports,
                                const Start& how) {
  auto run = std::make_shared<Run>();
  std::vector<Port*> lent;
  for (PortObject* port : ports) {
    std::shared_ptr<OpenPort> open = port->lend();
    if (open == nullptr) return env.Undefined();
    if (std::find(run->ports.begin(), run->ports.end(), open) != run->ports.end()) {
      return fail(env, Status::fail(EINVAL, "%s: given twice; each thread needs a port of its own",
                                    open->port->info().name.c_str()));
    }
    lent.push_back(open->port.get());
    run->ports.push_back(std::move(open));
  }

  // The threadsafe function shares the run, and joins the threads before it goes.
  napi_value name;
  napi_create_string_utf8(env, "vale engine", NAPI_AUTO_LENGTH, &name);
  const auto finalize = [](napi_env, void* data, void*) {
    auto* share = static_cast<std::shared_ptr<Run>*>(data);
    if ((*share)->engine != nullptr) {
      (*share)->engine->stop();
      (*share)->engine->join();
    }
    delete share;
  };
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1,
                                      new std::shared_ptr<Run>(run), finalize, run.get(), ended,
                                      &run->post) != napi_ok) {
    return fail(env, Status::fail(ENOMEM, "the event loop takes no more callbacks"));
  }

  const auto on_done = [post = run->post] {
    napi_call_threadsafe_function(post, nullptr, napi_tsfn_nonblocking);
  };
  const Status status = how(lent, on_done, &run->engine);
  if (!status.ok()) {
    napi_release_threadsafe_function(run->post, napi_tsfn_abort);
    return fail(env, status);
  }
  const Napi::Object object = env.GetInstanceData<Environment>()->engine_class.New(
      {Napi::External<std::shared_ptr<Run>>::New(env, &run)});
  if (run->object == nullptr) {
    // This thread is being terminated, and JavaScript makes no more objects.
    napi_release_threadsafe_function(run->post, napi_tsfn_abort);
    return env.Undefined();
  }
  for (const auto& port : run->ports) port->lent = true;
  run->object->Ref();  // until finish()
  return object;
}

void EngineObject::ended(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;
  const Napi::HandleScope scope(env);
  EngineObject* object = static_cast<Run*>(context)->object;
  if (object != nullptr) object->finish();
}

void EngineObject::finish() {
  const Status status = run_->engine->join();
  for (const auto& port : run_->ports) port->lent = false;
  run_->ports.clear();
  if (status.ok()) {
    napi_resolve_deferred(Env(), deferred_, Env().Undefined());
  } else {
    napi_reject_deferred(Env(), deferred_, make_error(Env(), status).Value());
  }
  napi_release_threadsafe_function(std::exchange(run_->post, nullptr), napi_tsfn_release);
  Unref();
}

Napi::Value EngineObject::sample(const Napi::CallbackInfo& call) {
  const std::vector<EngineSample> samples = run_->engine->sample();
  Napi::Array array = Napi::Array::New(call.Env(), samples.size());
  for (uint32_t i = 0; i < samples.size(); i++) array.Set(i, to_js(call.Env(), samples[i]));
  return array;
}

Napi::Value EngineObject::stop(const Napi::CallbackInfo& call) {
  run_->engine->stop();
  return call.Env().Undefined();
}

Napi::Value EngineObject::done(const Napi::CallbackInfo&) { return done_.Value(); }

Napi::Value EngineObject::start_pktgen(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  PktGenConfig config;
  if (!call[0].IsArray() || call[0].As<Napi::Array>().Length() == 0) {
    return fail(env, Status::fail(EINVAL, "ports: expected an array with a port for each thread"));
  }
  const Napi::Array list = call[0].As<Napi::Array>();
  std::vector<PortObject*> ports;
  for (uint32_t i = 0; i < list.Length(); i++) {
    PortObject* port = PortObject::unwrap(env, list.Get(i));
    if (port == nullptr) return env.Undefined();
    ports.push_back(port);
  }
  if (!read_config(env, call[1], &config)) return env.Undefined();
  return start(env, ports,
               [&config](const std::vector<Port*>& lent, std::function<void()> on_done,
                         std::unique_ptr<Engine>* out) {
                 return vale::start_pktgen(config, lent, std::move(on_done), out);
               });
}

Napi::Value EngineObject::start_bridge(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  BridgeConfig config;
  PortObject* a = PortObject::unwrap(env, call[0]);
  if (a == nullptr) return env.Undefined();
  PortObject* b = PortObject::unwrap(env, call[1]);
  if (b == nullptr || !read_config(env, call[2], &config)) return env.Undefined();
  return start(env, {a, b},
               [&config](const std::vector<Port*>& lent, std::function<void()> on_done,
                         std::unique_ptr<Engine>* out) {
                 return vale::start_bridge(config, lent[0], lent[1], std::move(on_done), out);
               });
}

Napi::Value EngineObject::start_capture(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  CaptureConfig config;
  PortObject* port = PortObject::unwrap(env, call[0]);
  if (port == nullptr || !read_config(env, call[1], &config)) return env.Undefined();
  return start(env, {port},
               [&config](const std::vector<Port*>& lent, std::function<void()> on_done,
                         std::unique_ptr<Engine>* out) {
                 return vale::start_capture(config, lent[0], std::move(on_done), out);
               });
}

}  // namespace vale::addon
