// SPDX-License-Identifier: BSD-2-Clause
#include "nic/interface.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vale {
namespace {

class Query {
 public:
  explicit Query(const char* name) : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    // A kernel without IPv4 still answers these on any socket.
    if (fd_ < 0) fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    std::strncpy(request_.ifr_name, name, IFNAMSIZ - 1);
  }
  ~Query() {
    if (fd_ >= 0) close(fd_);
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  bool ask(unsigned long what) { return ioctl(fd_, what, &request_) == 0; }
  const ifreq& answer() const { return request_; }

 private:
  int fd_;
  ifreq request_ = {};
};

}  // namespace

int find_interface(const std::string& name, Interface* out) {
  if (name.empty() || name.size() >= IFNAMSIZ || name.find('/') != std::string::npos) return ENODEV;
  Query query(name.c_str());
  if (!query.ask(SIOCGIFINDEX)) return errno;
  out->name = name;
  out->index = query.answer().ifr_ifindex;
  if (!query.ask(SIOCGIFMTU)) return errno;
  out->mtu = static_cast<uint32_t>(query.answer().ifr_mtu);
  if (!query.ask(SIOCGIFFLAGS)) return errno;
  out->up = (query.answer().ifr_flags & IFF_UP) != 0;
  out->running = (query.answer().ifr_flags & IFF_RUNNING) != 0;
  if (!query.ask(SIOCGIFHWADDR)) return errno;
  out->hardware = query.answer().ifr_hwaddr.sa_family;
  std::memcpy(out->mac, query.answer().ifr_hwaddr.sa_data, sizeof out->mac);
  return 0;
}

int find_interface(int index, Interface* out) {
  char name[IF_NAMESIZE];
  if (index <= 0 || if_indextoname(static_cast<unsigned>(index), name) == nullptr) return ENODEV;
  return find_interface(std::string(name), out);
}

std::vector<Interface> list_interfaces() {
  std::vector<Interface> found;
  struct if_nameindex* names = if_nameindex();
  if (names == nullptr) return found;
  for (const struct if_nameindex* i = names; i->if_name != nullptr; i++) {
    Interface one;
    if (find_interface(std::string(i->if_name), &one) == 0) found.push_back(one);
  }
  if_freenameindex(names);
  return found;
}

}  // namespace vale
