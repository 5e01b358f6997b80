// SPDX-License-Identifier: BSD-2-Clause
#include "addon/port.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "addon/convert.h"
#include "addon/environment.h"
#include "engine/engine.h"

namespace vale::addon {
namespace {

constexpr uint64_t kNever = UINT64_MAX;
// No sleep is longer: a wake-up lost with a dying sender costs at most this.
constexpr uint64_t kLongestSleep = 1'000'000'000;

uint32_t epoll_events(short events) {
  return ((events & POLLIN) != 0 ? uint32_t{EPOLLIN} : 0) |
         ((events & POLLOUT) != 0 ? uint32_t{EPOLLOUT} : 0);
}

}  // namespace

Napi::Function PortObject::define(Napi::Env env) {
  return DefineClass(
      env, "NativePort",
      {
          InstanceAccessor<&PortObject::info>("info"),
          InstanceAccessor<&PortObject::memory>("memory"),
          InstanceAccessor<&PortObject::memory_key>("memoryKey"),
          InstanceAccessor<&PortObject::first_tx>("firstTx"),
          InstanceAccessor<&PortObject::last_tx>("lastTx"),
          InstanceAccessor<&PortObject::first_rx>("firstRx"),
          InstanceAccessor<&PortObject::last_rx>("lastRx"),
          InstanceMethod<&PortObject::tx_ring>("txRing"),
          InstanceMethod<&PortObject::rx_ring>("rxRing"),
          InstanceMethod<&PortObject::txsync>("txsync"),
          InstanceMethod<&PortObject::rxsync>("rxsync"),
          InstanceMethod<&PortObject::wait>("wait"),
          InstanceMethod<&PortObject::wake>("wake"),
          InstanceMethod<&PortObject::counters>("counters"),
          InstanceMethod<&PortObject::wire_state>("wireState"),
          InstanceAccessor<&PortObject::header_length, &PortObject::set_header_length>(
              "headerLength"),
          InstanceMethod<&PortObject::close>("close"),
      });
}

Napi::Value PortObject::create(Napi::Env env, std::shared_ptr<OpenPort> port) {
  const auto* data = env.GetInstanceData<Environment>();
  return data->port_class.New({Napi::External<std::shared_ptr<OpenPort>>::New(env, &port)});
}

PortObject* PortObject::unwrap(Napi::Env env, Napi::Value value) {
  const auto* data = env.GetInstanceData<Environment>();
  if (value.IsObject() && value.As<Napi::Object>().InstanceOf(data->port_class.Value())) {
    return Unwrap(value.As<Napi::Object>());
  }
  fail(env, Status::fail(EINVAL, "expected a port opened in this thread"));
  return nullptr;
}

PortObject::PortObject(const Napi::CallbackInfo& call) : Napi::ObjectWrap<PortObject>(call) {
  const auto* data = call.Env().GetInstanceData<Environment>();
  poller_ = data->poller;
  if (call.Length() != 1 || !call[0].IsExternal()) {
    fail(call.Env(), Status::fail(EINVAL, "ports are made by a runtime's open()"));
    return;
  }
  port_ = std::move(*call[0].As<Napi::External<std::shared_ptr<OpenPort>>>().Data());
  info_ = port_->port->info();
}

PortObject::~PortObject() {
  if (watch_ != 0) poller_->forget(watch_);
  if (armed_ && port_ != nullptr) port_->port->disarm();
}

// Also while an engine has it: the answers do not touch the rings.
Port* PortObject::open_port(Napi::Env env) {
  if (port_ != nullptr) return port_->port.get();
  fail(env, Status::fail(EBADF, "%s: the port is closed; open it again", info_.name.c_str()));
  return nullptr;
}

Port* PortObject::usable(Napi::Env env, const char* what) {
  Port* port = open_port(env);
  if (port == nullptr || !port_->lent) return port;
  fail(env, Status::fail(EBUSY, "%s: an engine uses the port; %s after it is done",
                         info_.name.c_str(), what));
  return nullptr;
}

std::shared_ptr<OpenPort> PortObject::lend() {
  if (usable(Env(), "start another") == nullptr) return nullptr;
  if (!waiters_.empty()) {
    fail(Env(), Status::fail(EBUSY, "%s: a wait on the port is pending; start the engine after it",
                             info_.name.c_str()));
    return nullptr;
  }
  return port_;
}

Napi::Value PortObject::info(const Napi::CallbackInfo& call) { return to_js(call.Env(), info_); }

Napi::Value PortObject::memory(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  if (!memory_.IsEmpty()) return memory_.Value();
  if (port_ == nullptr) return Napi::ArrayBuffer::New(env, 0);
  lease_ = new Lease{port_};
  const Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(
      env, port_->port->base(), port_->port->info().memsize,
      [](Napi::BasicEnv, void*, Lease* lease) { delete lease; }, lease_);
  if (env.IsExceptionPending() || buffer.IsEmpty()) {
    delete lease_;
    lease_ = nullptr;
    if (env.IsExceptionPending()) env.GetAndClearPendingException();
    return fail(env,
                Status::fail(EOPNOTSUPP,
                             "%s: this JavaScript runtime cannot map memory from outside (built "
                             "with pointer compression, as Electron is); use Node.js",
                             info_.name.c_str()));
  }
  memory_ = Napi::Persistent(buffer);
  return buffer;
}

Napi::Value PortObject::memory_key(const Napi::CallbackInfo& call) {
  const Port* port = open_port(call.Env());
  return port == nullptr ? call.Env().Undefined() : big(call.Env(), port->memory_key());
}

Napi::Value PortObject::first_tx(const Napi::CallbackInfo& call) {
  const Port* port = open_port(call.Env());
  return port == nullptr ? call.Env().Undefined() : Napi::Value::From(call.Env(), port->first_tx());
}
Napi::Value PortObject::last_tx(const Napi::CallbackInfo& call) {
  const Port* port = open_port(call.Env());
  return port == nullptr ? call.Env().Undefined() : Napi::Value::From(call.Env(), port->last_tx());
}
Napi::Value PortObject::first_rx(const Napi::CallbackInfo& call) {
  const Port* port = open_port(call.Env());
  return port == nullptr ? call.Env().Undefined() : Napi::Value::From(call.Env(), port->first_rx());
}
Napi::Value PortObject::last_rx(const Napi::CallbackInfo& call) {
  const Port* port = open_port(call.Env());
  return port == nullptr ? call.Env().Undefined() : Napi::Value::From(call.Env(), port->last_rx());
}

Napi::Value PortObject::ring_place(const Napi::CallbackInfo& call, bool tx) {
  const Napi::Env env = call.Env();
  const Port* port = open_port(env);
  uint32_t i = 0;
  if (port == nullptr || !read_number(env, call[0], "ring", &i)) return env.Undefined();
  const unsigned first = tx ? port->first_tx() : port->first_rx();
  const unsigned last = tx ? port->last_tx() : port->last_rx();
  if (i < first || i >= last) {
    return fail(env, Status::fail(EINVAL, "%s: %s ring %u is not bound; bound are %u to %d",
                                  info_.name.c_str(), tx ? "tx" : "rx", i, first,
                                  static_cast<int>(last) - 1));
  }
  const RingView& ring = tx ? port->tx_view(i) : port->rx_view(i);
  const auto offset = [&](const void* place) {
    return static_cast<double>(static_cast<const char*>(place) - port->base());
  };
  Napi::Object place = Napi::Object::New(env);
  place.Set("offset", offset(ring.ring()));
  place.Set("slots", ring.slots());
  place.Set("buffers", offset(ring.buffer(0)));
  place.Set("bufferSize", ring.buf_size());
  return place;
}

Napi::Value PortObject::tx_ring(const Napi::CallbackInfo& call) { return ring_place(call, true); }
Napi::Value PortObject::rx_ring(const Napi::CallbackInfo& call) { return ring_place(call, false); }

void PortObject::synced(Napi::Env env, const Port& port, int err) {
  if (err != 0) fail(env, sync_status(port.info(), err));
}

void PortObject::txsync(const Napi::CallbackInfo& call) {
  Port* port = usable(call.Env(), "sync");
  if (port != nullptr) synced(call.Env(), *port, port->txsync());
}

void PortObject::rxsync(const Napi::CallbackInfo& call) {
  Port* port = usable(call.Env(), "sync");
  if (port != nullptr) synced(call.Env(), *port, port->rxsync());
}

Napi::Value PortObject::counters(const Napi::CallbackInfo& call) {
  const Port* port = open_port(call.Env());
  return port == nullptr || !port->counted() ? call.Env().Undefined()
                                             : to_js(call.Env(), port->counters());
}

Napi::Value PortObject::wire_state(const Napi::CallbackInfo& call) {
  const Port* port = open_port(call.Env());
  WireState state;
  if (port == nullptr || !port->wire_state(&state)) return call.Env().Undefined();
  return to_js(call.Env(), state);
}

Napi::Value PortObject::header_length(const Napi::CallbackInfo& call) {
  const Port* port = open_port(call.Env());
  return port == nullptr ? call.Env().Undefined()
                         : Napi::Value::From(call.Env(), port->header_length());
}

void PortObject::set_header_length(const Napi::CallbackInfo& call, const Napi::Value& value) {
  Port* port = usable(call.Env(), "set its header length");
  uint32_t length = 0;
  if (port == nullptr || !read_number(call.Env(), value, "headerLength", &length)) return;
  const Status status = port->set_header_length(length);
  if (!status.ok()) fail(call.Env(), status);
}

Napi::Value PortObject::wait(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  if (usable(env, "wait") == nullptr) return env.Undefined();
  const double events = call[0].IsNumber() ? call[0].As<Napi::Number>().DoubleValue() : 0;
  const double timeout =
      call[1].IsNumber() ? call[1].As<Napi::Number>().DoubleValue() : std::nan("");
  if (events != POLLIN && events != POLLOUT && events != (POLLIN | POLLOUT)) {
    return fail(env, Status::fail(EINVAL, "events: expected POLLIN 1, POLLOUT 4, or both 5"));
  }
  if (std::isnan(timeout)) {
    return fail(env, Status::fail(EINVAL, "timeoutMs: expected milliseconds, negative = for ever"));
  }
  const Status started = poller_->start(env);
  if (!started.ok()) return fail(env, started);
  if (watch_ == 0) watch_ = poller_->add(this);

  const bool endless = timeout < 0 || timeout > 1e12;
  const uint64_t deadline =
      endless ? kNever : monotonic_ns() + static_cast<uint64_t>(timeout * 1'000'000);
  napi_deferred deferred;
  napi_value promise;
  // Only a thread that is being terminated gets none; it will not look at the answer either.
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) return env.Undefined();
  waiters_.push_back({deferred, static_cast<short>(events), deadline});
  // Pending waits keep the object, and the loop, alive.
  if (waiters_.size() == 1) {
    Ref();
    poller_->hold();
  }
  pump();
  return Napi::Value(env, promise);
}

