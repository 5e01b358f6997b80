// SPDX-License-Identifier: BSD-2-Clause
#include "nic/claim.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace vale {
namespace {

// 20 ms apart: the descriptors of a killed process are closed one after the other.
constexpr int kLooks = 25;
constexpr const char* kSockets = "/proc/thread-self/net/unix";  // of this network namespace

struct Holder {
  std::string process, port;
};

// Looks at names "@PREFIXPROCESS/NUMBER/PORT" of others; one who has attached it before all others.
bool find_holder(const std::string& prefix, const std::string& own, Holder* out) {
  FILE* file = std::fopen(kSockets, "re");
  if (file == nullptr) return false;
  bool found = false;
  char line[512];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    const char* at = std::strchr(line, '@');
    if (at == nullptr || std::strncmp(at + 1, prefix.c_str(), prefix.size()) != 0) continue;
    std::string name = at + 1;
    name.erase(name.find_last_not_of('\n') + 1);
    if (name == own) continue;
    const size_t number = name.find('/', prefix.size());
    const size_t port = number == std::string::npos ? number : name.find('/', number + 1);
    if (port == std::string::npos) continue;
    const Holder one = {name.substr(prefix.size(), number - prefix.size()), name.substr(port + 1)};
    // Anybody may have written that, and it is shown to people.
    if (one.process.empty() ||
        !std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isgraph(c); }) ||
        !std::all_of(one.process.begin(), one.process.end(), ::isdigit))
      continue;
    if (!found || !one.port.empty()) *out = one;
    found = true;
  }
  std::fclose(file);
  return found;
}

Status held(const Interface& interface, const ClaimWish& wish, const Holder& holder) {
  const std::string name =
      (wish.host ? "the host's side of interface \"" : "interface \"") + interface.name + '"';
  const char* process = holder.process.c_str();
  if (!holder.port.empty()) {
    return Status::fail(EBUSY,
                        "%s is attached as %s by process %s, of another runtime "
                        "directory if vale ctl does not list it; detach it there first%s",
                        name.c_str(), holder.port.c_str(), process,
                        wish.single ? "" : ", or use --shared to get its frames too");
  }
  return Status::fail(EBUSY, "%s is open in process %s, which takes its frames; end that first%s",
                      name.c_str(), process,
                      wish.single ? "" : ", or use --shared to get them too");
}

}  // namespace

Status claim(const Interface& interface, const ClaimWish& wish, Handle* out) {
  if (wish.shared && wish.port.empty()) return Status::good();
  Handle fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Status::fail(errno, "cannot make a socket: %s", std::strerror(errno));
  const std::string prefix =
      (wish.host ? "vale-host/" : "vale-wire/") + std::to_string(interface.index) + "/";
  const std::string own =
      prefix + std::to_string(getpid()) + "/" + std::to_string(fd.fd()) + "/" + wish.port;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const size_t bytes = std::min(own.size(), sizeof address.sun_path - 1);
  std::memcpy(address.sun_path + 1, own.data(), bytes);
  const socklen_t length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + bytes);
  // Two process namespaces may have a process of one number: then the other one's name stands for both.
  if (bind(fd.fd(), reinterpret_cast<sockaddr*>(&address), length) != 0 && errno != EADDRINUSE)
    return Status::fail(errno, "cannot bind a socket: %s", std::strerror(errno));
  *out = std::move(fd);
  if (wish.shared) return Status::good();
  Holder holder;
  const bool alone = wish.single || !wish.port.empty();
  const auto refused = [&] {
    return find_holder(prefix, own, &holder) && (alone || !holder.port.empty());
  };
  for (int looks = 1; refused(); looks++) {
    if (looks == kLooks) return held(interface, wish, holder);
    usleep(20'000);
  }
  return Status::good();
}

}  // namespace vale
