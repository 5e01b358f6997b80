// SPDX-License-Identifier: BSD-2-Clause
#include "shm/process.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cstring>

namespace vale {

Process::~Process() {
  if (lease_ >= 0) close(lease_);
  if (identity_ != nullptr) munmap(identity_, 4096);
}

void Process::lease_name(char (&name)[32], uint32_t slot, uint32_t gen) {
  std::snprintf(name, sizeof name, "p%u.%u", slot, gen);
}

Status Process::enter(Directory& directory) {
  if (identity_ == nullptr) {
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return Status::fail(errno, "cannot map a page: %s", strerror(errno));
    madvise(page, 4096, MADV_WIPEONFORK);
    identity_ = static_cast<Identity*>(page);
  }
  if (lease_ >= 0) {
    close(lease_);  // the parent's; closing our copy does not touch its lock
    lease_ = -1;
  }
  const Control& c = directory.control();
  uint32_t slot;
  const auto proc_at = [&](uint32_t i) -> ProcRec& { return c.proc(i); };
  if (Status s = directory.free_record(Directory::Array::procs, c.procs(), proc_at, &slot); !s.ok())
    return s;
  ProcRec& r = c.proc(slot);
  uint32_t gen = c.header().next_gen++ & 0xfffff;
  if (gen == 0) gen = c.header().next_gen++ & 0xfffff;

  // The record first: whoever finds it half made removes the file (reap.cc).
  r.gen = gen;
  r.state.store(State::creating, std::memory_order_release);
  char name[32];
  lease_name(name, slot, gen);
  int fd;
  if (Status s = directory.create_file(name, &fd); !s.ok()) {
    r.state.store(State::free, std::memory_order_release);
    return s;
  }
  fd = move_high(fd);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd, F_SETLK, &lock) != 0) {
    const int err = errno;
    directory.unlink(name);
    close(fd);
    r.state.store(State::free, std::memory_order_release);
    return Status::fail(err, "cannot lock %s/%s: %s", directory.path().c_str(), name,
                        strerror(err));
  }
  lease_ = fd;
  r.pid = static_cast<uint32_t>(getpid());
  std::memset(r.comm, 0, sizeof r.comm);
  if (FILE* f = fopen("/proc/self/comm", "re")) {
    if (fgets(r.comm, sizeof r.comm, f) != nullptr) r.comm[strcspn(r.comm, "\n")] = 0;
    fclose(f);
  }
  r.state.store(State::live, std::memory_order_release);
  identity_->slot = slot;
  identity_->base = static_cast<uint64_t>(slot) << 52 | static_cast<uint64_t>(gen) << 32;
  identity_->gen = gen;
  return Status::good();
}

void Process::leave(Directory& directory) {
  if (!valid()) return;
  char name[32];
  lease_name(name, slot(), gen());
  directory.unlink(name);
  directory.control().proc(slot()).state.store(State::free, std::memory_order_release);
  identity_->gen = 0;
  if (lease_ >= 0) close(lease_);
  lease_ = -1;
}

bool Process::alive(const Directory& directory, uint64_t word) const {
  return alive(directory, word_slot(word), word_gen(word));
}

bool Process::alive(const Directory& directory, uint32_t slot, uint32_t gen) const {
  if (valid() && slot == identity_->slot && gen == identity_->gen) return true;
  if (slot >= directory.control().procs()) return false;
  const ProcRec& r = directory.control().proc(slot);
  if (r.state.load(std::memory_order_acquire) != State::live || r.gen != gen) return false;
  char name[32];
  lease_name(name, slot, gen);
  const int fd = directory.open_file(name, O_RDONLY);
  if (fd < 0) return errno != ENOENT;
  struct flock probe {};
  probe.l_type = F_WRLCK;
  probe.l_whence = SEEK_SET;
  const bool held = fcntl(fd, F_GETLK, &probe) != 0 || probe.l_type != F_UNLCK;
  close(fd);
  return held;
}

}  // namespace vale
