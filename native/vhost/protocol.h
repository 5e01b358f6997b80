// SPDX-License-Identifier: BSD-2-Clause
// Numbers and layouts that stand in documents of others: the vhost-user protocol (QEMU,
// docs/interop/vhost-user.rst) and virtio 1.2: virtqueues (section 2.7), the network device (5.1).
// Stated here because the kernel's own headers are not valid C++. Everything is little-endian.
#pragma once

#include <cstdint>

namespace vale::vhost {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "guests and messages are little-endian");

// Messages, by their number.
enum class Request : uint32_t {
  get_features = 1,
  set_features = 2,
  set_owner = 3,
  reset_owner = 4,
  set_mem_table = 5,
  set_log_base = 6,
  set_log_fd = 7,
  set_vring_num = 8,
  set_vring_addr = 9,
  set_vring_base = 10,
  get_vring_base = 11,
  set_vring_kick = 12,
  set_vring_call = 13,
  set_vring_err = 14,
  get_protocol_features = 15,
  set_protocol_features = 16,
  get_queue_num = 17,
  set_vring_enable = 18,
  send_rarp = 19,
  net_set_mtu = 20,
  reset_device = 34,
  get_max_mem_slots = 36,
  add_mem_reg = 37,
  rem_mem_reg = 38,
  set_status = 39,
  get_status = 40,
};

// Header::flags
constexpr uint32_t kVersion = 1, kVersionMask = 3;
constexpr uint32_t kReply = 4;
constexpr uint32_t kNeedReply = 8;

struct Header {
  uint32_t request, flags, size;
};

constexpr uint32_t kMaxPayload = 4096;
constexpr unsigned kMaxMessageFds = 8;

struct RingState {
  uint32_t index, num;
};
struct RingAddress {
  uint32_t index, flags;
  uint64_t descriptors, used, available;  // in the other side's address space
  uint64_t log;                           // guest address of the used ring, for the log
};
constexpr uint32_t kRingLogged = 1;  // RingAddress::flags
struct MemoryRegion {
  uint64_t guest, bytes, user, offset;
};
struct MemoryTable {
  uint32_t count, padding;
  MemoryRegion region[kMaxMessageFds];
};
struct OneRegion {
  uint64_t padding;
  MemoryRegion region;
};
struct LogArea {
  uint64_t bytes, offset;
};
// The payload of set_vring_kick, _call and _err
constexpr uint64_t kRingIndex = 0xff;
constexpr uint64_t kNoFd = 0x100;

// Protocol features, as bits.
constexpr uint64_t kMultiQueue = 1u << 0;
constexpr uint64_t kLogFile = 1u << 1;
constexpr uint64_t kRarp = 1u << 2;
constexpr uint64_t kReplyAck = 1u << 3;
constexpr uint64_t kMtu = 1u << 4;
constexpr uint64_t kResetDevice = 1u << 13;
constexpr uint64_t kMemorySlots = 1u << 15;
constexpr uint64_t kStatus = 1u << 16;

// Features of the device, as bits. "guest": what the guest accepts.
constexpr uint64_t kChecksum = 1u << 0;
constexpr uint64_t kGuestChecksum = 1u << 1;
constexpr uint64_t kNetMtu = 1u << 3;
constexpr uint64_t kGuestTso4 = 1u << 7;
constexpr uint64_t kGuestTso6 = 1u << 8;
constexpr uint64_t kGuestEcn = 1u << 9;
constexpr uint64_t kGuestUfo = 1u << 10;
constexpr uint64_t kTso4 = 1u << 11;
constexpr uint64_t kTso6 = 1u << 12;
constexpr uint64_t kEcn = 1u << 13;
constexpr uint64_t kUfo = 1u << 14;
constexpr uint64_t kMergeable = 1u << 15;
constexpr uint64_t kNetStatus = 1u << 16;
constexpr uint64_t kControl = 1u << 17;
constexpr uint64_t kControlRx = 1u << 18;
constexpr uint64_t kControlVlan = 1u << 19;
constexpr uint64_t kAnnounce = 1u << 21;
constexpr uint64_t kNetMultiQueue = 1u << 22;
constexpr uint64_t kControlMac = 1u << 23;
constexpr uint64_t kLogAll = 1u << 26;
constexpr uint64_t kAnyLayout = 1u << 27;
constexpr uint64_t kIndirect = 1u << 28;
constexpr uint64_t kEventIndex = 1u << 29;
constexpr uint64_t kProtocolFeatures = 1u << 30;
constexpr uint64_t kVersion1 = 1ull << 32;
constexpr uint64_t kPacked = 1ull << 34;
constexpr uint64_t kGuestUso4 = 1ull << 54;
constexpr uint64_t kGuestUso6 = 1ull << 55;
constexpr uint64_t kUso = 1ull << 56;

// A descriptor of a split ring, or of an indirect table of one.
struct SplitDescriptor {
  uint64_t address;
  uint32_t bytes;
  uint16_t flags, next;
};
constexpr uint16_t kNext = 1, kWritable = 2, kIndirectTable = 4;  // flags
constexpr uint64_t kDescriptorBytes = 16;

struct AvailableRing {
  uint16_t flags, index;
  uint16_t ring[];  // and behind it: the used index that an interrupt is wanted at
};
constexpr uint16_t kNoInterrupt = 1;  // AvailableRing::flags

struct UsedElement {
  uint32_t id, bytes;
};
struct UsedRing {
  uint16_t flags, index;
  UsedElement ring[];  // and behind it: the available index that a kick is wanted at
};
constexpr uint16_t kNoKick = 1;  // UsedRing::flags

constexpr uint64_t available_bytes(uint64_t size) { return 4 + 2 * size + 2; }
constexpr uint64_t used_bytes(uint64_t size) { return 4 + 8 * size + 2; }

// A descriptor of a packed ring, or of an indirect table of one. It is made available and used in its
// place: in the lap that the ring is in, flags say which. A lap's mark is 1 in the first, then 0, 1, ...
struct PackedDescriptor {
  uint64_t address;
  uint32_t bytes;
  uint16_t id, flags;
};
constexpr uint16_t kAvailable = 1u << 7, kUsed = 1u << 15;  // the lap's mark, each

// What either side of a packed ring wants to be told of, and where.
struct PackedEvent {
  uint16_t place;  // and kLap, the mark of the lap there
  uint16_t flags;
};
constexpr uint16_t kLap = 1u << 15;
constexpr uint16_t kTellAlways = 0, kTellNever = 1, kTellAtPlace = 2;  // PackedEvent::flags

constexpr uint32_t kMaxQueuePairs = 16;
constexpr uint32_t kMaxQueueSize = 4096;

}  // namespace vale::vhost
