// SPDX-License-Identifier: BSD-2-Clause
#include "nic/packet_socket.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "nic/take_over.h"

namespace vale {
namespace {

constexpr uint32_t kRingBytes = 4 << 20;
constexpr uint32_t kBlockBytes = 64 << 10;
constexpr uint32_t kMaxPlace = 16 << 10;  // beyond this the socket's queue does it
constexpr int kQueueBytes = 8 << 20;

template <typename T>
bool set_option(int fd, int option, const T& value) {
  return setsockopt(fd, SOL_PACKET, option, &value, sizeof value) == 0;
}

std::string own_program() {
  char path[512];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  return n > 0 && n < static_cast<ssize_t>(sizeof path) ? std::string(path, n) : "the program";
}

// What is on its way from the host side of a wire to the host's stack passes here a second time.
bool refuse_host_frames(int fd) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_MARK)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kHostMark, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  };
  const sock_fprog program = {sizeof code / sizeof code[0], code};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

Status cannot(const Interface& interface, const char* what) {
  const int err = errno;
  return Status::fail(err, "cannot open interface \"%s\": %s: %s", interface.name.c_str(), what,
                      std::strerror(err));
}

}  // namespace

PacketSocket::~PacketSocket() {
  if (fd_ >= 0) close(fd_);
}

Status PacketSocket::open(const Interface& interface, bool receives) {
  const char* name = interface.name.c_str();
  if (interface.hardware != ARPHRD_ETHER && interface.hardware != ARPHRD_LOOPBACK) {
    return Status::fail(EINVAL,
                        "interface \"%s\" does not carry Ethernet frames; use one that does", name);
  }
  fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0 && (errno == EPERM || errno == EACCES)) {
    return Status::fail(EPERM,
                        "cannot open interface \"%s\": it takes CAP_NET_RAW; run as root, or in a "
                        "network namespace of your own (unshare -Urn), or once "
                        "\"sudo setcap cap_net_admin,cap_net_raw+ep %s\"",
                        name, own_program().c_str());
  }
  if (fd_ < 0) return cannot(interface, "AF_PACKET socket");

  // As large as allowed; without privilege the kernel caps it at net.core.rmem_max.
  if (setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &kQueueBytes, sizeof kQueueBytes) != 0) {
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &kQueueBytes, sizeof kQueueBytes);
  }
  if (!set_option(fd_, PACKET_VNET_HDR, 1)) return cannot(interface, "PACKET_VNET_HDR");
  // Netfilter, where it keeps the stack's frames from the wire, sees these too.
  setsockopt(fd_, SOL_SOCKET, SO_MARK, &kOwnMark, sizeof kOwnMark);
  if (!set_option(fd_, PACKET_QDISC_BYPASS, 1)) return cannot(interface, "PACKET_QDISC_BYPASS");
  if (receives) {
    if (!set_option(fd_, PACKET_IGNORE_OUTGOING, 1)) {
      return cannot(interface, "PACKET_IGNORE_OUTGOING (Linux 4.20 or later)");
    }
    if (!set_option(fd_, PACKET_COPY_THRESH, 1)) return cannot(interface, "PACKET_COPY_THRESH");
    Status mapped = map_ring(interface);
    if (!mapped.ok()) return mapped;
    if (!refuse_host_frames(fd_)) return cannot(interface, "SO_ATTACH_FILTER");
  }

  // Only bound when all is set up: nothing from other interfaces gets in.
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = receives ? htons(ETH_P_ALL) : 0;
  address.sll_ifindex = interface.index;
  if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return cannot(interface, "bind");
  }
  if (receives) {
    packet_mreq membership = {};
    membership.mr_ifindex = interface.index;
    membership.mr_type = PACKET_MR_PROMISC;
    if (!set_option(fd_, PACKET_ADD_MEMBERSHIP, membership)) {
      return cannot(interface, "promiscuous mode");
    }
  }
  take_error();  // an interface that is down now says so here; it may come up
  return Status::good();
}

