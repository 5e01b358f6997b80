// SPDX-License-Identifier: BSD-2-Clause
#include "addon/convert.h"

#include <cstring>

namespace vale::addon {
namespace {

// The names Node uses for `code`; strerrorname_np would raise the glibc the binary asks for.
const char* errno_name(int err) {
  switch (err) {
#define NAME(e) \
  case e:       \
    return #e;
    NAME(EPERM)
    NAME(ENOENT)
    NAME(EINTR)
    NAME(EIO)
    NAME(ENXIO)
    NAME(E2BIG)
    NAME(EBADF)
    NAME(EAGAIN)
    NAME(ENOMEM)
    NAME(EACCES)
    NAME(EFAULT)
    NAME(EBUSY)
    NAME(EEXIST)
    NAME(EXDEV)
    NAME(ENODEV)
    NAME(ENOTDIR)
    NAME(EISDIR)
    NAME(EINVAL)
    NAME(ENFILE)
    NAME(EMFILE)
    NAME(EFBIG)
    NAME(ENOSPC)
    NAME(EROFS)
    NAME(EPIPE)
    NAME(ERANGE)
    NAME(EDOM)
    NAME(ENOTTY)
    NAME(ENAMETOOLONG)
    NAME(ENOSYS)
    NAME(ENOTEMPTY)
    NAME(ELOOP)
    NAME(ENODATA)
    NAME(EPROTO)
    NAME(EBADMSG)
    NAME(EOVERFLOW)
    NAME(EILSEQ)
    NAME(EMSGSIZE)
    NAME(EPROTONOSUPPORT)
    NAME(EOPNOTSUPP)
    NAME(EAFNOSUPPORT)
    NAME(EADDRINUSE)
    NAME(EADDRNOTAVAIL)
    NAME(ENETDOWN)
    NAME(ENETUNREACH)
    NAME(ENOBUFS)
    NAME(ETIMEDOUT)
    NAME(ESTALE)
    NAME(ECANCELED)
    NAME(EOWNERDEAD)
#undef NAME
    default:
      return "EUNKNOWN";
  }
}

bool parse_mac(const std::string& text, uint8_t out[6]) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() != 17) return false;
  for (size_t i = 0; i < 6; i++) {
    const int high = digit(text[3 * i]);
    const int low = digit(text[3 * i + 1]);
    if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':')) return false;
    out[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return true;
}

}  // namespace

Napi::Error make_error(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, status.text);
  error.Set("code", Napi::String::New(env, errno_name(status.err)));
  error.Set("errno", Napi::Number::New(env, status.err));
  return error;
}

Napi::Value fail(Napi::Env env, const Status& status) {
  if (!env.IsExceptionPending()) make_error(env, status).ThrowAsJavaScriptException();
  return env.Undefined();
}

Status sync_status(const PortInfo& info, int err) {
  switch (err) {
    case 0:
      return Status::good();
    case ENXIO:
      return Status::fail(err, "%s: the port was detached from its switch; open it again",
                          info.name.c_str());
    case EPIPE:
      return Status::fail(err, "%s: what it watches has closed; open it again once that is open",
                          info.name.c_str());
    case EIO:
      return Status::fail(err, "%s: somebody cut the file of its memory short; open the port again",
                          info.name.c_str());
    case ENODEV:
      return Status::fail(
          err, "%s: %s; open the port again once it is back", info.name.c_str(),
          info.device == "user" ? "the runtime directory was removed" : "the interface went away");
    default:
      return Status::fail(err, "%s: the rings cannot be synchronised: %s", info.name.c_str(),
                          std::strerror(err));
  }
}

Fields::Fields(Napi::Env env, Napi::Value value, const char* what)
    : env_(env), what_(what), ok_(true) {
  if (value.IsEmpty() || !value.IsObject()) {
    ok_ = false;
    fail(env_, Status::fail(EINVAL, "%s: expected an object", what));
    return;
  }
  object_ = value.As<Napi::Object>();
}

bool Fields::present(const char* name, Napi::Value* out) {
  if (!ok_) return false;
  *out = object_.Get(name);
  if (env_.IsExceptionPending()) {
    ok_ = false;
    return false;
  }
  return !out->IsUndefined();
}

bool Fields::has(const char* name) const { return ok_ && object_.Has(name); }

void Fields::reject(const char* name, const char* expected) {
  ok_ = false;
  fail(env_, Status::fail(EINVAL, "%s.%s: expected %s", what_.c_str(), name, expected));
}

bool Fields::integer(const char* name, double low, double high, double* out) {
  Napi::Value value;
  if (!present(name, &value)) return false;
  const double read = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(read >= low && read <= high) || read != std::floor(read)) {
    char expected[96];
    std::snprintf(expected, sizeof expected, "an integer from %.0f to %.0f", low, high);
    reject(name, expected);
    return false;
  }
  *out = read;
  return true;
}

void Fields::real(const char* name, double* out) {
  Napi::Value value;
  if (!present(name, &value)) return;
  const double read = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!std::isfinite(read)) return reject(name, "a finite number");
  *out = read;
}

