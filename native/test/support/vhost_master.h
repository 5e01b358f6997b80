// SPDX-License-Identifier: BSD-2-Clause
// A virtual machine without a machine: the process that would run it, and the driver inside, written from
// the documents alone. It speaks to a vhost-user socket and has queues in memory of its own.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "offload/vnet_header.h"
#include "test/support/send_fds.h"
#include "test/support/vhost_driver.h"

namespace master {

using namespace vale;
using namespace vale::vhost;
using vale::vhost::Header;

constexpr uint64_t kGuestBase = 0x40000000;     // where the memory is for the guest
constexpr uint64_t kUserBase = 0x5a0000000000;  // and where its process says that it has it
constexpr uint64_t kQueueBytes = 0x20000;       // for one queue's rings
constexpr uint64_t kUsual = kVersion1 | kMergeable | kIndirect | kEventIndex | kProtocolFeatures;

struct Options {
  uint64_t features = kUsual;
  uint64_t protocol = kMultiQueue | kReplyAck | kMtu | kRarp;
  uint32_t queue_size = 256;
  uint32_t pairs = 1;
  uint32_t rx_buffer = 1600;  // bytes
  uint64_t memory = 32 << 20;
  bool indirect = false;  // frames to be sent as indirect tables
  uint32_t piece =
      0;  // cut them into descriptors of so many bytes; 0: one for header, one for frame
  bool start = true;
  // As QEMU 7.2: each pair is a device of its own, and says all of the memory, in single regions.
  bool memory_by_pair = false;
};

inline uint64_t now_us() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1'000'000u + static_cast<uint64_t>(ts.tv_nsec) / 1000;
}

class Master {
 public:
  Options options;
  int socket_fd = -1, memory_fd = -1;
  char* memory = nullptr;
  uint64_t offered = 0, offered_protocol = 0;
  std::vector<Driver> queues;

  explicit Master(Options o = {}) : options(o) {
    memory_fd = memfd_create("guest", MFD_CLOEXEC);
    if (ftruncate(memory_fd, static_cast<off_t>(options.memory)) != 0) std::abort();
    memory = static_cast<char*>(
        mmap(nullptr, options.memory, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0));
    if (memory == MAP_FAILED) std::abort();
    queues.resize(2 * options.pairs);
    for (uint32_t i = 0; i < queues.size(); i++) prepare(i);
  }
  ~Master() {
    part();
    for (const Driver& q : queues) {
      close(q.kick);
      close(q.call);
    }
    munmap(memory, options.memory);
    close(memory_fd);
  }
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;

