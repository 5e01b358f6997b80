// SPDX-License-Identifier: BSD-2-Clause
#include "agent/options.h"

#include <cerrno>
#include <cstdlib>
#include <limits>

namespace vale {
namespace {

template <class T>
bool number(const char* text, T* out) {
  char* end;
  errno = 0;
  const unsigned long long n = std::strtoull(text, &end, 10);
  if (errno != 0 || end == text || *end != 0 || n > std::numeric_limits<T>::max()) return false;
  *out = static_cast<T>(n);
  return true;
}

}  // namespace

Status parse_agent_options(int argc, char** argv, AgentOptions* out) {
  OpenRequest& port = out->attach.port;
  for (int i = 1; i < argc; i++) {
    const std::string option = argv[i];
    if (option == "--host") {
      out->attach.host = true;
      continue;
    }
    if (option == "--client") {
      out->attach.client = true;
      continue;
    }
    if (option == "--shared") {
      out->attach.shared = true;
      continue;
    }
    if (option == "--force") {
      out->attach.force = true;
      continue;
    }
    const char* const value = i + 1 < argc ? argv[++i] : nullptr;
    if (value == nullptr) return Status::fail(EINVAL, "%s: expected a value", option.c_str());
    bool good = true;
    if (option == "--directory") {
      out->directory = value;
    } else if (option == "--port") {
      port.name = value;
    } else if (option == "--backend") {
      out->attach.backend = value;
    } else if (option == "--netns") {
      out->attach.netns = value;
    } else if (option == "--stream") {
      out->attach.stream = value;
    } else if (option == "--dgram") {
      out->attach.dgram = value;
    } else if (option == "--remote") {
      out->attach.remote = value;
    } else if (option == "--name") {
      out->attach.agent_name = value;
    } else if (option == "--vhost-user") {
      out->attach.vhost_user = value;
    } else if (option == "--tx-slots") {
      good = number(value, &port.tx_slots);
    } else if (option == "--rx-slots") {
      good = number(value, &port.rx_slots);
    } else if (option == "--tx-rings") {
      good = number(value, &port.tx_rings);
    } else if (option == "--rx-rings") {
      good = number(value, &port.rx_rings);
    } else if (option == "--memory") {
      good = number(value, &port.mem_id);
    } else if (option == "--buffer") {
      good = number(value, &port.buf_size);
    } else {
      return Status::fail(EINVAL, "unknown option %s", option.c_str());
    }
    if (!good) return Status::fail(EINVAL, "%s %s: not a number it can take", argv[i - 1], value);
  }
  if (out->directory.empty() || out->directory[0] != '/')
    return Status::fail(EINVAL, "--directory: expected an absolute path");
  if (port.name.find(':') == std::string::npos)
    return Status::fail(EINVAL, "--port: expected SWITCH:INTERFACE");
  return Status::good();
}

}  // namespace vale
