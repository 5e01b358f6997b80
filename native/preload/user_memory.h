// SPDX-License-Identifier: BSD-2-Clause
// Reading and writing where the program says, as the kernel does: an address that is not there is
// EFAULT, not a fault.
#pragma once

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace vale::preload {

inline bool copy_in(void* to, uint64_t from, size_t length) {
  iovec local{to, length}, remote{reinterpret_cast<void*>(from), length};
  const ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  if (n < 0 && errno != EFAULT) {  // forbidden here (seccomp): trust the program
    std::memcpy(to, remote.iov_base, length);
    return true;
  }
  return n == static_cast<ssize_t>(length);
}

inline bool copy_out(uint64_t to, const void* from, size_t length) {
  iovec local{const_cast<void*>(from), length}, remote{reinterpret_cast<void*>(to), length};
  const ssize_t n = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
  if (n < 0 && errno != EFAULT) {
    std::memcpy(remote.iov_base, from, length);
    return true;
  }
  return n == static_cast<ssize_t>(length);
}

}  // namespace vale::preload
