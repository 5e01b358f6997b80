// SPDX-License-Identifier: BSD-2-Clause
#include "shm/lease.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

namespace vale {

LeaseName lease_name(uint64_t inode, uint32_t index, uint32_t gen) {
  LeaseName n;
  std::snprintf(n.text, sizeof n.text, "f%llu.%u.%u", static_cast<unsigned long long>(inode), index,
                gen);
  return n;
}

LeaseName lease_birth_name(uint32_t index, uint32_t gen) {
  LeaseName n;
  std::snprintf(n.text, sizeof n.text, "n%u.%u", index, gen);
  return n;
}

Status lease_create(const Directory& directory, uint32_t index, uint32_t gen, int* fd,
                    Shared<uint64_t>* inode) {
  const LeaseName birth = lease_birth_name(index, gen);
  auto failed = [&](const char* what) {
    const int err = errno;
    directory.unlink(birth.text);
    if (*fd >= 0) close(*fd);
    *fd = -1;
    return Status::fail(err, "cannot %s a FIFO in %s: %s", what, directory.path().c_str(),
                        Directory::explain(err).c_str());
  };
  *fd = -1;
  if (mkfifoat(directory.fd(), birth.text, directory.file_mode()) != 0) return failed("create");
  // O_RDWR: a FIFO without a reader would kill its writers by SIGPIPE.
  *fd = directory.open_file(birth.text, O_RDWR | O_NONBLOCK);
  if (*fd < 0) return failed("open");
  *fd = move_high(*fd);
  if (Status s = directory.adopt(*fd); !s.ok()) {
    directory.unlink(birth.text);
    close(*fd);
    *fd = -1;
    return s;
  }
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  struct stat st;
  if (fcntl(*fd, F_OFD_SETLK, &lock) != 0 || fstat(*fd, &st) != 0) return failed("lock");
  inode->store(st.st_ino, std::memory_order_release);
  const LeaseName name = lease_name(st.st_ino, index, gen);
  if (renameat(directory.fd(), birth.text, directory.fd(), name.text) != 0) return failed("name");
  return Status::good();
}

bool lease_held(const Directory& directory, uint64_t inode, uint32_t index, uint32_t gen) {
  const int fd = directory.open_file(lease_name(inode, index, gen).text, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return errno != ENOENT;
  struct flock probe {};
  probe.l_type = F_WRLCK;
  probe.l_whence = SEEK_SET;
  const bool held = fcntl(fd, F_OFD_GETLK, &probe) != 0 || probe.l_type != F_UNLCK;
  close(fd);
  return held;
}

void lease_remove(const Directory& directory, uint64_t inode, uint32_t index, uint32_t gen) {
  directory.unlink(lease_name(inode, index, gen).text);
  directory.unlink(lease_birth_name(index, gen).text);
}

}  // namespace vale
