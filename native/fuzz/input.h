// SPDX-License-Identifier: BSD-2-Clause
// A fuzzer's input, taken from front to back; zeros after its end.
#pragma once

#include <cstdint>
#include <cstring>

namespace vale::fuzz {

class Input {
 public:
  Input(const uint8_t* at, size_t size) : at_(at), left_(size) {}
  bool empty() const { return left_ == 0; }
  void copy(void* to, size_t size) {
    std::memset(to, 0, size);
    const size_t n = left_ < size ? left_ : size;
    if (n != 0) std::memcpy(to, at_, n);
    at_ += n;
    left_ -= n;
  }
  template <class T>
  T take() {
    T v;
    copy(&v, sizeof v);
    return v;
  }
  uint8_t byte() { return take<uint8_t>(); }
  // Of so many bytes, at most four, the lowest first.
  uint32_t number(unsigned bytes) {
    uint32_t v = 0;
    copy(&v, bytes);
    return v;
  }

 private:
  const uint8_t* at_;
  size_t left_;
};

}  // namespace vale::fuzz
