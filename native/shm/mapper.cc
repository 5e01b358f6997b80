// SPDX-License-Identifier: BSD-2-Clause
#include "shm/mapper.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "shm/mapping_guard.h"

namespace vale {
namespace {

void unmap(char* base, size_t size) {
  unguard_mapping(base);
  munmap(base, size);
}

}  // namespace

Mapper::Mapper(const Directory& directory) : directory_(directory) {
  // Zero pages until used: a slot's entry costs memory only once its slot is mapped.
  bytes_ = sizeof(Entry) * (kMaxRegions + kMaxSwitches);
  void* m = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  regions_ = static_cast<Entry*>(m);
  fdbs_ = regions_ + kMaxRegions;
}

Mapper::~Mapper() {
  for (uint32_t slot : used_regions_) unmap(regions_[slot].base, regions_[slot].size);
  for (uint32_t slot : used_fdbs_) unmap(fdbs_[slot].base, fdbs_[slot].size);
  for (auto& [base, size] : retired_) unmap(base, size);
  for (const Lent& lent : lent_) close(lent.fd);
  munmap(static_cast<void*>(regions_), bytes_);
}

void Mapper::file_name(char (&name)[32], Kind kind, uint32_t slot, uint32_t gen) {
  std::snprintf(name, sizeof name, "%c%u.%u", kind == Kind::region ? 'm' : 's', slot, gen);
}

int Mapper::open_file(Kind kind, uint32_t slot, uint32_t gen) const {
  char name[32];
  const RegionRec& r = directory_.control().region(slot);
  if (kind == Kind::fdb || r.lender == 0) {
    file_name(name, kind, slot, gen);
    return directory_.open_file(name, O_RDWR);
  }
  std::snprintf(name, sizeof name, "/proc/%u/fd/%u", r.lender, r.lent_fd);
  const int fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || (fstat(fd, &st) == 0 && st.st_dev == r.lent_device && st.st_ino == r.lent_inode))
    return fd;
  close(fd);
  errno = ESTALE;
  return -1;
}

void Mapper::lend(uint32_t slot, uint32_t gen, int fd) {
  std::lock_guard<std::mutex> guard(mutex_);
  lent_.push_back({slot, gen, fd});
  stale_.store(true, std::memory_order_relaxed);
}

char* Mapper::map(Kind kind, uint32_t slot, uint32_t gen) {
  if (gen == 0 || slot >= (kind == Kind::region ? kMaxRegions : kMaxSwitches)) return nullptr;
  Entry& e = (kind == Kind::region ? regions_ : fdbs_)[slot];
  if (e.failed.load(std::memory_order_relaxed) == gen) return nullptr;
  std::lock_guard<std::mutex> guard(mutex_);
  const uint32_t have = e.gen.load(std::memory_order_relaxed);
  if (have == gen) return e.base;
  if (have != 0) {
    // A dead file's mapping. This may be the middle of a sync that still uses its addresses: it is
    // set aside for reclaim().
    retired_.emplace_back(e.base.load(std::memory_order_relaxed), e.size);
    auto& used = kind == Kind::region ? used_regions_ : used_fdbs_;
    used.erase(std::remove(used.begin(), used.end(), slot), used.end());
    e.gen.store(0, std::memory_order_relaxed);
  }
  const int fd = open_file(kind, slot, gen);
  struct stat st;
  void* m = MAP_FAILED;
  const uint64_t least =
      kind == Kind::region ? directory_.control().region(slot).memsize : kFdbBytes;
  if (fd >= 0 && fstat(fd, &st) == 0 && static_cast<uint64_t>(st.st_size) >= least) {
    m = mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_NORESERVE, fd, 0);
  }
  if (fd >= 0) close(fd);
  stale_.store(true, std::memory_order_relaxed);
  if (m == MAP_FAILED) {
    e.failed.store(gen, std::memory_order_relaxed);
    return nullptr;
  }
  guard_mapping(m, static_cast<size_t>(st.st_size));
  e.base.store(static_cast<char*>(m), std::memory_order_relaxed);
  e.size = static_cast<size_t>(st.st_size);
  e.gen.store(gen, std::memory_order_release);
  (kind == Kind::region ? used_regions_ : used_fdbs_).push_back(slot);
  return static_cast<char*>(m);
}

