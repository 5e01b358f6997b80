// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Where the process of a guest is met, a unix socket's path:
//   1. open(): as its server, or as a client of who listens there; or for datagrams.
//   2. meet(): a new connection, if there is one now; of datagrams there is none, fd() is what receives.
//   3. keep(), now and then: a file that somebody removed is made again. knocks(): whether somebody waits to be met.
// Owns. The socket there and its file; a file that nobody listens on any more is replaced.
// Invariants. Never waits. The file goes with the endpoint, if it is still this one's.
// Not here. What is said (channel.h).
#pragma once

#include <sys/socket.h>

#include <string>

#include "nic/bpf.h"
#include "status.h"

namespace vale::vhost {

constexpr size_t kMaxPath = 107;  // bytes of a unix socket's path

Status check_path(const std::string& path);
// A socket of this type (SOCK_STREAM, SOCK_DGRAM) that does not block; not valid, and errno: nobody is there.
Handle connect_to(const std::string& path, int type);

class Endpoint {
 public:
  Endpoint() = default;
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // EINVAL, ENOENT, EACCES, EBUSY: somebody listens there. EEXIST: a file that is no socket.
  Status open(const std::string& path, bool client);
  Status open_datagrams(const std::string& path);
  // Readable when somebody wants to be met; -1 for a client, who tries now and then.
  int fd() const { return listening_.fd(); }
  bool client() const { return client_; }
  // Not valid: nobody. The socket does not block.
  Handle meet();
  bool knocks() const;
  // Good: people find it at its path; *anew: by another fd() than before. Else why not, and who was met before the
  // file went is not hurt. A client has no file.
  Status keep(bool* anew);

 private:
  Status bind_here();
  bool own_file() const;

  std::string path_;
  int type_ = SOCK_STREAM;
  bool client_ = false;
  Handle listening_;
  uint64_t inode_ = 0;  // of the file
};

}  // namespace vale::vhost
