// SPDX-License-Identifier: BSD-2-Clause
// /dev/netmap as a file: open, ioctl, mmap, read, write, and what its inode looks like.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "preload/control.h"
#include "preload/pcap/calls_packet.h"
#include "preload/real.h"

namespace vale::preload {
namespace {

constexpr const char* kPath = "/dev/netmap";
constexpr unsigned kMajor = 10, kMinor = 63;  // of a misc device

bool is_device(const char* path) { return path != nullptr && std::strcmp(path, kPath) == 0; }
bool is_device(int fd) { return kind_of(fd) == Kind::device; }

int fail(int err) {
  errno = err;
  return -1;
}

int result_of(int err) { return err == 0 ? 0 : fail(err); }

int sync(int fd, bool tx) {
  Use use(fd);
  if (use.file() == nullptr) return 0;  // this very thread is inside a sync of it
  if (use.port() == nullptr) return ENXIO;
  if (use.port()->loop_enabled()) return EBUSY;
  const int err = tx ? use.port()->txsync() : use.port()->rxsync();
  return err == EPIPE ? 0
                      : err;  // what a monitor watched has closed: poll says so, a sync does not
}

int device_ioctl(int fd, unsigned long request, uint64_t argument) {
  // The kernel looks at 32 bits, and programs pass an int.
  switch (static_cast<uint32_t>(request)) {
    case NIOCTXSYNC:
      return result_of(sync(fd, true));
    case NIOCRXSYNC:
      return result_of(sync(fd, false));
    case NIOCCTRL:
      return result_of(control(fd, argument));
    case NIOCREGIF:
    case NIOCGINFO:
      return result_of(legacy_control(fd, static_cast<uint32_t>(request) == NIOCREGIF, argument));
    case NIOCCONFIG:
      return fail(EINVAL);
    default:
      return fail(EOPNOTSUPP);
  }
}

// A mapping of its own, which the program may unmap as it likes.
void* device_mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) {
  int memory;
  {
    Use use(fd);
    const Port* port = use.port();
    if (port == nullptr || offset < 0 || length > port->info().memsize ||
        static_cast<uint64_t>(offset) > port->info().memsize - length) {
      errno = EINVAL;
      return MAP_FAILED;
    }
    memory = port->open_memory();
  }
  if (memory < 0) return MAP_FAILED;
  void* at = real().mmap(address, length, protection, flags, memory, offset);
  const int err = errno;
  unmark_internal(memory);
  real().close(memory);
  errno = err;
  return at;
}

int device_stat(struct stat* out) {
  std::memset(out, 0, sizeof *out);
  out->st_dev = makedev(0, 5);
  out->st_ino = 1;
  out->st_nlink = 1;
  out->st_mode = S_IFCHR | 0660;
  out->st_uid = geteuid();
  out->st_gid = getegid();
  out->st_rdev = makedev(kMajor, kMinor);
  out->st_blksize = 4096;
  return 0;
}

int device_statx(struct statx* out) {
  std::memset(out, 0, sizeof *out);
  out->stx_mask = STATX_BASIC_STATS;
  out->stx_blksize = 4096;
  out->stx_nlink = 1;
  out->stx_mode = S_IFCHR | 0660;
  out->stx_uid = geteuid();
  out->stx_gid = getegid();
  out->stx_ino = 1;
  out->stx_dev_minor = 5;
  out->stx_rdev_major = kMajor;
  out->stx_rdev_minor = kMinor;
  return 0;
}

int open_at(int at, const char* path, int flags, mode_t mode) {
  return is_device(path) ? open_device(flags) : real().openat(at, path, flags, mode);
}

bool takes_mode(int flags) { return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE; }

}  // namespace

#define MODE_OF(flags)                                            \
  va_list ap;                                                     \
  va_start(ap, flags);                                            \
  const mode_t mode = takes_mode(flags) ? va_arg(ap, mode_t) : 0; \
  va_end(ap)

EXPORT(int, open, (const char* path, int flags, ...)) {
  MODE_OF(flags);
  return is_device(path) ? open_device(flags) : real().open(path, flags, mode);
}
EXPORT(int, open64, (const char* path, int flags, ...)) {
  MODE_OF(flags);
  return is_device(path) ? open_device(flags) : real().open(path, flags | O_LARGEFILE, mode);
}
EXPORT(int, openat, (int at, const char* path, int flags, ...)) {
  MODE_OF(flags);
  return open_at(at, path, flags, mode);
}
EXPORT(int, openat64, (int at, const char* path, int flags, ...)) {
  MODE_OF(flags);
  return open_at(at, path, flags | O_LARGEFILE, mode);
}
EXPORT(int, __open_2, (const char* path, int flags)) { return interposed_open(path, flags); }
EXPORT(int, __open64_2, (const char* path, int flags)) { return interposed_open64(path, flags); }
EXPORT(int, __openat_2, (int at, const char* path, int flags)) {
  return open_at(at, path, flags, 0);
}
EXPORT(int, __openat64_2, (int at, const char* path, int flags)) {
  return open_at(at, path, flags | O_LARGEFILE, 0);
}

