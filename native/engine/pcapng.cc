// SPDX-License-Identifier: BSD-2-Clause
#include "engine/pcapng.h"

#include <algorithm>

namespace vale {
namespace {

constexpr uint32_t kSection = 0x0a0d0d0a, kByteOrder = 0x1a2b3c4d;
constexpr uint32_t kInterface = 1, kStatistics = 5;
constexpr uint16_t kEthernet = 1;
constexpr size_t kLongest = 65532;  // of an option's value

class Block {
 public:
  explicit Block(uint32_t type) {
    u32(type);
    u32(0);  // its length, when that is known
  }
  void u16(uint16_t v) { append(&v, sizeof v); }
  void u32(uint32_t v) { append(&v, sizeof v); }
  void u64(uint64_t v) { append(&v, sizeof v); }
  // A time, which is two words in the format.
  void time(uint64_t ns) {
    u32(static_cast<uint32_t>(ns >> 32));
    u32(static_cast<uint32_t>(ns));
  }
  void option(uint16_t code, const void* value, size_t bytes) {
    u16(code);
    u16(static_cast<uint16_t>(bytes));
    append(value, bytes);
    bytes_.append(padded(static_cast<uint32_t>(bytes)) - bytes, '\0');
  }
  void option(uint16_t code, const std::string& text) {
    if (!text.empty()) option(code, text.data(), std::min(text.size(), kLongest));
  }
  void option(uint16_t code, uint64_t number) { option(code, &number, sizeof number); }
  void option_time(uint16_t code, uint64_t ns) {
    const uint32_t words[2] = {static_cast<uint32_t>(ns >> 32), static_cast<uint32_t>(ns)};
    option(code, words, sizeof words);
  }
  std::string end() {
    u32(0);  // opt_endofopt
    const uint32_t length = static_cast<uint32_t>(bytes_.size()) + 4;
    u32(length);
    std::memcpy(&bytes_[4], &length, sizeof length);
    return std::move(bytes_);
  }

 private:
  void append(const void* p, size_t n) { bytes_.append(static_cast<const char*>(p), n); }
  std::string bytes_;
};

}  // namespace

std::string pcapng_begin(const CapturedInterface& i) {
  Block section(kSection);
  section.u32(kByteOrder);
  section.u16(1);
  section.u16(0);
  section.u64(~uint64_t{0});  // of unknown length
  section.option(2, i.hardware);
  section.option(3, i.os);
  section.option(4, i.application);
  Block interface(kInterface);
  interface.u16(kEthernet);
  interface.u16(0);
  interface.u32(i.snaplen);
  interface.option(2, i.name);
  interface.option(3, i.description);
  const uint8_t nanoseconds = 9;
  interface.option(9, &nanoseconds, 1);
  // 0: the filter is a text of libpcap's.
  if (!i.filter.empty()) interface.option(11, std::string(1, '\0') + i.filter);
  interface.option(12, i.os);
  return section.end() + interface.end();
}

std::string pcapng_end(const CaptureStatistics& s) {
  Block block(kStatistics);
  block.u32(0);
  block.time(s.end);
  block.option_time(2, s.start);
  block.option_time(3, s.end);
  block.option(4, s.received + s.dropped_by_port);
  block.option(5, s.dropped_by_port);
  block.option(6, s.passed);
  block.option(7, s.dropped_here);
  block.option(8, s.delivered);
  return block.end();
}

}  // namespace vale
