// SPDX-License-Identifier: BSD-2-Clause
#include "device/kernel_port.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "abi/netmap_control.h"
#include "device/kernel.h"
#include "device/request_body.h"

#ifdef __linux__
#include <linux/if_packet.h>
#else
#include <net/if_dl.h>
#endif

namespace vale {
namespace {

constexpr uint32_t kMostBytes = 65536;  // of a frame on a switch or in a pipe
constexpr uint32_t kEthernetHeader = 14;
constexpr uint64_t kKernelKey = 1ull << 63;  // no address of a mapping has this bit

class KernelPort final : public Port {
 public:
  ~KernelPort() override;

  // On failure the object is only good for destruction.
  Status open(const OpenRequest& request);

  int txsync() override { return sync(NIOCTXSYNC); }
  int rxsync() override;
  short ready(short events) override;
  void arm(short) override {}
  int fd() const override { return fd_; }
  short poll_events(short events) const override { return events; }
  void disarm() override {}
  bool counted() const override { return false; }
  PortCounters counters() const override { return {}; }
  uint32_t header_length() const override { return header_length_; }
  Status set_header_length(uint32_t length) override;

 private:
  Status map(const nmreq_register& answer);
  bool find_rings(bool tx, uint64_t first, uint64_t count);
  bool view(uint64_t offset, RingView* out);
  void interface_facts();
  bool unread() const;
  int sync(unsigned long request);

