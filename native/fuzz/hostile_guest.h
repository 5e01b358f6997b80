// SPDX-License-Identifier: BSD-2-Clause
// A guest and its process, both hostile, at a device of their own: messages, writes into the guest's memory, buffers
// that are made available, and memory that is taken away.
#pragma once

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "fuzz/input.h"
#include "test/support/send_fds.h"
#include "vhost/device.h"

namespace hostile {

using namespace vale::vhost;
using vale::fuzz::Input;

constexpr uint64_t kMemory = 256 << 10;
constexpr uint64_t kGuest = 0x100000, kUser = 0x7000000000;
constexpr uint32_t kRing = 0x4000;  // bytes of guest memory from one queue's rings to the next's
constexpr uint32_t kQueueSize = 16;
constexpr uint32_t kTables = 254;  // what says that a driver has them

class HostileGuest {
 public:
  HostileGuest() : device_(2) {
    memory_fd_ = memfd_create("guest", MFD_CLOEXEC);
    event_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ftruncate(memory_fd_, kMemory) != 0) std::abort();
    memory_ = static_cast<char*>(
        mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd_, 0));
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) std::abort();
    channel_.reset(new Channel(vale::Handle(ends[0])));
    other_ = ends[1];
  }
  ~HostileGuest() {
    close(other_);
    munmap(memory_, kMemory);
    close(memory_fd_);
    close(event_fd_);
  }
  HostileGuest(const HostileGuest&) = delete;
  HostileGuest& operator=(const HostileGuest&) = delete;

  Device& device() { return device_; }

  // Queues that work, of features that a byte chooses; some bytes: none.
  void choose(uint32_t kind) {
    if (kind % 8 == 0) return;
    uint64_t features = kVersion1 | kProtocolFeatures | kLogAll;
    if (kind % 8 > 4) features |= kPacked;
    if ((kind & 8) != 0) features |= kMergeable;
    if ((kind & 16) != 0) features |= kIndirect;
    if ((kind & 32) != 0) features |= kEventIndex;
    if ((kind & 64) != 0) features |= kChecksum | kTso4 | kTso6 | kUfo | kUso;
    if ((kind & 128) != 0) features |= kGuestChecksum | kGuestTso4 | kGuestTso6;
    set_up(features);
  }

  void say(Request request, const void* payload, uint32_t size, int fd = -1, unsigned fds = 1) {
    const Header header = {static_cast<uint32_t>(request), kVersion, size};
    char bytes[sizeof header + kMaxPayload];
    std::memcpy(bytes, &header, sizeof header);
    std::memcpy(bytes + sizeof header, payload, size);
    put(bytes, sizeof header + size, fd, fd < 0 ? 0 : fds);
    listen();
  }
  // Queues that work, so that not every input has to find out how that is done.
  void set_up(uint64_t features) {
    packed_ = (features & kPacked) != 0;
    say(Request::set_features, &features, 8);
    MemoryTable table = {};
    table.count = 2;
    table.region[0] = {kGuest, kMemory / 2, kUser, 0};
    table.region[1] = {kGuest + kMemory / 2, kMemory / 2, kUser + kMemory, kMemory / 2};
    say(Request::set_mem_table, &table, 8 + 2 * sizeof(MemoryRegion), memory_fd_, 2);
    for (uint32_t i = 0; i < 4; i++) {
      const RingState size = {i, kQueueSize}, on = {i, 1}, base = {i, packed_ ? kLap : 0u};
      const uint64_t at = kUser + i * kRing, index = i;
      const RingAddress address = {i, kRingLogged, at, at + 0x2000, at + 0x1000, kGuest};
      say(Request::set_vring_num, &size, sizeof size);
      say(Request::set_vring_base, &base, sizeof base);
      say(Request::set_vring_addr, &address, sizeof address);
      say(Request::set_vring_kick, &index, sizeof index, event_fd_);
      say(Request::set_vring_call, &index, sizeof index, event_fd_);
      say(Request::set_vring_enable, &on, sizeof on);
    }
    if (device_.broken()) std::abort();
  }

  // One of kSteps.
  static constexpr uint32_t kSteps = 6;
  void step(uint32_t which, Input& in) {
    switch (which) {
      case 0: {  // some message
        char payload[512];
        const Request request = static_cast<Request>(in.number(1) % 44);
        const uint32_t size = in.number(1) % 64 * 8, fds = in.number(1) % 4;
        in.copy(payload, size);
        const int fd = fds == 0 ? -1 : fds == 3 ? event_fd_ : memory_fd_;
        say(request, payload, size, fd, fds == 2 ? 2 : 1);
        break;
      }
      case 1: {  // bytes, which may be messages
        char bytes[64];
        const uint32_t size = in.number(1) % 64;
        in.copy(bytes, size);
        put(bytes, size, -1, 0);
        listen();
        break;
      }
      case 2: {  // the guest writes
        const uint32_t at = in.number(3) % (kMemory - 256), size = in.number(1);
        in.copy(memory(at), size);
        break;
      }
      case 3: {  // a buffer is made available, of this descriptor
        const uint32_t queue = in.number(1) % 4, slot = in.number(1) % kQueueSize;
        uint64_t address = kGuest + in.number(3);
        const uint32_t bytes = in.number(2);
        const uint16_t flags = static_cast<uint16_t>(in.number(1) % 8);
        const uint16_t next = static_cast<uint16_t>(in.number(1) % (kQueueSize + 1));
        if (in.number(1) == 255) address = uint64_t{in.number(4)} << 32;
        if (packed_) {
          offer_packed(queue, address, bytes, static_cast<uint16_t>(slot | next << 8), flags);
        } else {
          offer_split(queue, slot, {address, bytes, flags, next});
        }
        break;
      }
      case 4:
        if (in.number(1) == 0 && !shrunk_) {
          shrunk_ = true;
          munmap(memory_, kMemory);  // its own view would fault too
          memory_ = static_cast<char*>(
              mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
          if (ftruncate(memory_fd_, 4096 * (in.number(1) % 64)) != 0) std::abort();
        }
        break;
      case 5:
        return drive(in);
    }
  }

 private:
  char* memory(uint64_t at) { return memory_ + at; }

  // As a driver would: several buffers at once, of one descriptor each, all but the odd one good; or all in tables.
  void drive(Input& in) {
    const uint32_t queue = in.number(1) % 4, count = 1 + in.number(1) % (kQueueSize / 2);
    const uint32_t bytes = in.number(2) % 2048, odd = in.number(1);
    const bool sends = queue % 2 != 0;
    for (uint32_t i = 0; i < count; i++) {
      const uint32_t slot = packed_ ? next_[queue] % kQueueSize : slot_[queue]++ % kQueueSize;
      const uint32_t at = 0x10000 + queue * 0x8000 + slot * 0x800;
      uint16_t flags = sends ? 0 : kWritable;
      if (i == odd) flags = static_cast<uint16_t>(in.number(1) % 8);
      if (sends) {
        // Header and addresses: of the neighbours' (neighbours.h), and of guests' like this one.
        char start[24] = {};
        start[12] = start[18] = 2;
        if (in.number(1) % 4 == 0) in.copy(start, 12);
        start[16] = static_cast<char>(in.number(1) % 2);
        start[17] = static_cast<char>(in.number(1) % 4);
        start[22] = 1;
        start[23] = static_cast<char>(in.number(1) % 4);
        std::memcpy(memory(at), start, sizeof start);
      }
      if (odd == kTables) {
        const uint32_t table = 0x30000 + queue * 0x400 + slot * 16;
        const SplitDescriptor split = {kGuest + at, bytes, flags, 0};
        const PackedDescriptor packed = {kGuest + at, bytes, 0, flags};
        packed_ ? std::memcpy(memory(table), &packed, 16) : std::memcpy(memory(table), &split, 16);
        offer(queue, slot, kGuest + table, 16, kIndirectTable);
      } else {
        offer(queue, slot, kGuest + at, bytes, flags);
      }
    }
  }
  // In the next place of a ring, as a driver would, of whatever is told.
  void offer_packed(uint32_t queue, uint64_t address, uint32_t bytes, uint16_t id, uint16_t flags) {
    uint32_t& next = next_[queue];
    const uint16_t marks = next < kQueueSize ? kAvailable : kUsed;
    const PackedDescriptor d = {address, bytes, id, static_cast<uint16_t>(flags | marks)};
    std::memcpy(memory(queue * kRing + 16 * (next % kQueueSize)), &d, sizeof d);
    next = (next + 1) % (2 * kQueueSize);
  }
  void offer_split(uint32_t queue, uint32_t slot, const SplitDescriptor& d) {
    std::memcpy(memory(queue * kRing + 16 * slot), &d, sizeof d);
    AvailableRing* ring = reinterpret_cast<AvailableRing*>(memory(queue * kRing + 0x1000));
    ring->ring[ring->index % kQueueSize] = static_cast<uint16_t>(slot);
    ring->index++;
  }
  void offer(uint32_t queue, uint32_t slot, uint64_t address, uint32_t bytes, uint16_t flags) {
    if (packed_) return offer_packed(queue, address, bytes, static_cast<uint16_t>(slot), flags);
    offer_split(queue, slot, {address, bytes, flags, static_cast<uint16_t>(slot + 1)});
  }

  void put(const void* bytes, size_t size, int fd, unsigned fds) {
    const iovec part = {const_cast<void*>(bytes), size};
    const int all[2] = {fd, fd};
    send_fds(other_, &part, 1, all, fds, MSG_DONTWAIT);
  }
  void listen() {
    static Message answer;
    while (!closed_ && !device_.broken()) {
      const Channel::Receive got = channel_->receive();
      closed_ = got == Channel::Receive::closed;
      if (got != Channel::Receive::message) return;
      if (device_.handle(channel_->message(), &answer) && (answer.header.flags & kReply) != 0 &&
          answer.header.size > kMaxPayload)
        std::abort();
    }
  }

  Device device_;
  std::unique_ptr<Channel> channel_;
  int memory_fd_, event_fd_, other_;
  char* memory_;
  bool closed_ = false, shrunk_ = false, packed_ = false;
  uint32_t next_[4] = {};  // of packed rings
  uint32_t slot_[4] = {};  // of split ones
};

}  // namespace hostile
