// SPDX-License-Identifier: BSD-2-Clause
// What the core calls instead of open(2), close(2) and the like when it is linked into this library
// (the linker's --wrap): libc's own, and the descriptors it gets are marked as internal.
#include <dirent.h>
#include <fcntl.h>

#include <cstdarg>

#include "preload/real.h"
#include "preload/table.h"

namespace vale::preload {
namespace {

int marked(int fd) {
  if (fd >= 0) mark_internal(fd);
  return fd;
}

}  // namespace

extern "C" {

int __wrap_open(const char* path, int flags, ...);
int __wrap_openat(int at, const char* path, int flags, ...);
int __wrap_close(int fd);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fstat(int fd, struct stat* out);
int __wrap_closedir(DIR* dir);

int __wrap_open(const char* path, int flags, ...) {
  va_list ap;
  va_start(ap, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
  va_end(ap);
  return marked(real().open(path, flags, mode));
}

int __wrap_openat(int at, const char* path, int flags, ...) {
  va_list ap;
  va_start(ap, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
  va_end(ap);
  return marked(real().openat(at, path, flags, mode));
}

int __wrap_close(int fd) {
  unmark_internal(fd);
  return real().close(fd);
}

int __wrap_fcntl(int fd, int command, ...) {
  va_list ap;
  va_start(ap, command);
  void* argument = va_arg(ap, void*);
  va_end(ap);
  const int result = real().fcntl(fd, command, argument);
  return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? marked(result) : result;
}

int __wrap_fstat(int fd, struct stat* out) { return real().fstat(fd, out); }

int __wrap_closedir(DIR* dir) {
  unmark_internal(dirfd(dir));
  return real().closedir(dir);
}
}

}  // namespace vale::preload
