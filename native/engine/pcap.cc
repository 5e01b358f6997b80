// SPDX-License-Identifier: BSD-2-Clause
// Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
#include "engine/pcap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "engine/frame.h"
#include "engine/tx_ring.h"

namespace vale {
namespace {

constexpr uint32_t kEthernetLink = 1;

constexpr uint32_t kMicroseconds = 0xa1b2c3d4, kNanoseconds = 0xa1b23c4d;
constexpr uint32_t kModified = 0xa1b2cd34;  // Kuznetsov's, with longer record headers
constexpr uint64_t kFileHeader = 24, kRecordHeader = 16;

constexpr uint32_t kSectionBlock = 0x0a0d0d0a, kByteOrder = 0x1a2b3c4d;
constexpr uint32_t kInterfaceBlock = 1, kPacketBlock = 2, kSimpleBlock = 3, kEnhancedBlock = 6;
constexpr uint64_t kBlockFrame = 12;  // type, length, length again
constexpr uint64_t kSectionBody = 16, kInterfaceBody = 8, kSimpleBody = 4, kPacketBody = 20;

// A file's bytes with the byte order found in it.
class Parser {
 public:
  Parser(const std::string& name, uint8_t* data, uint64_t size, std::vector<CapturedFrame>* frames)
      : name_(name.c_str()), data_(data), size_(size), frames_(*frames) {}

  Status run() {
    frames_.clear();
    Status status = formats();
    if (status.ok() && frames_.empty()) {
      status = Status::fail(EINVAL, "%s: holds no frames", name_);
    }
    return status;
  }

 private:
  Status formats() {
    if (size_ >= 2 && data_[0] == 0x1f && data_[1] == 0x8b) {
      return wrong(0, "compressed; unpack it with gunzip first");
    }
    if (size_ < 4) return wrong(0, "too short for a capture file");
    if (u32(0) == kSectionBlock) return pcapng();
    for (bool swapped : {false, true}) {
      swapped_ = swapped;
      const uint32_t magic = u32(0);
      if (magic == kMicroseconds || magic == kNanoseconds) return pcap();
      if (magic == kModified) return wrong(0, "the modified pcap format is not supported");
    }
    return wrong(0, "neither pcap nor pcapng");
  }

  Status pcap() {
    if (size_ < kFileHeader) return wrong(0, "the file header is cut off");
    if (u16(4) != 2) return wrong(4, "pcap version %u, only 2 is known", u16(4));
    const uint32_t link = u32(20) & 0xffff;  // above: whether an FCS is there
    if (link != kEthernetLink) return not_ethernet(20, link);
    for (uint64_t at = kFileHeader; at < size_;) {
      if (size_ - at < kRecordHeader) return wrong(at, "the last record's header is cut off");
      const uint32_t bytes = u32(at + 8);
      if (bytes > size_ - at - kRecordHeader) {
        return wrong(at, "a record of %u bytes, but only %llu are left", bytes,
                     static_cast<unsigned long long>(size_ - at - kRecordHeader));
      }
      if (Status bad = frame(at, at + kRecordHeader, bytes, u32(at + 12)); !bad.ok()) return bad;
      at += kRecordHeader + bytes;
    }
    return Status::good();
  }

  Status pcapng() {
    for (uint64_t at = 0; at < size_;) {
      if (size_ - at < kBlockFrame) return wrong(at, "the last block's header is cut off");
      // The type of a section block reads the same in both byte orders; its length does not.
      if (u32(at) == kSectionBlock) {
        if (Status bad = section(at); !bad.ok()) return bad;
      }
      const uint32_t length = u32(at + 4);
      if (length < kBlockFrame || length % 4 != 0 || length > size_ - at) {
        return wrong(at, "a block of %u bytes where %llu are left", length,
                     static_cast<unsigned long long>(size_ - at));
      }
      if (u32(at + length - 4) != length) {
        return wrong(at, "a block whose two lengths differ (%u and %u)", length,
                     u32(at + length - 4));
      }
      if (Status bad = block(at, length - kBlockFrame); !bad.ok()) return bad;
      at += length;
    }
    return Status::good();
  }

  Status section(uint64_t at) {
    if (size_ - at < kBlockFrame + kSectionBody) return wrong(at, "a section header is cut off");
    swapped_ = false;
    if (u32(at + 8) != kByteOrder) swapped_ = true;
    if (u32(at + 8) != kByteOrder) return wrong(at + 8, "no byte order mark");
    if (u32(at + 4) < kBlockFrame + kSectionBody)
      return wrong(at, "a section header of %u bytes", u32(at + 4));
    if (u16(at + 12) != 1)
      return wrong(at + 12, "pcapng version %u, only 1 is known", u16(at + 12));
    interfaces_.clear();
    return Status::good();
  }

