// SPDX-License-Identifier: BSD-2-Clause
// The directory lock: bounded waiting, and who holds it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "shm/directory.h"

namespace vale {
namespace {

Status cannot_open(const Directory& directory, int err) {
  return Status::fail(err == ELOOP ? EPERM : err, "cannot open %s/%s: %s", directory.path().c_str(),
                      kLockName, Directory::explain(err).c_str());
}

}  // namespace

Status DirLock::would_acquire(const Directory& directory) {
  const int fd = directory.open_file(kLockName, O_RDWR);
  if (fd < 0) return errno == ENOENT ? Status::good() : cannot_open(directory, errno);
  close(fd);
  return Status::good();
}

Status DirLock::acquire(const Directory& directory, const char* who) {
  int fd = openat(directory.fd(), kLockName, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
                  directory.file_mode());
  if (fd < 0) return errno == ENOENT ? directory.present() : cannot_open(directory, errno);
  struct stat st;
  if (fstat(fd, &st) == 0 && st.st_uid == geteuid()) {
    if (Status s = directory.adopt(fd); !s.ok()) {
      close(fd);
      return s;
    }
  }
  uint64_t waited_us = 0;
  for (useconds_t pause = 20;; pause = std::min<useconds_t>(pause * 2, 2000)) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) break;
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
      const int err = errno;
      close(fd);
      return Status::fail(err, "cannot lock %s/%s: %s", directory.path().c_str(), kLockName,
                          strerror(err));
    }
    if (waited_us > 5'000'000) {
      close(fd);
      char holder[64] = "an unknown process";
      if (directory.control().base != nullptr) {
        std::memcpy(holder, directory.control().header().holder, sizeof holder);
        holder[sizeof holder - 1] = 0;
      }
      return Status::fail(EBUSY, "%s has been locked for 5 s by %s; continue or kill that process",
                          directory.path().c_str(), holder);
    }
    usleep(pause);
    waited_us += pause;
  }
  fd_ = fd;
  directory_ = &directory;
  if (directory.control().base != nullptr) {
    if (Status s = directory.intact(); !s.ok()) {
      release();
      return s;
    }
    char line[64];
    std::snprintf(line, sizeof line, "process %d (%s)", static_cast<int>(getpid()), who);
    std::memcpy(directory.control().header().holder, line, sizeof line);
    if (Status s = directory.present(); !s.ok()) {
      release();
      return s;
    }
  }
  return Status::good();
}

void DirLock::release() {
  if (fd_ < 0) return;
  // Explicitly: a child forked meanwhile shares this description and would keep the lock.
  struct flock unlock {};
  unlock.l_type = F_UNLCK;
  unlock.l_whence = SEEK_SET;
  fcntl(fd_, F_OFD_SETLK, &unlock);
  close(fd_);
  fd_ = -1;
}

}  // namespace vale