void Fields::boolean(const char* name, bool* out) {
  Napi::Value value;
  if (!present(name, &value)) return;
  if (!value.IsBoolean()) return reject(name, "true or false");
  *out = value.As<Napi::Boolean>().Value();
}

void Fields::string(const char* name, std::string* out) {
  Napi::Value value;
  if (!present(name, &value)) return;
  if (!value.IsString()) return reject(name, "a string");
  *out = value.As<Napi::String>().Utf8Value();
  if (out->find('\0') != std::string::npos) reject(name, "a string without NUL characters");
}

void Fields::mac(const char* name, uint8_t out[6]) {
  std::string text;
  string(name, &text);
  if (ok_ && !parse_mac(text, out)) reject(name, "a MAC address such as 02:00:00:00:00:01");
}

void Fields::bytes(const char* name, uint8_t* out, size_t length) {
  Napi::Value value;
  if (!present(name, &value)) return;
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array ||
      value.As<Napi::TypedArray>().ByteLength() != length) {
    char expected[48];
    std::snprintf(expected, sizeof expected, "a Uint8Array of %zu bytes", length);
    return reject(name, expected);
  }
  std::memcpy(out, value.As<Napi::Uint8Array>().Data(), length);
}

Napi::Value Fields::child(const char* name) {
  Napi::Value value;
  return present(name, &value) ? value : Napi::Value(env_, env_.Undefined());
}

bool read_request(Napi::Env env, Napi::Value value, OpenRequest* out) {
  Fields fields(env, value, "request");
  fields.string("name", &out->name);
  if (fields.ok() && out->name.empty())
    fields.reject("name", "the name of a port, such as vale0:a");
  fields.number("mode", &out->mode);
  fields.number("ringId", &out->ring_id);
  fields.number("flags", &out->flags);
  fields.number("txSlots", &out->tx_slots);
  fields.number("rxSlots", &out->rx_slots);
  fields.number("txRings", &out->tx_rings);
  fields.number("rxRings", &out->rx_rings);
  fields.number("hostTxRings", &out->host_tx_rings);
  fields.number("hostRxRings", &out->host_rx_rings);
  fields.number("memId", &out->mem_id);
  fields.number("extraBufs", &out->extra_bufs);
  fields.number("bufSize", &out->buf_size);
  return fields.ok();
}

bool read_wire_options(Napi::Env env, Napi::Value value, WireOptions* out) {
  if (value.IsUndefined()) return true;
  Fields fields(env, value, "wire");
  std::string backend;
  bool shared = false;
  fields.string("backend", &backend);
  if (fields.ok() && !backend.empty() && !parse_backend(backend, &out->backend)) {
    fields.reject("backend", "auto, xdp, packet or tap");
  }
  fields.boolean("shared", &shared);
  fields.boolean("force", &out->force);
  fields.boolean("busy", &out->busy);
  out->take_over = !shared;
  return fields.ok();
}

bool read_attach(Napi::Env env, Napi::Value port, Napi::Value how, AttachRequest* out) {
  if (!read_request(env, port, &out->port)) return false;
  Fields fields(env, how, "attach");
  fields.boolean("host", &out->host);
  fields.boolean("shared", &out->shared);
  fields.string("backend", &out->backend);
  fields.boolean("force", &out->force);
  fields.string("netns", &out->netns);
  fields.string("agent", &out->agent);
  fields.string("agentName", &out->agent_name);
  fields.string("vhostUser", &out->vhost_user);
  fields.string("stream", &out->stream);
  fields.string("dgram", &out->dgram);
  fields.string("remote", &out->remote);
  fields.boolean("client", &out->client);
  return fields.ok();
}

bool read_string(Napi::Env env, Napi::Value value, const char* what, std::string* out) {
  if (!value.IsString()) {
    fail(env, Status::fail(EINVAL, "%s: expected a string", what));
    return false;
  }
  *out = value.As<Napi::String>().Utf8Value();
  if (out->empty() || out->find('\0') != std::string::npos) {
    fail(env, Status::fail(EINVAL, "%s: expected a string that is not empty and has no NUL", what));
    return false;
  }
  return true;
}

bool read_mac(Napi::Env env, Napi::Value value, uint8_t out[6]) {
  std::string text;
  if (!read_string(env, value, "mac", &text)) return false;
  if (parse_mac(text, out)) return true;
  fail(env,
       Status::fail(EINVAL, "%s: not a MAC address; write six bytes, such as 02:00:00:00:00:01",
                    text.c_str()));
  return false;
}

bool read_number(Napi::Env env, Napi::Value value, const char* what, uint32_t* out) {
  const double read = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(read >= 0 && read <= 4294967295.0) || read != std::floor(read)) {
    fail(env, Status::fail(EINVAL, "%s: expected an integer from 0 to 4294967295", what));
    return false;
  }
  *out = static_cast<uint32_t>(read);
  return true;
}

}  // namespace vale::addon