  // Within 3 s. Then features are agreed on, and the queues run if options.start.
  bool meet(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size());
    const uint64_t end = now_us() + 3'000'000;
    do {
      socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (connect(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
        return begin();
      close(socket_fd);
      socket_fd = -1;
      usleep(10'000);
    } while (now_us() < end);
    return false;
  }
  // Somebody who connected to us.
  bool meet(int connected) {
    socket_fd = connected;
    return begin();
  }
  void part() {
    if (socket_fd >= 0) close(socket_fd);
    socket_fd = -1;
  }

  bool begin() {
    uint64_t value = 0;
    if (!ask(Request::get_features, &offered)) return false;
    if (!ask(Request::get_protocol_features, &offered_protocol)) return false;
    tell(Request::set_protocol_features, options.protocol & offered_protocol);
    tell(Request::set_owner, nullptr, 0);
    if ((offered_protocol & kMultiQueue) != 0 && !ask(Request::get_queue_num, &value)) return false;
    if (value < options.pairs) return false;
    return !options.start || run();
  }
  bool run() {
    if (options.memory_by_pair) {
      for (uint32_t i = 0; i < queues.size(); i++) {
        if (i % 2 == 0) {
          tell(Request::set_features, options.features);
          for (const MemoryRegion& region : regions()) {
            const OneRegion one = {0, region};
            if (!told(Request::add_mem_reg, &one, sizeof one, &memory_fd, 1)) return false;
          }
        }
        tell_queue(queues[i]);
      }
    } else {
      tell(Request::set_features, options.features);
      tell_memory();
      for (const Driver& q : queues) tell_queue(q);
    }
    for (const Driver& q : queues) enable(q, true);
    // An answer says that all before it was understood.
    uint64_t value;
    return ask(Request::get_features, &value);
  }

  // Messages.
  bool tell(Request request, const void* payload, uint32_t size, const int* fds = nullptr,
            size_t count = 0, uint32_t flags = kVersion) {
    Header header = {static_cast<uint32_t>(request), flags, size};
    const iovec parts[2] = {{&header, sizeof header}, {const_cast<void*>(payload), size}};
    return send_fds(socket_fd, parts, 2, fds, count, 0) ==
           static_cast<ssize_t>(sizeof header + size);
  }
  template <class T>
  requires(!std::is_null_pointer_v<T>) bool tell(Request request, const T& payload, int fd = -1) {
    return tell(request, &payload, sizeof payload, &fd, fd < 0 ? 0 : 1);
  }
  // The payload of the next answer; false when the other side has hung up, or after 3 s.
  bool hear(void* payload, uint32_t size, Header* header = nullptr, int* fd = nullptr) {
    Header own;
    if (header == nullptr) header = &own;
    pollfd wait = {socket_fd, POLLIN, 0};
    if (poll(&wait, 1, 3000) != 1) return false;
    iovec parts[2] = {{header, sizeof *header}, {payload, size}};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr m = {};
    m.msg_iov = parts;
    m.msg_iovlen = 2;
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    const ssize_t n = recvmsg(socket_fd, &m, MSG_CMSG_CLOEXEC);
    if (fd != nullptr && CMSG_FIRSTHDR(&m) != nullptr)
      std::memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof *fd);
    return n == static_cast<ssize_t>(sizeof *header + size);
  }
  bool ask(Request request, uint64_t* value) {
    return tell(request, nullptr, 0) && hear(value, sizeof *value);
  }
  // Whether it did as told; the other side must have agreed on kReplyAck.
  bool told(Request request, const void* payload, uint32_t size, const int* fds = nullptr,
            size_t count = 0) {
    uint64_t value = 1;
    return tell(request, payload, size, fds, count, kVersion | kNeedReply) &&
           hear(&value, sizeof value) && value == 0;
  }
  bool hung_up() {
    pollfd wait = {socket_fd, POLLIN, 0};
    char byte;
    while (poll(&wait, 1, 3000) == 1) {
      if (recv(socket_fd, &byte, 1, 0) <= 0) return true;
    }
    return false;
  }

  // Two, so that a buffer may lie across their border.
  std::vector<MemoryRegion> regions() const {
    const uint64_t half = options.memory / 2;
    return {{kGuestBase, half, kUserBase, 0},
            {kGuestBase + half, half, kUserBase + 2 * half, half}};
  }
  void tell_memory() {
    MemoryTable table = {};
    for (const MemoryRegion& region : regions()) table.region[table.count++] = region;
    const int fds[2] = {memory_fd, memory_fd};
    tell(Request::set_mem_table, &table,
         static_cast<uint32_t>(offsetof(MemoryTable, region) + 2 * sizeof(MemoryRegion)), fds, 2);
  }
  void tell_queue(const Driver& q) {
    tell(Request::set_vring_num, RingState{q.index, q.size});
    // Of a packed ring its process has only what it was told last, which is nothing here.
    tell(Request::set_vring_base,
         RingState{q.index, q.packed ? kLap | uint32_t{kLap} << 16 : uint32_t{q.used->index}});
    tell(Request::set_vring_addr,
         RingAddress{q.index, 0, user(q.descriptors), user(q.used), user(q.available), 0});
    tell(Request::set_vring_kick, uint64_t{q.index}, q.kick);
    tell(Request::set_vring_call, uint64_t{q.index}, q.call);
  }
  void enable(const Driver& q, bool on) {
    if ((options.features & kProtocolFeatures) != 0)
      tell(Request::set_vring_enable, RingState{q.index, on ? 1u : 0u});
  }
  uint64_t user(const void* p) const {
    return kUserBase + static_cast<uint64_t>(static_cast<const char*>(p) - memory);
  }
  uint64_t guest(uint64_t offset) const { return kGuestBase + offset; }

  // The driver.
  uint32_t header_bytes() const {
    return (options.features & (kVersion1 | kMergeable)) != 0 ? 12 : 10;
  }
  Driver& rx(uint32_t pair = 0) { return queues[2 * pair]; }
  Driver& tx(uint32_t pair = 0) { return queues[2 * pair + 1]; }

  // False: no free buffer.
  bool send(const std::string& frame, VnetHeader vnet = {}, uint32_t pair = 0) {
    Driver& q = tx(pair);
    reclaim(q);
    std::string all(header_bytes(), '\0');
    std::memcpy(all.data(), &vnet, sizeof vnet);
    all += frame;
    std::vector<uint32_t> cuts;
    if (options.piece == 0) {
      cuts = {header_bytes(), static_cast<uint32_t>(frame.size())};
    } else {
      for (size_t at = 0; at < all.size(); at += options.piece)
        cuts.push_back(static_cast<uint32_t>(std::min<size_t>(options.piece, all.size() - at)));
    }
    const size_t needed = options.indirect ? 1 : cuts.size();
    if (!q.has_room(needed)) return false;
    const uint64_t data = q.buffers + uint64_t{q.next_id(needed)} * q.buffer_bytes;
    // The indirect table lies behind the frame.
    const uint64_t table = data + (q.buffer_bytes - 0x1000);
    std::memcpy(memory + data, all.data(), all.size());
    std::vector<SplitDescriptor> chain;
    uint64_t at = data;
    for (const uint32_t cut : cuts) {
      chain.push_back({guest(at), cut, 0, 0});
      at += cut;
    }
    if (options.indirect) {
      const size_t count = chain.size();
      for (size_t i = 0; i + 1 < count && !q.packed; i++) {
        chain[i].flags = kNext;
        chain[i].next = static_cast<uint16_t>(i + 1);
      }
      std::memcpy(memory + table, chain.data(), 16 * count);
      chain = {{guest(table), static_cast<uint32_t>(16 * count), kIndirectTable, 0}};
    }
    q.offer(chain);
    return true;
  }
  void offer(Driver& q, uint16_t head) { q.offer(head); }
  void kick(Driver& q) { q.ring_bell(); }
  // What the device has sent: back to the free ones.
  void reclaim(Driver& q) {
    while (q.has_used()) {
      uint16_t at = static_cast<uint16_t>(q.take_used().id);
      for (; !q.packed; at = q.descriptors[at].next) {
        q.free.push_back(at);
        if ((q.descriptors[at].flags & kNext) == 0) break;
      }
      if (q.packed) q.free.push_back(at);
    }
    q.want_interrupt();
  }

  // All receive buffers that are free, to the device.
  void refill(uint32_t pair = 0) {
    Driver& q = rx(pair);
    while (!q.free.empty()) {
      const uint64_t data = q.buffers + uint64_t{q.free.back()} * q.buffer_bytes;
      q.offer({{guest(data), q.buffer_bytes, kWritable, 0}});
    }
  }
  // The next frame, header in front, within `ms`; empty when there is none. Its buffers go back.
  std::string receive(int ms = 1000, uint32_t pair = 0) {
    Driver& q = rx(pair);
    const uint64_t end = now_us() + static_cast<uint64_t>(ms) * 1000;
    std::string frame;
    for (uint32_t buffers = 1, i = 0; i < buffers; i++) {
      while (!q.has_used()) {
        q.want_interrupt();
        if (now_us() >= end) return frame;
        pollfd wait = {q.call, POLLIN, 0};
        if (poll(&wait, 1, 1) == 1) {
          uint64_t count;
          if (read(q.call, &count, sizeof count) != sizeof count) std::abort();
        }
      }
      const UsedElement element = q.take_used();
      const uint16_t id = static_cast<uint16_t>(element.id);
      if (id >= q.size || element.bytes > q.buffer_bytes) return "nonsense";
      frame.append(memory + q.buffers + uint64_t{id} * q.buffer_bytes, element.bytes);
      q.free.push_back(id);
      if (i == 0 && header_bytes() == 12) {
        buffers = static_cast<uint8_t>(frame[10]) | static_cast<uint32_t>(frame[11]) << 8;
      }
    }
    refill(pair);
    return frame;
  }

 private:
  void prepare(uint32_t index) {
    Driver& q = queues[index];
    q.index = index;
    q.size = q.free_slots = options.queue_size;
    q.packed = (options.features & kPacked) != 0;
    q.events = (options.features & kEventIndex) != 0;
    q.slots_of.resize(q.size);
    const bool receives = index % 2 == 0;
    char* const base = memory + index * kQueueBytes;
    q.descriptors = reinterpret_cast<SplitDescriptor*>(base);
    q.available = reinterpret_cast<AvailableRing*>(base + 0x10000);
    q.used = reinterpret_cast<UsedRing*>(base + 0x14000);
    // Of each queue as much as there is, so that one pair's lie across the border of the regions.
    const uint64_t first = kQueueBytes * queues.size();
    const uint64_t share = (options.memory - first) / queues.size() / 64 * 64;
    q.buffers = first + index * share;
    q.buffer_bytes = receives ? options.rx_buffer : static_cast<uint32_t>(share / q.size / 64 * 64);
    for (uint32_t i = q.size; i-- > 0;) q.free.push_back(static_cast<uint16_t>(i));
    q.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    q.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  }
};

}  // namespace master