  int fd_ = -1;
  uint32_t header_length_ = 0;
  unsigned errors_ = 0;  // polls in a row that said POLLERR
  int gone_ = 0;         // why no sync is possible any more
  std::atomic<uint32_t> bound_{0};
};

Status refused(const OpenRequest& q, int err) {
  const char* n = q.name.c_str();
  const bool host = q.mode == NR_REG_SW || q.mode == NR_REG_NIC_SW || q.mode == NR_REG_ONE_SW;
  switch (err) {
    case EBUSY:
      return Status::fail(
          err,
          "%s: it is open exclusively, or attached to a switch; the kernel's netmap "
          "does not say where",
          n);
    case ENXIO:
      return Status::fail(err,
                          "%s: the kernel's netmap knows no interface or persistent port of this "
                          "name; with VALE_DEVICE=user every interface can be opened",
                          n);
    case EINVAL:
      return Status::fail(
          err, "%s: the kernel's netmap does not open this%s", n,
          host ? ": only a network interface has host rings"
               : "; see whether its rings, memory and what it is a part of are there");
    case ENOMEM:
      return Status::fail(
          err,
          "%s: the kernel's netmap has no memory, no switch or no port left for it, "
          "or takes no name that long",
          n);
    default:
      return Status::fail(err, "%s: the kernel's netmap does not open it: %s", n,
                          std::strerror(err));
  }
}

KernelPort::~KernelPort() {
  if (base_ != nullptr) munmap(base_, info_.memsize);
  if (fd_ >= 0) close(fd_);
}

Status KernelPort::open(const OpenRequest& q) {
  const char* n = q.name.c_str();
  if (q.buf_size != 0) {
    return Status::fail(
        EOPNOTSUPP,
        "%s: the kernel's buffers have one size, which its administrator sets; leave "
        "buf-size out",
        n);
  }
  if (q.offsets) return Status::fail(EOPNOTSUPP, "%s: offsets are for VALE_DEVICE=user", n);
  fd_ = ::open(kKernelPath, O_RDWR | O_CLOEXEC);
  if (fd_ < 0) return Status::fail(errno, "%s: %s", kKernelPath, std::strerror(errno));
  nmreq_register body{};
  request_body::fields(body, q, request_body::to_body);
  // Engines ask the port for its header's length, so that one with headers may be opened by all.
  body.nr_flags |= NR_ACCEPT_VNET_HDR;
  if (const int err = kernel_control(fd_, NETMAP_REQ_REGISTER, q.name, &body))
    return refused(q, err);
  flags_ = q.flags;
  info_.name = q.name;
  if (Status s = map(body); !s.ok()) return s;
  nmreq_port_hdr header{};
  if (kernel_control(fd_, NETMAP_REQ_PORT_HDR_GET, q.name, &header) == 0)
    header_length_ = header.nr_hdr_len;
  interface_facts();
  return Status::good();
}

Status KernelPort::map(const nmreq_register& answer) {
  info_.device = "kernel";
  request_body::fields(answer, info_, request_body::from_body);
  info_.mtu = kMostBytes;
  info_.pipe = info_.name.find_first_of("{}") != std::string::npos;
  const char* n = info_.name.c_str();
  void* const memory = mmap(nullptr, info_.memsize, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (memory == MAP_FAILED) {
    return Status::fail(errno, "%s: its %llu bytes cannot be mapped: %s", n,
                        static_cast<unsigned long long>(info_.memsize), std::strerror(errno));
  }
  base_ = static_cast<char*>(memory);
  memory_key_ = kKernelKey | info_.mem_id;
  const auto strange = [&] {
    return Status::fail(EPROTO,
                        "%s: what /dev/netmap maps is not laid out as netmap's API %d says; is its "
                        "module of that version?",
                        n, NETMAP_API);
  };
  if (info_.offset > info_.memsize || info_.memsize - info_.offset < sizeof(netmap_if))
    return strange();
  nifp_ = NETMAP_IF(base_, info_.offset);
  // The array has the host's rings, of which a port without any has one each way that is not there.
  const uint64_t tx = uint64_t{nifp_->ni_tx_rings} + nifp_->ni_host_tx_rings;
  const uint64_t rx = uint64_t{nifp_->ni_rx_rings} + nifp_->ni_host_rx_rings;
  if ((info_.memsize - info_.offset - sizeof(netmap_if)) / sizeof nifp_->ring_ofs[0] < tx + rx ||
      !find_rings(true, 0, tx) || !find_rings(false, tx, rx))
    return strange();
  return Status::good();
}

// Rings that this registration does not bind have no place.
bool KernelPort::find_rings(bool tx, uint64_t first, uint64_t count) {
  std::vector<RingView>& views = tx ? tx_views_ : rx_views_;
  unsigned& begin = tx ? first_tx_ : first_rx_;
  unsigned& end = tx ? last_tx_ : last_rx_;
  views.resize(count);
  for (unsigned i = 0; i < count; i++) {
    const int64_t place = nifp_->ring_ofs[first + i];
    if (place == 0) continue;
    if (!view(info_.offset + static_cast<uint64_t>(place), &views[i])) return false;
    if (end == 0) begin = i;
    end = i + 1;
  }
  return true;
}

bool KernelPort::view(uint64_t offset, RingView* out) {
  const uint64_t size = info_.memsize;
  if (offset > size || size - offset < sizeof(netmap_ring)) return false;
  auto* ring = reinterpret_cast<netmap_ring*>(base_ + offset);
  const uint32_t slots = ring->num_slots, buf_size = ring->nr_buf_size;
  const uint64_t buffers = offset + static_cast<uint64_t>(ring->buf_ofs);
  if (slots < 2 || (size - offset - sizeof(netmap_ring)) / sizeof(netmap_slot) < slots)
    return false;
  // Two of them are nobody's, and belong to every region.
  if (buf_size == 0 || buffers > size || (size - buffers) / buf_size < 2) return false;
  const uint64_t count = (size - buffers) / buf_size;
  bound_ = static_cast<uint32_t>(count < UINT32_MAX ? count : UINT32_MAX);
  info_.buf_size = buf_size;
  *out = RingView(ring, slots, base_ + buffers, buf_size, &bound_);
  return true;
}

// Of an interface, the longest frame and the address. All others keep what a switch has.
void KernelPort::interface_facts() {
  const std::string& name = info_.name;
  if (info_.pipe || name.size() >= IFNAMSIZ || if_nametoindex(name.c_str()) == 0) return;
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0 && request.ifr_mtu > 0)
    info_.mtu = static_cast<uint32_t>(request.ifr_mtu) + kEthernetHeader;
  if (fd >= 0) close(fd);
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return;
  for (const ifaddrs* a = all; a != nullptr; a = a->ifa_next) {
    if (a->ifa_addr == nullptr || name != a->ifa_name) continue;
#ifdef __linux__
    if (a->ifa_addr->sa_family != AF_PACKET) continue;
    const auto* link = reinterpret_cast<const sockaddr_ll*>(a->ifa_addr);
    if (link->sll_halen == sizeof info_.mac)
      std::memcpy(info_.mac, link->sll_addr, sizeof info_.mac);
#else
    if (a->ifa_addr->sa_family != AF_LINK) continue;
    const auto* link = reinterpret_cast<const sockaddr_dl*>(a->ifa_addr);
    if (link->sdl_alen == sizeof info_.mac) std::memcpy(info_.mac, LLADDR(link), sizeof info_.mac);
#endif
  }
  freeifaddrs(all);
}

int KernelPort::sync(unsigned long request) {
  if (gone_ != 0) return gone_;
  return ioctl(fd_, request, nullptr) == 0 ? 0 : errno;
}

bool KernelPort::unread() const {
  for (unsigned i = first_rx_; i < last_rx_; i++) {
    if (rx_views_[i].ring() != nullptr && rx_views_[i].available() != 0) return true;
  }
  return false;
}

// netmap's own answer to a sync never tells that a port is gone; its poll does.
int KernelPort::rxsync() {
  if (gone_ != 0 && unread()) return 0;
  return sync(NIOCRXSYNC);
}

short KernelPort::ready(short events) {
  pollfd one{fd_, events, 0};
  if (poll(&one, 1, 0) < 0) return 0;
  const short failed = static_cast<short>(one.revents & (POLLERR | POLLHUP | POLLNVAL));
  // A ring whose positions made no sense is put right by the poll that says so.
  errors_ = failed != 0 ? errors_ + 1 : 0;
  if (errors_ > 1)
    gone_ = (flags_ & (NR_MONITOR_RX | NR_MONITOR_TX | NR_ZCOPY_MON)) ? EPIPE : ENXIO;
  return static_cast<short>((one.revents & events) | (failed != 0 ? POLLERR : 0));
}

Status KernelPort::set_header_length(uint32_t length) {
  nmreq_port_hdr body{};
  body.nr_hdr_len = length;
  if (const int err = kernel_control(fd_, NETMAP_REQ_PORT_HDR_SET, info_.name, &body)) {
    return Status::fail(err, "%s: its virtio-net header cannot be %u bytes long: %s",
                        info_.name.c_str(), length, std::strerror(err));
  }
  header_length_ = length;
  return Status::good();
}

}  // namespace

int kernel_control(int fd, uint16_t type, char* name, void* body) {
  nmreq_header header{};
  header.nr_version = NETMAP_API;
  header.nr_reqtype = type;
  header.nr_body = reinterpret_cast<uintptr_t>(body);
  std::memcpy(header.nr_name, name, sizeof header.nr_name);
  const int err = ioctl(fd, NIOCCTRL, &header) == 0 ? 0 : errno;
  std::memcpy(name, header.nr_name, sizeof header.nr_name);
  return err;
}

int kernel_control(int fd, uint16_t type, const std::string& name, void* body) {
  char copy[NETMAP_REQ_IFNAMSIZ] = {};
  if (name.size() >= sizeof copy) return ENAMETOOLONG;
  std::memcpy(copy, name.data(), name.size());
  return kernel_control(fd, type, copy, body);
}

Status open_kernel_port(const OpenRequest& request, std::unique_ptr<Port>* out) {
  auto port = std::make_unique<KernelPort>();
  Status s = port->open(request);
  if (s.ok()) *out = std::move(port);
  return s;
}

}  // namespace vale
