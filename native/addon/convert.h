// SPDX-License-Identifier: BSD-2-Clause
//
// Values between JavaScript and the core: src/native-types.ts on one side, device.h on the other.
#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "device/wire.h"
#include "status.h"

namespace vale::addon {

// An Error with message, code ("ENXIO") and errno (positive).
Napi::Error make_error(Napi::Env env, const Status& status);

// Throws it; returns undefined, for `return fail(...)`.
Napi::Value fail(Napi::Env env, const Status& status);

// What txsync or rxsync answered, as the line for the user.
Status sync_status(const PortInfo& info, int err);

// Reads the fields of an object one by one. The first field of the wrong type or out of range
// throws an EINVAL that names it; everything after that is skipped.
class Fields {
 public:
  Fields(Napi::Env env, Napi::Value value, const char* what);

  bool ok() const { return ok_; }
  Napi::Env env() const { return env_; }
  bool has(const char* name) const;

  // An absent field leaves *out as it is.
  template <typename T>
  void number(const char* name, T* out) {
    static_assert(std::is_integral_v<T> && !std::is_same_v<T, bool>);
    // Above 2^53 a number is no longer exact.
    constexpr double exact = 9007199254740991.0;
    constexpr double low = static_cast<double>(std::numeric_limits<T>::min());
    constexpr double high = static_cast<double>(std::numeric_limits<T>::max());
    double read = 0;
    if (integer(name, low < -exact ? -exact : low, high > exact ? exact : high, &read)) {
      *out = static_cast<T>(read);
    }
  }
  void real(const char* name, double* out);
  void boolean(const char* name, bool* out);
  void string(const char* name, std::string* out);
  void mac(const char* name, uint8_t out[6]);
  // Exactly `length` bytes of a Uint8Array.
  void bytes(const char* name, uint8_t* out, size_t length);
  Napi::Value child(const char* name);
  void reject(const char* name, const char* expected);
  void abandon() { ok_ = false; }  // a child has thrown already

 private:
  bool present(const char* name, Napi::Value* out);
  bool integer(const char* name, double low, double high, double* out);

  Napi::Env env_;
  Napi::Object object_;
  std::string what_;
  bool ok_;
};

// false: an exception is pending.
// An object {backend, shared, force, busy}, all optional; undefined is the default.
bool read_wire_options(Napi::Env env, Napi::Value value, WireOptions* out);
bool read_request(Napi::Env env, Napi::Value value, OpenRequest* out);
bool read_attach(Napi::Env env, Napi::Value port, Napi::Value how, AttachRequest* out);
bool read_string(Napi::Env env, Napi::Value value, const char* what, std::string* out);
bool read_mac(Napi::Env env, Napi::Value value, uint8_t out[6]);
bool read_number(Napi::Env env, Napi::Value value, const char* what, uint32_t* out);

std::string format_mac(const uint8_t mac[6]);

// A number that may be beyond what JavaScript's own are exact for.
inline Napi::Value big(Napi::Env env, uint64_t value) { return Napi::BigInt::New(env, value); }

Napi::Object to_js(Napi::Env env, const PortInfo& info);
Napi::Object to_js(Napi::Env env, const WireState& state);
Napi::Object to_js(Napi::Env env, const PortCounters& counters);
Napi::Object to_js(Napi::Env env, const PortRow& row);
Napi::Object to_js(Napi::Env env, const SwitchRow& row);
Napi::Object to_js(Napi::Env env, const FdbRow& row);
Napi::Object to_js(Napi::Env env, const AgentRow& row);

}  // namespace vale::addon