  // `body` bytes follow the block's type and length.
  Status block(uint64_t at, uint64_t body) {
    const uint32_t type = u32(at);
    uint64_t needs = 0;
    if (type == kInterfaceBlock) needs = kInterfaceBody;
    if (type == kSimpleBlock) needs = kSimpleBody;
    if (type == kPacketBlock || type == kEnhancedBlock) needs = kPacketBody;
    if (body < needs)
      return wrong(at, "a block of type %u with only %llu bytes", type,
                   static_cast<unsigned long long>(body));
    switch (type) {
      case kInterfaceBlock:
        interfaces_.push_back({at, u16(at + 8), u32(at + 12)});
        break;
      case kEnhancedBlock:
        return packet(at, u32(at + 8), kPacketBody, u32(at + 20), u32(at + 24), body);
      case kPacketBlock:
        return packet(at, u16(at + 8), kPacketBody, u32(at + 20), u32(at + 24), body);
      case kSimpleBlock: {
        if (interfaces_.empty()) return unknown_interface(at, 0);
        const uint32_t snap = interfaces_[0].snap;
        const uint32_t whole = u32(at + 8);
        return packet(at, 0, kSimpleBody, snap == 0 ? whole : std::min(whole, snap), whole, body);
      }
      default:
        break;
    }
    return Status::good();
  }

  Status packet(uint64_t at, uint32_t interface, uint64_t header, uint32_t bytes, uint32_t whole,
                uint64_t body) {
    if (interface >= interfaces_.size()) return unknown_interface(at, interface);
    const Interface& from = interfaces_[interface];
    if (from.link != kEthernetLink) return not_ethernet(from.at, from.link);
    if (bytes > body - header) {
      return wrong(at, "a frame of %u bytes in a block with room for %llu", bytes,
                   static_cast<unsigned long long>(body - header));
    }
    return frame(at, at + 8 + header, bytes, whole);
  }

  // Every record and block has a header of at least kFrameHeadroom bytes, read by now.
  Status frame(uint64_t record, uint64_t offset, uint32_t bytes, uint32_t whole) {
    if (bytes < kEthernetBytes || bytes > kMaxFrame) {
      return wrong(record, "a frame of %u bytes is not within %u..%u", bytes, kEthernetBytes,
                   kMaxFrame);
    }
    std::memset(data_ + offset - kFrameHeadroom, 0, kFrameHeadroom);
    frames_.push_back({offset, bytes, std::max(bytes, whole)});
    return Status::good();
  }

  Status unknown_interface(uint64_t at, uint32_t interface) {
    return wrong(at, "a frame of interface %u, which is not described", interface);
  }
  Status not_ethernet(uint64_t at, uint32_t link) {
    return wrong(at, "link type %u; only Ethernet (1) can be played", link);
  }

  [[gnu::format(printf, 3, 4)]] Status wrong(uint64_t at, const char* format, ...) {
    char what[256];
    va_list ap;
    va_start(ap, format);
    std::vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    return Status::fail(EINVAL, "%s: at byte %llu: %s", name_, static_cast<unsigned long long>(at),
                        what);
  }

  uint32_t u32(uint64_t at) const {
    uint32_t value;
    std::memcpy(&value, data_ + at, 4);
    return swapped_ ? __builtin_bswap32(value) : value;
  }
  uint32_t u16(uint64_t at) const {
    uint16_t value;
    std::memcpy(&value, data_ + at, 2);
    return swapped_ ? __builtin_bswap16(value) : value;
  }

  struct Interface {
    uint64_t at;
    uint32_t link, snap;
  };

  const char* name_;
  uint8_t* data_;
  uint64_t size_;
  std::vector<CapturedFrame>& frames_;
  bool swapped_ = false;
  std::vector<Interface> interfaces_;  // of the current section
};

// Reads what is left of fd; a pipe's end is found by reading.
Status read_all(int fd, const char* name, uint64_t expected, std::unique_ptr<uint8_t[]>* block,
                uint64_t* size) {
  uint64_t room = expected + 1, used = 0;  // one more, to see the end without growing
  std::unique_ptr<uint8_t[]> data;
  for (;;) {
    if (data == nullptr || used == room) {
      if (used == room) room *= 2;
      std::unique_ptr<uint8_t[]> larger(new (std::nothrow) uint8_t[room + kCopyUnit]);
      if (larger == nullptr) {
        return Status::fail(ENOMEM, "%s: no memory for its %llu bytes", name,
                            static_cast<unsigned long long>(room));
      }
      if (used != 0) std::memcpy(larger.get(), data.get(), used);
      data = std::move(larger);
    }
    const ssize_t n = read(fd, data.get() + used, room - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Status::fail(errno, "%s: cannot be read: %s", name, std::strerror(errno));
    if (n == 0) break;
    used += static_cast<uint64_t>(n);
  }
  std::memset(data.get() + used, 0, kCopyUnit);
  *block = std::move(data);
  *size = used;
  return Status::good();
}

}  // namespace

Status parse_capture(const std::string& name, uint8_t* data, uint64_t size,
                     std::vector<CapturedFrame>* frames) {
  return Parser(name, data, size, frames).run();
}

Status load_capture(const std::string& path, Capture* out) {
  const char* name = path.c_str();
  // Not blocking: a FIFO without a writer would hold the caller for ever, signals or not.
  const int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return Status::fail(errno, "%s: cannot be opened: %s", name, std::strerror(errno));
  struct stat st;
  uint64_t expected = 65536, size = 0;
  if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
    close(fd);
    return Status::fail(EINVAL, "%s: not a regular file; copy what it holds into one first", name);
  }
  if (S_ISREG(st.st_mode)) expected = static_cast<uint64_t>(st.st_size);
  Status status = read_all(fd, name, expected, &out->block, &size);
  close(fd);
  if (!status.ok()) return status;
  return parse_capture(path, out->block.get(), size, &out->frames);
}

}  // namespace vale