Status Mapper::refusal(uint32_t slot, uint32_t gen, const char* owner) const {
  char name[32];
  file_name(name, Kind::region, slot, gen);
  const int fd = open_file(Kind::region, slot, gen);
  struct stat st;
  const bool whole = fd >= 0 && fstat(fd, &st) == 0 &&
                     static_cast<uint64_t>(st.st_size) >= directory_.control().region(slot).memsize;
  if (fd >= 0) close(fd);
  if (whole) return Status::fail(ENOMEM, "cannot map the memory of %s", owner);
  return Status::fail(
      EUCLEAN,
      "the memory of %s is damaged: %s/%s is missing or was cut short; end whatever "
      "has the port open, and remove it if it is persistent: vale ctl detach, remove",
      owner, directory_.path().c_str(), name);
}

bool Mapper::lost(uint32_t slot) const {
  return guard_lost(regions_[slot].base.load(std::memory_order_relaxed));
}

void Mapper::pin(uint32_t slot) {
  std::lock_guard<std::mutex> guard(mutex_);
  regions_[slot].pins++;
}

void Mapper::unpin(uint32_t slot) {
  std::lock_guard<std::mutex> guard(mutex_);
  regions_[slot].pins--;
  stale_.store(true, std::memory_order_relaxed);
}

void Mapper::add(const Shared<uint64_t>* lock) {
  std::lock_guard<std::mutex> guard(mutex_);
  locks_.push_back(lock);
}

void Mapper::remove(const Shared<uint64_t>* lock) {
  std::lock_guard<std::mutex> guard(mutex_);
  const auto it = std::find(locks_.begin(), locks_.end(), lock);
  if (it != locks_.end()) locks_.erase(it);
}

void Mapper::reclaim(uint32_t identity) {
  std::unique_lock<std::mutex> guard(mutex_);
  stale_.store(false, std::memory_order_relaxed);
  const Control& c = directory_.control();
  std::vector<std::pair<char*, size_t>> dead;
  dead.swap(retired_);
  auto sweep = [&](std::vector<uint32_t>& used, Entry* entries, auto&& live) {
    used.erase(
        std::remove_if(used.begin(), used.end(),
                       [&](uint32_t slot) {
                         Entry& e = entries[slot];
                         if (e.pins != 0 || live(slot, e.gen.load(std::memory_order_relaxed))) {
                           return false;
                         }
                         dead.emplace_back(e.base.load(std::memory_order_relaxed), e.size);
                         e.gen.store(0, std::memory_order_seq_cst);
                         return true;
                       }),
        used.end());
  };
  sweep(used_regions_, regions_, [&](uint32_t slot, uint32_t gen) {
    const RegionRec& r = c.region(slot);
    return r.state.load(std::memory_order_acquire) == State::live && r.gen == gen;
  });
  sweep(used_fdbs_, fdbs_, [&](uint32_t slot, uint32_t gen) {
    const SwitchRec& r = c.sw(slot);
    return r.state.load(std::memory_order_acquire) == State::live && r.gen == gen;
  });
  const auto over = [&](const Lent& lent) {
    const RegionRec& r = c.region(lent.slot);
    if (r.state.load(std::memory_order_acquire) == State::live && r.gen == lent.gen) return false;
    close(lent.fd);
    return true;
  };
  lent_.erase(std::remove_if(lent_.begin(), lent_.end(), over), lent_.end());
  if (dead.empty()) return;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // Without the mutex: a sync that is waited for may be about to map something.
  const std::vector<const Shared<uint64_t>*> locks = locks_;
  guard.unlock();
  for (const Shared<uint64_t>* lock : locks) {
    const uint64_t word = lock->load(std::memory_order_seq_cst);
    // Free; or another process's, as all are to a forked child that has no identity yet.
    if (word == 0 || word >> 32 != identity) continue;
    while (lock->load(std::memory_order_seq_cst) == word) sched_yield();
  }
  for (auto& [base, size] : dead) unmap(base, size);
}

}  // namespace vale
