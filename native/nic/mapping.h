// SPDX-License-Identifier: BSD-2-Clause
// Memory of this process that is mapped, and no longer when its Mapping goes.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <utility>

namespace vale {

class Mapping {
 public:
  Mapping() = default;
  // Read and written. Invalid with errno set when it cannot be.
  static Mapping of(int fd, uint64_t bytes, uint64_t offset, int flags) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd,
                    static_cast<off_t>(offset));
    return at == MAP_FAILED ? Mapping() : Mapping(at, bytes);
  }
  static Mapping of_own(uint64_t bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? Mapping() : Mapping(at, bytes);
  }
  Mapping(Mapping&& other) noexcept
      : at_(std::exchange(other.at_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping() {
    if (at_ != nullptr) munmap(at_, bytes_);
  }
  bool valid() const { return at_ != nullptr; }
  char* data() const { return static_cast<char*>(at_); }
  uint64_t bytes() const { return bytes_; }

 private:
  Mapping(void* at, uint64_t bytes) : at_(at), bytes_(bytes) {}

  void* at_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace vale
