// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A sender needs the memory of the ports it sends to:
//   1. at(): the mapping of file {kind, slot} if it is of that generation; one load and a compare.
//   2. A miss opens and maps the file; a failure is remembered for that generation.
//   3. reclaim(), outside any sync: unmap what is no longer live and not pinned, once every sync
//      that may have seen it has ended.
//
// Owns. This process's mappings. `entries` are written under `mutex_`, read by syncs without it.
//
// Invariants. A mapping that a sync got from at() stays until that sync ends. What says that a sync
//   runs is the lock word of its tx ring: it is taken, with a full fence, before the first at();
//   reclaim hides the entry, fences, and waits for each such word of this process to change.
//
// Not here. What is in the files.
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "shm/directory.h"

namespace vale {

class Mapper {
 public:
  explicit Mapper(const Directory& directory);
  ~Mapper();
  Mapper(const Mapper&) = delete;
  Mapper& operator=(const Mapper&) = delete;

  enum class Kind { region, fdb };

  // Base address, or nullptr when the file is not there, cannot be mapped or is too short.
  char* region(uint32_t slot, uint32_t gen) {
    Entry& e = regions_[slot];
    if (e.gen.load(std::memory_order_acquire) == gen) [[likely]] {
      return e.base.load(std::memory_order_relaxed);
    }
    return map(Kind::region, slot, gen);
  }
  char* fdb(uint32_t slot, uint32_t gen) {
    Entry& e = fdbs_[slot];
    if (e.gen.load(std::memory_order_acquire) == gen) [[likely]] {
      return e.base.load(std::memory_order_relaxed);
    }
    return map(Kind::fdb, slot, gen);
  }

  // Why region() gave nothing; `owner` is whose memory it is.
  Status refusal(uint32_t slot, uint32_t gen, const char* owner) const;
  // Whether the file of a region that is mapped was cut short, and zero pages stand in its place.
  bool lost(uint32_t slot) const;

  void pin(uint32_t slot);
  void unpin(uint32_t slot);

  // The tx rings that this process sends on.
  void add(const Shared<uint64_t>* lock);
  void remove(const Shared<uint64_t>* lock);
  bool stale() const { return stale_.load(std::memory_order_relaxed); }
  // `identity` is the half of a lock word that names this process. Never call inside a sync.
  void reclaim(uint32_t identity);

  // The file itself; -1 and errno.
  int open_file(Kind kind, uint32_t slot, uint32_t gen) const;
  // `fd` stays open as long as that region lives: others reach it through this process.
  void lend(uint32_t slot, uint32_t gen, int fd);

  static void file_name(char (&name)[32], Kind kind, uint32_t slot, uint32_t gen);

 private:
  struct Entry {
    std::atomic<uint32_t> gen;
    std::atomic<uint32_t> failed;
    std::atomic<char*> base;
    size_t size;
    uint32_t pins;
  };
  char* map(Kind kind, uint32_t slot, uint32_t gen);

  const Directory& directory_;
  std::mutex mutex_;
  Entry* regions_ = nullptr;
  Entry* fdbs_ = nullptr;
  size_t bytes_ = 0;
  std::vector<uint32_t> used_regions_, used_fdbs_;
  std::vector<const Shared<uint64_t>*> locks_;
  std::vector<std::pair<char*, size_t>> retired_;
  struct Lent {
    uint32_t slot, gen;
    int fd;
  };
  std::vector<Lent> lent_;
  std::atomic<bool> stale_{false};
};

}  // namespace vale