// Resolves the waits that hold or whose time is up. The events that the others still want.
short PortObject::settle() {
  short wanted = 0;
  for (const Waiter& waiter : waiters_) wanted = static_cast<short>(wanted | waiter.events);
  const short found = port_->port->ready(wanted);
  const uint64_t now = monotonic_ns();
  wanted = 0;
  std::erase_if(waiters_, [&](Waiter& waiter) {
    const short revents = static_cast<short>(found & (waiter.events | POLLERR | POLLHUP));
    if (revents == 0 && now < waiter.deadline) {
      wanted = static_cast<short>(wanted | waiter.events);
      return false;
    }
    napi_resolve_deferred(Env(), waiter.promise, Napi::Number::New(Env(), revents));
    return true;
  });
  return wanted;
}

void PortObject::pump() {
  if (armed_) {
    port_->port->disarm();
    armed_ = false;
  }
  short wanted = settle();
  if (wanted != 0) {
    port_->port->arm(wanted);
    armed_ = true;
    wanted = settle();
  }
  if (wanted == 0) return finish_waits();

  uint64_t deadline = monotonic_ns() + kLongestSleep;
  for (const Waiter& waiter : waiters_) deadline = std::min(deadline, waiter.deadline);
  const Status status = poller_->watch(watch_, port_->port->fd(),
                                       epoll_events(port_->port->poll_events(wanted)), deadline);
  if (status.ok()) return;
  const Napi::Value error = make_error(Env(), status).Value();
  for (const Waiter& waiter : waiters_) napi_reject_deferred(Env(), waiter.promise, error);
  waiters_.clear();
  finish_waits();
}

void PortObject::finish_waits() {
  if (armed_) port_->port->disarm();
  armed_ = false;
  poller_->release();
  Unref();
}

void PortObject::woken() {
  if (waiters_.empty()) return;
  const Napi::HandleScope scope(Env());
  pump();
}

void PortObject::abandon_waits() {
  if (waiters_.empty()) return;
  for (const Waiter& waiter : waiters_) {
    napi_resolve_deferred(Env(), waiter.promise, Napi::Number::New(Env(), 0));
  }
  waiters_.clear();
  finish_waits();
}

void PortObject::wake(const Napi::CallbackInfo&) { abandon_waits(); }

void PortObject::close(const Napi::CallbackInfo&) {
  if (port_ == nullptr) return;
  abandon_waits();
  if (watch_ != 0) poller_->forget(watch_);
  watch_ = 0;
  if (!memory_.IsEmpty()) {
    Napi::ArrayBuffer buffer = memory_.Value();
    // One that was detached behind our back lives on under another name: then the lease keeps the
    // region mapped until that is collected.
    if (!buffer.IsDetached()) {
      const std::shared_ptr<OpenPort> until_detached = std::move(lease_->port);
      buffer.Detach();
    }
  }
  port_.reset();
}

}  // namespace vale::addon
