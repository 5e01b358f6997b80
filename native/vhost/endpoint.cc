// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/endpoint.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vale::vhost {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

Handle make_socket(int type) {
  return Handle(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

Status check_file(const std::string& path, const struct stat& st) {
  if (S_ISSOCK(st.st_mode)) return Status::good();
  return Status::fail(EEXIST, "%s: there is a file that is no socket; give another path",
                      path.c_str());
}

}  // namespace

Status check_path(const std::string& path) {
  if (!path.empty() && path[0] == '/' && path.size() <= kMaxPath) return Status::good();
  return Status::fail(EINVAL, "%s: expected an absolute path of at most %zu bytes for a socket",
                      path.c_str(), kMaxPath);
}

Handle connect_to(const std::string& path, int type) {
  Handle made = make_socket(type);
  const sockaddr_un address = address_of(path);
  if (connect(made.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return {};
  return made;
}

Endpoint::~Endpoint() {
  if (listening_.valid() && own_file()) unlink(path_.c_str());
}

// The number is nobody else's while the socket is open: it holds the file, removed or not.
bool Endpoint::own_file() const {
  struct stat st;
  return lstat(path_.c_str(), &st) == 0 && st.st_ino == inode_;
}

Status Endpoint::open(const std::string& path, bool client) {
  if (Status s = check_path(path); !s.ok()) return s;
  path_ = path;
  client_ = client;
  if (!client) return bind_here();
  struct stat st;
  return stat(path.c_str(), &st) == 0 ? check_file(path, st) : Status::good();
}

Status Endpoint::open_datagrams(const std::string& path) {
  if (Status s = check_path(path); !s.ok()) return s;
  path_ = path;
  type_ = SOCK_DGRAM;
  return bind_here();
}

Status Endpoint::bind_here() {
  const char* const p = path_.c_str();
  struct stat st;
  if (lstat(p, &st) == 0) {
    if (Status s = check_file(path_, st); !s.ok()) return s;
    // By the other type, which nobody there would notice.
    const int other = type_ == SOCK_STREAM ? SOCK_DGRAM : SOCK_STREAM;
    if (connect_to(path_, other).valid() || errno == EPROTOTYPE) {
      return Status::fail(EBUSY, "%s: another process listens there; give another path", p);
    }
    if (errno != ECONNREFUSED) {
      return Status::fail(errno, "%s: a socket is there that cannot be used: %s", p,
                          std::strerror(errno));
    }
    unlink(p);  // of a process that is gone
  }
  Handle made = make_socket(type_);
  const sockaddr_un address = address_of(path_);
  if (bind(made.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      (type_ == SOCK_STREAM && listen(made.fd(), 4) != 0) || lstat(p, &st) != 0) {
    const int err = errno;
    if (err == ENOENT || err == ENOTDIR) {
      const std::string folder = path_.substr(0, path_.rfind('/'));
      return Status::fail(err, "%s: its folder is not there; make it: mkdir -p %s", p,
                          folder.c_str());
    }
    return Status::fail(err, "%s: cannot make a socket there: %s", p, std::strerror(err));
  }
  inode_ = st.st_ino;
  listening_ = std::move(made);
  return Status::good();
}

Handle Endpoint::meet() {
  if (client_) return connect_to(path_, SOCK_STREAM);
  return Handle(accept4(listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

bool Endpoint::knocks() const {
  pollfd one = {listening_.fd(), POLLIN, 0};
  return type_ == SOCK_STREAM && listening_.valid() && poll(&one, 1, 0) > 0;
}

Status Endpoint::keep(bool* anew) {
  *anew = false;
  if (!listening_.valid() || own_file()) return Status::good();
  const Status status = bind_here();
  *anew = status.ok();
  return status;
}

}  // namespace vale::vhost
