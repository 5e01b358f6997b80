// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/guest_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>

#include "shm/mapping_guard.h"

namespace vale::vhost {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMaxBytes = 1ull << 46;  // what a process can map, and no sum of two overflows

bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes) {
  return a < b + b_bytes && b < a + a_bytes;
}

// In the guest and in the other process.
template <typename Place>
bool same_place(const Place& a, const MemoryRegion& b) {
  return a.guest == b.guest && a.user == b.user && a.bytes == b.bytes;
}

}  // namespace

Mapping::~Mapping() {
  if (base_ == nullptr) return;
  unguard_mapping(base_);
  munmap(base_, length_);
}

const char* Mapping::map(int fd, uint64_t offset, uint64_t bytes, std::atomic<bool>* lost) {
  if (bytes == 0 || bytes > kMaxBytes || offset > kMaxBytes) return "memory of an impossible size";
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) return "memory without a file";
  if (!S_ISREG(st.st_mode)) return "memory that is no file";
  if (static_cast<uint64_t>(st.st_size) < offset + bytes) return "memory beyond its file's end";
  // From the file's start: pages of hugetlbfs are larger than the offset may be aligned to.
  const uint64_t page = st.st_blksize > 0 ? static_cast<uint64_t>(st.st_blksize) : kPage;
  const uint64_t length = (offset + bytes + page - 1) / page * page;
  void* at = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (at == MAP_FAILED) return "memory that the kernel does not map";
  base_ = static_cast<char*>(at);
  length_ = length;
  offset_ = offset;
  device_ = st.st_dev;
  inode_ = st.st_ino;
  return guard_mapping(base_, length, nullptr, lost) ? nullptr : "memory in too many pieces";
}

bool Mapping::is(int fd, uint64_t offset) const {
  struct stat st;
  return fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == device_ && st.st_ino == inode_ &&
         offset == offset_;
}

const char* GuestMemory::check(const MemoryRegion& region) const {
  if (region.bytes == 0 || region.bytes > kMaxBytes || region.guest + region.bytes < region.guest ||
      region.user + region.bytes < region.user)
    return "a memory region of an impossible size";
  for (const Region& other : regions_) {
    if (overlap(region.guest, region.bytes, other.guest, other.bytes) ||
        overlap(region.user, region.bytes, other.user, other.bytes))
      return "memory regions that overlap";
  }
  return nullptr;
}

const char* GuestMemory::set(const MemoryRegion* regions, const int* fds, size_t count) {
  clear();
  for (size_t i = 0; i < count; i++) {
    if (const char* wrong = insert(regions[i], fds[i])) {
      clear();
      return wrong;
    }
  }
  return nullptr;
}

const char* GuestMemory::add(const MemoryRegion& region, int fd) {
  for (const Region& r : regions_) {
    if (same_place(r, region) && r.mapping.is(fd, region.offset)) return nullptr;
  }
  return insert(region, fd);
}

const char* GuestMemory::insert(const MemoryRegion& region, int fd) {
  if (regions_.size() >= kMaxRegions) return "too many memory regions";
  if (const char* wrong = check(region)) return wrong;
  Region made{region.guest, region.bytes, region.user, nullptr, {}};
  if (const char* wrong = made.mapping.map(fd, region.offset, region.bytes, &lost_)) return wrong;
  made.data = made.mapping.data();
  last_ = nullptr;
  regions_.push_back(std::move(made));
  return nullptr;
}

const char* GuestMemory::remove(const MemoryRegion& region) {
  for (Region& r : regions_) {
    if (!same_place(r, region)) continue;
    last_ = nullptr;
    std::swap(r, regions_.back());
    regions_.pop_back();
    if (removed_.size() == kMaxRegions) removed_.erase(removed_.begin());
    removed_.push_back(region);
    return nullptr;
  }
  for (const MemoryRegion& gone : removed_) {
    if (same_place(gone, region)) return nullptr;
  }
  return "a memory region to remove that is not there";
}

bool GuestMemory::has(const MemoryRegion& region) const {
  return std::any_of(regions_.begin(), regions_.end(),
                     [&](const Region& r) { return same_place(r, region); });
}

void GuestMemory::clear() {
  last_ = nullptr;
  regions_.clear();
  removed_.clear();
  lost_.store(false, std::memory_order_relaxed);
}

const GuestMemory::Region* GuestMemory::find(uint64_t guest) const {
  for (const Region& r : regions_) {
    if (guest - r.guest < r.bytes) return last_ = &r;
  }
  return nullptr;
}

char* GuestMemory::at_user(uint64_t user, uint64_t bytes) const {
  for (const Region& r : regions_) {
    if (user - r.user < r.bytes && bytes <= r.bytes - (user - r.user))
      return r.data + (user - r.user);
  }
  return nullptr;
}

const char* GuestMemory::set_log(int fd, const LogArea& area) {
  end_log();
  if (const char* wrong = log_.map(fd, area.offset, area.bytes, &lost_)) return wrong;
  log_bytes_ = area.bytes;
  return nullptr;
}

void GuestMemory::end_log() {
  log_ = Mapping();
  log_bytes_ = 0;
}

void GuestMemory::log(uint64_t guest, uint64_t bytes) {
  if (bytes == 0) return;
  uint8_t* const bits = reinterpret_cast<uint8_t*>(log_.data());
  const uint64_t last = (guest + bytes - 1) / kPage;
  for (uint64_t page = guest / kPage; page <= last; page++) {
    if (page / 8 >= log_bytes_) return;
    __atomic_fetch_or(&bits[page / 8], static_cast<uint8_t>(1u << page % 8), __ATOMIC_RELEASE);
  }
}

void GuestMemory::log_user(uint64_t user, uint64_t bytes) {
  for (const Region& r : regions_) {
    if (user - r.user < r.bytes) return log(r.guest + (user - r.user), bytes);
  }
}

}  // namespace vale::vhost