EXPORT(int, ioctl, (int fd, unsigned long request, ...)) {
  va_list ap;
  va_start(ap, request);
  void* argument = va_arg(ap, void*);
  va_end(ap);
  int answer;
  if (!is_device(fd))
    return port_ioctl(request, argument, &answer) ? answer : real().ioctl(fd, request, argument);
  return device_ioctl(fd, request, reinterpret_cast<uint64_t>(argument));
}

EXPORT(void*, mmap, (void* address, size_t length, int prot, int flags, int fd, off_t offset)) {
  if (!(flags & MAP_ANONYMOUS) && is_device(fd))
    return device_mmap(address, length, prot, flags, fd, offset);
  return real().mmap(address, length, prot, flags, fd, offset);
}
EXPORT(void*, mmap64, (void* address, size_t length, int prot, int flags, int fd, off_t offset)) {
  return interposed_mmap(address, length, prot, flags, fd, offset);
}

EXPORT(ssize_t, read, (int fd, void* to, size_t n)) {
  return is_device(fd) ? fail(EINVAL) : real().read(fd, to, n);
}
EXPORT(ssize_t, __read_chk, (int fd, void* to, size_t n, size_t room)) {
  if (n > room) std::abort();
  return interposed_read(fd, to, n);
}
EXPORT(ssize_t, write, (int fd, const void* from, size_t n)) {
  ssize_t sent;
  if (kind_of(fd) == Kind::packet && write_to_port(fd, from, n, &sent)) return sent;
  return is_device(fd) ? fail(EINVAL) : real().write(fd, from, n);
}
EXPORT(ssize_t, readv, (int fd, const iovec* v, int n)) {
  return is_device(fd) ? fail(EINVAL) : real().readv(fd, v, n);
}
EXPORT(ssize_t, writev, (int fd, const iovec* v, int n)) {
  return is_device(fd) ? fail(EINVAL) : real().writev(fd, v, n);
}

EXPORT(int, fstat, (int fd, struct stat* out)) {
  return is_device(fd) ? device_stat(out) : real().fstat(fd, out);
}
EXPORT(int, stat, (const char* path, struct stat* out)) {
  return is_device(path) ? device_stat(out) : real().stat(path, out);
}
EXPORT(int, lstat, (const char* path, struct stat* out)) {
  return is_device(path) ? device_stat(out) : real().lstat(path, out);
}
EXPORT(int, fstatat, (int at, const char* path, struct stat* out, int flags)) {
  if (is_device(path)) return device_stat(out);
  if ((flags & AT_EMPTY_PATH) && path != nullptr && *path == 0 && is_device(at))
    return device_stat(out);
  return real().fstatat(at, path, out, flags);
}
EXPORT(int, fstat64, (int fd, struct stat* out)) { return interposed_fstat(fd, out); }
EXPORT(int, stat64, (const char* path, struct stat* out)) { return interposed_stat(path, out); }
EXPORT(int, lstat64, (const char* path, struct stat* out)) { return interposed_lstat(path, out); }
EXPORT(int, fstatat64, (int at, const char* path, struct stat* out, int flags)) {
  return interposed_fstatat(at, path, out, flags);
}
// Of programs built against a glibc before 2.33.
EXPORT(int, __fxstat, (int, int fd, struct stat* out)) { return interposed_fstat(fd, out); }
EXPORT(int, __xstat, (int, const char* path, struct stat* out)) {
  return interposed_stat(path, out);
}
EXPORT(int, __lxstat, (int, const char* path, struct stat* out)) {
  return interposed_lstat(path, out);
}
EXPORT(int, __fxstatat, (int, int at, const char* path, struct stat* out, int flags)) {
  return interposed_fstatat(at, path, out, flags);
}
EXPORT(int, __fxstat64, (int, int fd, struct stat* out)) { return interposed_fstat(fd, out); }
EXPORT(int, __xstat64, (int, const char* path, struct stat* out)) {
  return interposed_stat(path, out);
}
EXPORT(int, __lxstat64, (int, const char* path, struct stat* out)) {
  return interposed_lstat(path, out);
}
EXPORT(int, __fxstatat64, (int, int at, const char* path, struct stat* out, int flags)) {
  return interposed_fstatat(at, path, out, flags);
}
EXPORT(int, statx, (int at, const char* path, int flags, unsigned mask, struct statx* out)) {
  if (is_device(path) ||
      ((flags & AT_EMPTY_PATH) && (path == nullptr || *path == 0) && is_device(at)))
    return device_statx(out);
  return real().statx(at, path, flags, mask, out);
}

EXPORT(int, access, (const char* path, int mode)) {
  if (is_device(path)) return mode & X_OK ? fail(EACCES) : 0;
  return real().access(path, mode);
}
EXPORT(int, faccessat, (int at, const char* path, int mode, int flags)) {
  if (is_device(path)) return mode & X_OK ? fail(EACCES) : 0;
  return real().faccessat(at, path, mode, flags);
}
EXPORT(int, euidaccess, (const char* path, int mode)) {
  return interposed_faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}
EXPORT(int, eaccess, (const char* path, int mode)) {
  return interposed_faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}

}  // namespace vale::preload
