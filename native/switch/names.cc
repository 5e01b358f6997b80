// SPDX-License-Identifier: BSD-2-Clause
#include "switch/names.h"

#include <algorithm>
#include <cstring>

namespace vale {
namespace {

constexpr size_t kMaxSwitchName = 15, kMaxPortName = 15;

bool identifier(char ch) {
  return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
         ch == '_';
}

}  // namespace

Status split_name(const std::string& name, int bad_errno, SplitName* out) {
  const char* n = name.c_str();
  if (is_pipe(name)) {
    return Status::fail(EINVAL, "%s: this is a pipe, not a port of a switch", n);
  }
  const size_t colon = name.find(':');
  if (name.compare(0, 4, "vale") != 0) {
    if (name.empty() || name.size() > kMaxPortName || colon != std::string::npos) {
      return Status::fail(ENXIO, "%s: expected a name of 1 to %zu characters without ':'", n,
                          kMaxPortName);
    }
    *out = {"", name};
    return Status::good();
  }
  if (colon == std::string::npos || colon > kMaxSwitchName ||
      !std::all_of(name.begin(), name.begin() + static_cast<long>(colon), identifier)) {
    return Status::fail(
        bad_errno,
        "%s: expected SWITCH:PORT with a switch name of at most %zu letters, digits or _", n,
        kMaxSwitchName);
  }
  // An interface's name may be as long, and its host side's has one character more.
  const bool host_side = name.back() == '^';
  if (name.size() - colon - 1 > kMaxPortName + (host_side ? 1 : 0)) {
    return Status::fail(bad_errno, "%s: the port's name is longer than %zu characters", n,
                        kMaxPortName);
  }
  *out = {name.substr(0, colon), name.substr(colon + 1)};
  return Status::good();
}

bool is_pipe(const std::string& name) { return name.find_first_of("{}") != std::string::npos; }

Status split_pipe(const std::string& name, SplitPipe* out) {
  size_t at = name.rfind('{');
  if (at == std::string::npos) at = name.rfind('}');
  *out = {name.substr(0, at), name.substr(at)};
  const char* n = name.c_str();
  if (out->parent.empty())
    return Status::fail(EINVAL, "%s: a pipe belongs to a port; put its name before the %c", n,
                        name[at]);
  if (is_pipe(out->parent)) return Status::fail(EINVAL, "%s: a pipe has no pipes of its own", n);
  if (out->end.size() == 1 || !std::all_of(out->end.begin() + 1, out->end.end(), identifier)) {
    return Status::fail(EINVAL, "%s: expected letters, digits or _ after the %c", n, name[at]);
  }
  if (name.size() >= NETMAP_REQ_IFNAMSIZ)
    return Status::fail(EINVAL, "%s: the name is longer than %d characters", n,
                        NETMAP_REQ_IFNAMSIZ - 1);
  return Status::good();
}

std::string full_name(const Control& c, const PortRec& p) {
  const std::string bare(p.name, strnlen(p.name, sizeof p.name));
  if (p.kind == Kind::monitor || p.kind == Kind::null) return bare;
  if (p.kind == Kind::pipe) return full_name(c, c.port(p.parent)) + bare;
  const int32_t s = p.switch_slot.load(std::memory_order_acquire);
  if (s < 0) return bare;
  const SwitchRec& sw = c.sw(static_cast<uint32_t>(s));
  return std::string(sw.name, strnlen(sw.name, sizeof sw.name)) + ":" + bare;
}

int32_t switch_find(const Control& c, const std::string& name) {
  const uint32_t count = c.switches();
  for (uint32_t i = 0; i < count; i++) {
    const SwitchRec& sw = c.sw(i);
    if (sw.state.load(std::memory_order_acquire) == State::live && name == sw.name)
      return static_cast<int32_t>(i);
  }
  return -1;
}

int32_t port_find(const Control& c, const SplitName& name) {
  const int32_t sw = name.sw.empty() ? -1 : switch_find(c, name.sw);
  if (!name.sw.empty() && sw < 0) return -1;
  if (name.sw.empty()) return persistent_find(c, name.port);
  const uint32_t count = c.ports();
  for (uint32_t i = 0; i < count; i++) {
    const PortRec& p = c.port(i);
    if (p.state.load(std::memory_order_acquire) == State::live &&
        p.switch_slot.load(std::memory_order_relaxed) == sw && name.port == p.name) {
      return static_cast<int32_t>(i);
    }
  }
  return -1;
}

int32_t persistent_find(const Control& c, const std::string& bare) {
  const uint32_t count = c.ports();
  for (uint32_t i = 0; i < count; i++) {
    const PortRec& p = c.port(i);
    if (p.state.load(std::memory_order_acquire) == State::live && p.persistent != 0 &&
        bare == p.name) {
      return static_cast<int32_t>(i);
    }
  }
  return -1;
}

Status port_lookup(const Control& c, const std::string& text, int bad_errno, int32_t* slot) {
  *slot = -1;
  if (!is_pipe(text) && text.find('/') == std::string::npos) {
    SplitName name;
    if (Status s = split_name(text, bad_errno, &name); !s.ok()) return s;
    *slot = port_find(c, name);
    return Status::good();
  }
  const uint32_t count = c.ports();
  for (uint32_t i = 0; i < count && *slot < 0; i++) {
    const PortRec& p = c.port(i);
    if (p.state.load(std::memory_order_acquire) == State::live &&
        (p.kind == Kind::pipe || p.kind == Kind::monitor) && full_name(c, p) == text)
      *slot = static_cast<int32_t>(i);
  }
  return Status::good();
}

}  // namespace vale
