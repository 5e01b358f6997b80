// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A guest's memory, as the process that runs the guest hands it over:
//   1. set(), add(), remove(): files with their place in the guest; each is mapped here, and checked.
//   2. at(): where bytes of the guest are; at_user(): the same by the other process's own address.
//   3. log(): a page was written, for whoever copies the guest elsewhere meanwhile (migration).
//   4. lost(): the other process has shortened a file under us.
//
// Owns. The mappings.
// Invariants. Nothing outside the regions is ever handed out; regions overlap neither in the guest's
//   addresses nor in the other process's. Contents may change at any time, also between two reads.
// Not here. Queues (queue.h), messages (device.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "nic/bpf.h"
#include "vhost/protocol.h"

namespace vale::vhost {

// A file of another process's in this one's memory, survivable (shm/mapping_guard.h).
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept { *this = std::move(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(length_, other.length_);
    std::swap(offset_, other.offset_);
    std::swap(device_, other.device_);
    std::swap(inode_, other.inode_);
    return *this;
  }
  ~Mapping();
  // Null: mapped; else what is wrong with it.
  const char* map(int fd, uint64_t offset, uint64_t bytes, std::atomic<bool>* lost);
  char* data() const { return base_ + offset_; }
  // Whether it is of that file, from that offset on.
  bool is(int fd, uint64_t offset) const;

 private:
  char* base_ = nullptr;
  uint64_t length_ = 0, offset_ = 0;
  uint64_t device_ = 0, inode_ = 0;
};

class GuestMemory {
 public:
  static constexpr size_t kMaxRegions = 64;

  // Null: good; else what is wrong. After a failed set() there is no memory.
  const char* set(const MemoryRegion* regions, const int* fds, size_t count);
  // Said once for every pair of queues by QEMU up to 7.2, in whose eyes each is a device: a region that
  // is there already, of the same file, is good, and so is the end of one that has ended.
  const char* add(const MemoryRegion& region, int fd);
  const char* remove(const MemoryRegion& region);
  bool has(const MemoryRegion& region) const;
  void clear();
  size_t regions() const { return regions_.size(); }

  // Null unless all of it lies in one region. bytes > 0.
  char* at(uint64_t guest, uint64_t bytes) const {
    const Region* r = last_;
    if (r == nullptr || guest - r->guest >= r->bytes) r = find(guest);
    if (r == nullptr || bytes > r->bytes - (guest - r->guest)) return nullptr;
    return r->data + (guest - r->guest);
  }
  // As much of `bytes` as lies in one region: *here.
  char* at_most(uint64_t guest, uint64_t bytes, uint64_t* here) const {
    const Region* r = last_;
    if (r == nullptr || guest - r->guest >= r->bytes) r = find(guest);
    if (r == nullptr) return nullptr;
    const uint64_t left = r->bytes - (guest - r->guest);
    *here = bytes < left ? bytes : left;
    return r->data + (guest - r->guest);
  }
  char* at_user(uint64_t user, uint64_t bytes) const;

  // A bit a page of 4096 bytes. Null: good.
  const char* set_log(int fd, const LogArea& area);
  void end_log();
  bool logs() const { return log_bytes_ != 0; }
  void log(uint64_t guest, uint64_t bytes);
  void log_user(uint64_t user, uint64_t bytes);

  bool lost() const { return lost_.load(std::memory_order_acquire); }

 private:
  struct Region {
    uint64_t guest, bytes, user;
    char* data;
    Mapping mapping;
  };
  const Region* find(uint64_t guest) const;
  const char* check(const MemoryRegion& region) const;
  const char* insert(const MemoryRegion& region, int fd);

  std::vector<Region> regions_;
  std::vector<MemoryRegion> removed_;  // since set() or clear(): the last kMaxRegions
  mutable const Region* last_ = nullptr;
  Mapping log_;
  uint64_t log_bytes_ = 0;
  std::atomic<bool> lost_{false};
};

}  // namespace vale::vhost
