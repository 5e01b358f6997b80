// SPDX-License-Identifier: BSD-2-Clause
#include "shm/inspect.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "shm/directory.h"

namespace vale {
namespace {

// A living process holds a lock on its lease (shm/process.h).
bool leased(int file) {
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  return fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

uint32_t layout_of(int control) {
  struct {
    uint64_t magic;
    uint32_t version;
  } head = {};
  const bool whole = pread(control, &head, sizeof head, 0) == sizeof head;
  return whole && head.magic == kControlMagic ? head.version : 0;
}

}  // namespace

DirectoryFacts inspect_directory(const std::string& path) {
  DirectoryFacts facts;
  facts.expected = kControlVersion;
  {
    Directory seen;
    facts.refusal = seen.would_open(path.c_str());
    facts.path = seen.path();
  }
  DIR* directory = opendir(facts.path.c_str());
  if (directory == nullptr) return facts;
  while (const dirent* entry = readdir(directory)) {
    const bool control = std::strcmp(entry->d_name, kControlName) == 0;
    const bool lease =
        entry->d_name[0] == 'p' && entry->d_name[1] >= '0' && entry->d_name[1] <= '9';
    if (!control && !lease) continue;
    const int file =
        openat(dirfd(directory), entry->d_name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0) continue;
    if (control) {
      facts.layout = layout_of(file);
    } else if (leased(file)) {
      facts.living++;
    } else {
      facts.dead++;
    }
    close(file);
  }
  closedir(directory);
  return facts;
}

}  // namespace vale