Status PacketSocket::map_ring(const Interface& interface) {
  if (!set_option(fd_, PACKET_VERSION, int{TPACKET_V2})) return cannot(interface, "PACKET_VERSION");

  // The kernel puts the network header at a multiple of 16, the Ethernet header before that.
  const uint32_t front = TPACKET_ALIGN(TPACKET2_HDRLEN + 16) + 16 + sizeof(VnetHeader);
  uint32_t bytes = (front + interface.mtu + ETH_HLEN + 63) & ~63u;
  if (bytes % 1024 == 0) bytes += 64;  // powers of two would crowd a few sets of the cache
  place_bytes_ = std::min(bytes, kMaxPlace);
  block_bytes_ = kBlockBytes;
  places_per_block_ = block_bytes_ / place_bytes_;

  tpacket_req request = {};
  request.tp_block_size = block_bytes_;
  request.tp_block_nr = kRingBytes / kBlockBytes;
  request.tp_frame_size = place_bytes_;
  request.tp_frame_nr = request.tp_block_nr * places_per_block_;
  if (!set_option(fd_, PACKET_RX_RING, request)) return cannot(interface, "receive ring");
  places_ = request.tp_frame_nr;
  ring_ = Mapping::of(fd_, kRingBytes, 0, 0);
  return ring_.valid() ? Status::good() : cannot(interface, "receive ring");
}

Receive PacketSocket::receive(ReceivedFrame* out) {
  tpacket2_hdr* header = reinterpret_cast<tpacket2_hdr*>(place(next_));
  const uint32_t status = __atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE);
  if ((status & TP_STATUS_USER) == 0) return Receive::none;

  out->tagged = (status & TP_STATUS_VLAN_VALID) != 0;
  out->tci = header->tp_vlan_tci;
  out->tpid = (status & TP_STATUS_VLAN_TPID_VALID) != 0 ? header->tp_vlan_tpid : ETH_P_8021Q;
  if ((status & TP_STATUS_COPY) != 0) return receive_large(out);
  if (header->tp_snaplen < header->tp_len) return Receive::no_room;
  out->data = reinterpret_cast<char*>(header) + header->tp_mac;
  out->bytes = header->tp_snaplen;
  std::memcpy(&out->vnet, out->data - sizeof(VnetHeader), sizeof(VnetHeader));
  return Receive::frame;
}

Receive PacketSocket::receive_large(ReceivedFrame* out) {
  if (large_ == nullptr) large_ = std::make_unique_for_overwrite<char[]>(kMaxSuperFrame);
  iovec parts[2] = {{&out->vnet, sizeof(VnetHeader)}, {large_.get(), kMaxSuperFrame}};
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  ssize_t got;
  do {  // an error waiting on the socket (interface down) is told once, before the frame
    got = recvmsg(fd_, &message, MSG_DONTWAIT | MSG_TRUNC);
  } while (got < 0 && errno != EAGAIN && errno != EBADF);
  if (got < static_cast<ssize_t>(sizeof(VnetHeader))) return Receive::no_room;
  out->data = large_.get();
  out->bytes = static_cast<uint32_t>(got - ssize_t{sizeof(VnetHeader)});
  if ((message.msg_flags & MSG_TRUNC) != 0) return Receive::too_big;
  return Receive::frame;
}

void PacketSocket::release() {
  tpacket2_hdr* header = reinterpret_cast<tpacket2_hdr*>(place(next_));
  __atomic_store_n(&header->tp_status, uint32_t{TP_STATUS_KERNEL}, __ATOMIC_RELEASE);
  if (++next_ == places_) next_ = 0;
}

unsigned PacketSocket::send(mmsghdr* messages, unsigned count, int* error) {
  for (int attempt = 0;; attempt++) {
    const int sent = sendmmsg(fd_, messages, count, MSG_DONTWAIT);
    if (sent > 0) return static_cast<unsigned>(sent);
    *error = sent < 0 ? errno : EAGAIN;
    // The first ENETDOWN may be an old one that waited on the socket.
    if (attempt == 0 && (*error == ENETDOWN || *error == EINTR)) continue;
    return 0;
  }
}

uint64_t PacketSocket::take_drops() {
  tpacket_stats stats = {};
  socklen_t bytes = sizeof stats;
  if (getsockopt(fd_, SOL_PACKET, PACKET_STATISTICS, &stats, &bytes) != 0) return 0;
  return stats.tp_drops;
}

int PacketSocket::take_error() {
  int error = 0;
  socklen_t bytes = sizeof error;
  return getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 ? error : 0;
}

bool PacketSocket::removed() const {
  sockaddr_ll address = {};
  socklen_t bytes = sizeof address;
  return getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &bytes) == 0 &&
         address.sll_ifindex < 0;
}

}  // namespace vale
