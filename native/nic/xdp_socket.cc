// SPDX-License-Identifier: BSD-2-Clause
#include "nic/xdp_socket.h"

#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "nic/xdp_advice.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif

namespace vale {
namespace {

constexpr unsigned kMaxQueues = 64;
constexpr uint32_t kMask = XdpSocket::kRing - 1;
constexpr uint16_t kUseSg = 1 << 4;     // XDP_USE_SG, Linux 6.6
constexpr uint32_t kContinued = 1;      // XDP_PKT_CONTD
constexpr uint32_t kHasFrags = 1 << 5;  // BPF_F_XDP_HAS_FRAGS
constexpr int kMaxTxBudget = 9;         // XDP_MAX_TX_SKB_BUDGET, Linux 6.17
constexpr int kFreedTries = 200;        // of 10 ms: what was just closed is freed after a while
constexpr int kRedirectMap = 51;        // BPF_FUNC_redirect_map
constexpr int kXdpDrop = 1;

uint32_t acquire(const uint32_t* word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
void release(uint32_t* word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

bool set(int fd, int option, const void* value, socklen_t bytes) {
  return setsockopt(fd, SOL_XDP, option, value, bytes) == 0;
}

// 0 or an errno. What sockets closed a moment ago had locked still counts until the kernel has freed it.
int lock_memory(int fd, char* memory, uint64_t bytes, uint32_t chunk) {
  xdp_umem_reg region = {};
  region.addr = reinterpret_cast<uint64_t>(memory);
  region.len = bytes;
  region.chunk_size = chunk;
  region.flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG;
  for (int attempt = 0;; attempt++) {
    if (set(fd, XDP_UMEM_REG, &region, sizeof region)) return 0;
    if (errno != ENOBUFS || bytes > lockable_bytes() || attempt == kFreedTries) return errno;
    usleep(10'000);
  }
}

}  // namespace

XdpSocket::~XdpSocket() { close(); }

void XdpSocket::close() {
  link_ = Handle();
  map_ = Handle();
  queues_.clear();
}

Status XdpSocket::open(const Interface& interface, const std::vector<XdpMode>& modes, char* memory,
                       uint64_t bytes, uint32_t chunk, const Refused& refused) {
  const char* name = interface.name.c_str();
  // A queue that only sends would have buffers for nothing.
  const Queues queues = queues_of(interface.name);
  const unsigned most = queues.known ? std::min(queues.rx, kMaxQueues) : kMaxQueues;
  Status status;
  for (const XdpMode mode : modes) {
    for (const bool fragments : {true, false}) {
      close();
      fragments_ = fragments;
      status = try_open(interface, memory, bytes, chunk, most, mode);
      if (status.ok()) {
        mode_ = mode;
        return status;
      }
      if (status.err != EINVAL && status.err != EOPNOTSUPP) break;
    }
    if (status.err == EPERM || status.err == ENOBUFS) break;
    if (refused) refused(mode, &status);
  }
  const int err = status.err;
  close();
  // Memory comes first and the program last: more of the one does not help who may not have the other.
  if (err == EPERM || (err == ENOBUFS && !bpf::make_xsk_map(1).valid() && errno == EPERM)) {
    return Status::fail(EPERM,
                        "cannot open interface \"%s\" by AF_XDP: it takes root outside of all user "
                        "namespaces (CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF); use --backend packet",
                        name);
  }
  if (err == ENOBUFS) return no_lockable_memory(name, bytes);
  if (err == EBUSY) {
    return Status::fail(err,
                        "cannot open interface \"%s\" by AF_XDP: another XDP program or socket has "
                        "it; see bpftool net show dev %s, or use --backend packet",
                        name, name);
  }
  return Status::fail(err, "cannot open interface \"%s\" by AF_XDP: %s%s use --backend packet",
                      name, status.text.c_str(), err == ENOSPC ? ", or" : ";");
}

Status XdpSocket::try_open(const Interface& interface, char* memory, uint64_t bytes, uint32_t chunk,
                           unsigned queues, XdpMode mode) {
  for (unsigned i = 0; i < queues; i++) {
    Queue queue;
    queue.fd = Handle(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!queue.fd.valid()) return Status::fail(errno, "socket: %s", std::strerror(errno));
    if (i == 0) {
      const int err = lock_memory(queue.fd.fd(), memory, bytes, chunk);
      if (err != 0) return Status::fail(err, "XDP_UMEM_REG: %s", std::strerror(err));
    }
    queues_.push_back(std::move(queue));
    const int err = make_queue(interface, i, mode);
    if (err == 0) continue;
    if (i == 0) return Status::fail(err, "bind: %s", std::strerror(err));
    queues_.pop_back();
    if (err == EINVAL) break;  // there is no such queue
    return Status::fail(err, "bind to queue %u: %s", i, std::strerror(err));
  }
  const int err = attach(interface, mode);
  return err == 0 ? Status::good() : Status::fail(err, "program: %s", std::strerror(err));
}

// An errno: EINVAL when the interface has no queue of that number.
int XdpSocket::make_queue(const Interface& interface, unsigned index, XdpMode mode) {
  Queue& queue = queues_[index];
  const int fd = queue.fd.fd();
  const int entries = kRing;
  for (const int option :
       {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING}) {
    if (!set(fd, option, &entries, sizeof entries)) return errno;
  }
  set(fd, kMaxTxBudget, &entries, sizeof entries);
  xdp_mmap_offsets offsets = {};
  socklen_t bytes = sizeof offsets;
  if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &bytes) != 0) return errno;
  const struct {
    Ring* ring;
    const xdp_ring_offset& at;
    size_t entry;
    uint64_t page;
  } maps[] = {{&queue.fill, offsets.fr, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING},
              {&queue.completion, offsets.cr, sizeof(uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING},
              {&queue.rx, offsets.rx, sizeof(xdp_desc), XDP_PGOFF_RX_RING},
              {&queue.tx, offsets.tx, sizeof(xdp_desc), XDP_PGOFF_TX_RING}};
  for (const auto& one : maps) {
    one.ring->map = Mapping::of(fd, one.at.desc + kRing * one.entry, one.page, MAP_POPULATE);
    if (!one.ring->map.valid()) return errno;
    char* base = one.ring->map.data();
    one.ring->producer = reinterpret_cast<uint32_t*>(base + one.at.producer);
    one.ring->consumer = reinterpret_cast<uint32_t*>(base + one.at.consumer);
    one.ring->flags = reinterpret_cast<uint32_t*>(base + one.at.flags);
    one.ring->entries = base + one.at.desc;
  }
  sockaddr_xdp address = {};
  address.sxdp_family = AF_XDP;
  address.sxdp_ifindex = static_cast<uint32_t>(interface.index);
  address.sxdp_queue_id = index;
  if (index == 0) {
    address.sxdp_flags = static_cast<uint16_t>(
        XDP_USE_NEED_WAKEUP | (mode == XdpMode::zero_copy ? XDP_ZEROCOPY : XDP_COPY) |
        (fragments_ ? kUseSg : 0));
  } else {
    address.sxdp_flags = XDP_SHARED_UMEM;
    address.sxdp_shared_umem_fd = static_cast<uint32_t>(queues_[0].fd.fd());
  }
  for (int attempt = 0;; attempt++) {
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return 0;
    if (errno != EBUSY || attempt == kFreedTries) return errno;
    usleep(10'000);
  }
}

int XdpSocket::attach(const Interface& interface, XdpMode mode) {
  using namespace bpf::op;
  map_ = bpf::make_xsk_map(static_cast<uint32_t>(queues_.size()));
  if (!map_.valid()) return errno;
  for (unsigned i = 0; i < queues_.size(); i++) {
    if (!bpf::put(map_, i, static_cast<uint32_t>(queues_[i].fd.fd()))) return errno;
  }
  const bpf_insn code[] = {load32(2, 1, offsetof(xdp_md, rx_queue_index)),
                           make(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map_.fd()),
                           make(0, 0, 0, 0, 0),
                           move(3, kXdpDrop),
                           call(kRedirectMap),
                           exit()};
  const Handle program = bpf::load(BPF_PROG_TYPE_XDP, bpf::kXdp, fragments_ ? kHasFrags : 0, code,
                                   sizeof code / sizeof code[0]);
  if (!program.valid()) return errno;
  link_ = bpf::attach_xdp(
      program, interface.index,
      mode == XdpMode::generic ? uint32_t{XDP_FLAGS_SKB_MODE} : uint32_t{XDP_FLAGS_DRV_MODE});
  return link_.valid() ? 0 : errno;
}

void XdpSocket::give(unsigned queue, uint64_t address) {
  Ring& fill = queues_[queue].fill;
  static_cast<uint64_t*>(fill.entries)[fill.local++ & kMask] = address;
}

void XdpSocket::publish(unsigned queue) {
  Ring& fill = queues_[queue].fill;
  release(fill.producer, fill.local);
  if ((acquire(fill.flags) & XDP_RING_NEED_WAKEUP) != 0) {
    recvfrom(queues_[queue].fd.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
  }
}

uint32_t XdpSocket::received(unsigned queue, Frame* out, uint32_t most) {
  Ring& rx = queues_[queue].rx;
  const uint32_t there = acquire(rx.producer) - rx.local;
  const uint32_t n = there < most ? there : most;
  for (uint32_t i = 0; i < n; i++) {
    const xdp_desc& one = static_cast<const xdp_desc*>(rx.entries)[(rx.local + i) & kMask];
    const uint64_t address =
        (one.addr & XSK_UNALIGNED_BUF_ADDR_MASK) + (one.addr >> XSK_UNALIGNED_BUF_OFFSET_SHIFT);
    out[i] = {address, one.len, (one.options & kContinued) != 0};
  }
  return n;
}

void XdpSocket::taken(unsigned queue, uint32_t frames) {
  Ring& rx = queues_[queue].rx;
  rx.local += frames;
  release(rx.consumer, rx.local);
}

uint32_t XdpSocket::tx_room() const {
  const Ring& tx = queues_[0].tx;
  return kRing - (tx.local - acquire(tx.consumer));
}

void XdpSocket::send(uint64_t address, uint32_t bytes, bool more) {
  Ring& tx = queues_[0].tx;
  static_cast<xdp_desc*>(tx.entries)[tx.local++ & kMask] = {address, bytes, more ? kContinued : 0};
  unsent_ = true;
}

int XdpSocket::kick() {
  const int err = wake_for_tx();
  const Ring& tx = queues_[0].tx;
  waiting_ = 0;
  for (uint32_t i = unsent_ ? acquire(tx.consumer) : tx.local; i != tx.local; i++) {
    const xdp_desc& one = static_cast<const xdp_desc*>(tx.entries)[i & kMask];
    waiting_ += (one.options & kContinued) == 0;
  }
  return err;
}

int XdpSocket::wake_for_tx() {
  Ring& tx = queues_[0].tx;
  release(tx.producer, tx.local);
  if ((acquire(tx.flags) & XDP_RING_NEED_WAKEUP) == 0) {
    unsent_ = false;
    return 0;
  }
  // A call takes a few dozen frames in older kernels.
  uint32_t before = acquire(tx.consumer);
  for (;;) {
    const int err =
        sendto(queues_[0].fd.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 ? errno : 0;
    const uint32_t now = acquire(tx.consumer);
    unsent_ = now != tx.local;
    if (!unsent_ && (err == 0 || err == EAGAIN)) return 0;
    if (err != 0 && err != EAGAIN) return err;
    if (now == before) return EAGAIN;
    before = now;
  }
}

uint32_t XdpSocket::sent(uint64_t* addresses, uint32_t most) {
  Ring& done = queues_[0].completion;
  const uint32_t there = acquire(done.producer) - done.local;
  const uint32_t n = there < most ? there : most;
  for (uint32_t i = 0; i < n; i++) {
    addresses[i] = static_cast<const uint64_t*>(done.entries)[(done.local + i) & kMask];
  }
  done.local += n;
  release(done.consumer, done.local);
  return n;
}

uint64_t XdpSocket::drops() const {
  uint64_t sum = 0;
  for (const Queue& queue : queues_) {
    xdp_statistics counts = {};
    socklen_t bytes = sizeof counts;
    if (getsockopt(queue.fd.fd(), SOL_XDP, XDP_STATISTICS, &counts, &bytes) != 0) continue;
    // A frame for which the fill ring had no buffer is in rx_dropped; rx_fill_ring_empty_descs counts how
    // often the ring was found empty, which is no number of frames.
    sum += counts.rx_dropped + counts.rx_ring_full;
  }
  return sum;
}

}  // namespace vale
