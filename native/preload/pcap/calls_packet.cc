// SPDX-License-Identifier: BSD-2-Clause
// Packet sockets of programs that read with libpcap and send with one (arping, tcpreplay): a name such
// as vale0:x is an interface to them, and what they send to it goes out of that port. Only sending.
#include "preload/pcap/calls_packet.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>

#include "preload/device_file.h"
#include "preload/pcap/device_name.h"
#include "preload/pcap/inject.h"
#include "preload/real.h"

namespace vale::preload {
namespace {

constexpr int kFirstIndex = 0x56410000;  // above what a kernel gives out
constexpr unsigned kNames = 64;

struct Link {
  char name[IFNAMSIZ];
  int fd;  // a number of /dev/netmap that sends there, of `object`; -1 before there is one
  Object* object;
};
Link g_links[kNames];
std::atomic<unsigned> g_link_count{0};
thread_local bool t_no_stand_in = false;

int fail(int err) {
  errno = err;
  return -1;
}

Link* link_named(const char* name) {
  const unsigned count = g_link_count.load(std::memory_order_acquire);
  for (unsigned i = 0; i < count; i++) {
    if (std::strcmp(g_links[i].name, name) == 0) return &g_links[i];
  }
  return nullptr;
}

// A switch port's name, or a persistent port's that is no interface of the system.
bool is_port_name(const char* name) {
  if (memchr(name, 0, IFNAMSIZ) == nullptr || *name == 0) return false;
  if (std::strncmp(name, "vale", 4) == 0 && std::strchr(name, ':') != nullptr) return true;
  if (link_named(name) != nullptr) return true;
  return real().if_nametoindex(name) == 0 && is_persistent_port(name);
}

// The index that stands for this port in this process; 0 when there is no room.
int index_of(const char* name) {
  Guard table(g_table_lock);
  if (const Link* have = link_named(name)) return kFirstIndex + static_cast<int>(have - g_links);
  const unsigned count = g_link_count.load(std::memory_order_relaxed);
  if (count == kNames) return 0;
  std::strcpy(g_links[count].name, name);
  g_links[count].fd = -1;
  g_link_count.store(count + 1, std::memory_order_release);
  return kFirstIndex + static_cast<int>(count);
}

Link* link_of(int index) {
  const unsigned i = static_cast<unsigned>(index - kFirstIndex);
  return i < g_link_count.load(std::memory_order_acquire) ? &g_links[i] : nullptr;
}

// Opens the port for sending alone: somebody may be receiving on it.
int open_link(Link& link) {
  Guard table(g_table_lock);
  if (!table.held) return EBUSY;
  if (link.fd >= 0 && object_of(link.fd) == link.object) return 0;
  OpenRequest request;
  std::string wrong;
  if (!parse_device(link.name, &request, &wrong)) return EINVAL;
  request.flags |= NR_TX_RINGS_ONLY;
  const int fd = open_device_locked(O_CLOEXEC);
  if (fd < 0) return errno;
  auto* file = static_cast<DeviceFile*>(object_of(fd));
  PortInfo info;
  int err;
  {
    Guard guard(file->lock);
    err = file->do_register(request, &info);
  }
  if (err == 0) {
    link.fd = fd;
    link.object = file;
    return 0;
  }
  remove(fd);
  real().close(fd);
  end_if_unused(file);
  return err;
}

ssize_t send_frame(int index, const void* frame, size_t size) {
  Link* link = link_of(index);
  if (link == nullptr) return fail(ENXIO);
  if (const int err = open_link(*link)) return fail(err);
  Use use(link->fd);
  if (use.port() == nullptr) return fail(ENETDOWN);
  if (const int err = inject(*use.port(), frame, size)) return fail(err);
  return static_cast<ssize_t>(size);
}

// A packet socket that was bound to a port, or stands in for one that the system did not give.
class PacketSocket final : public Object {
 public:
  PacketSocket() : Object(Kind::packet) {}
  void ended() override { index = 0; }
  int index = 0;
  uint16_t protocol = 0;  // as it was bound, in network order
};

PacketSocket* packet_of(int fd) {
  return kind_of(fd) == Kind::packet ? static_cast<PacketSocket*>(object_of(fd)) : nullptr;
}

PacketSocket* make_packet(int fd) {
  if (PacketSocket* have = packet_of(fd)) return have;
  Guard table(g_table_lock);
  auto* socket = new (std::nothrow) PacketSocket;
  return table.held && socket != nullptr && add(fd, socket) ? socket : nullptr;
}

// Locally administered, the same for the same name.
void hardware_address(const char* name, unsigned char* address) {
  uint64_t sum = 1469598103934665603u;
  for (; *name != 0; name++) sum = (sum ^ static_cast<unsigned char>(*name)) * 1099511628211u;
  std::memcpy(address, &sum, 6);
  address[0] = 2;
}

int index_in(const sockaddr* address, socklen_t length) {
  if (address == nullptr || length < sizeof(sockaddr_ll) || address->sa_family != AF_PACKET)
    return 0;
  sockaddr_ll ll;
  std::memcpy(&ll, address, sizeof ll);
  return link_of(ll.sll_ifindex) != nullptr ? ll.sll_ifindex : 0;
}

}  // namespace

NoStandIn::NoStandIn() : before_(t_no_stand_in) { t_no_stand_in = true; }
NoStandIn::~NoStandIn() { t_no_stand_in = before_; }

void send_through(const char* name, int fd) {
  if (std::strlen(name) >= IFNAMSIZ) return;
  const int index = index_of(name);
  if (Link* link = link_of(index)) {
    link->object = object_of(fd);
    link->fd = fd;
  }
}

bool port_ioctl(unsigned long request, void* argument, int* result) {
  if (request < SIOCGIFNAME || request > SIOCGIFTXQLEN || argument == nullptr) return false;
  auto* r = static_cast<ifreq*>(argument);
  *result = 0;
  if (request == SIOCGIFNAME) {
    const Link* link = link_of(r->ifr_ifindex);
    if (link != nullptr) std::strcpy(r->ifr_name, link->name);
    return link != nullptr;
  }
  if (!is_port_name(r->ifr_name)) return false;
  switch (request) {
    case SIOCGIFINDEX:
      r->ifr_ifindex = index_of(r->ifr_name);
      if (r->ifr_ifindex == 0) *result = fail(ENODEV);
      break;
    case SIOCGIFHWADDR:
      r->ifr_hwaddr.sa_family = ARPHRD_ETHER;
      hardware_address(r->ifr_name, reinterpret_cast<unsigned char*>(r->ifr_hwaddr.sa_data));
      break;
    case SIOCGIFFLAGS:
      r->ifr_flags = IFF_UP | IFF_RUNNING | IFF_BROADCAST | IFF_MULTICAST;
      break;
    case SIOCSIFFLAGS:
      break;
    case SIOCGIFMTU:
      r->ifr_mtu = 1500;
      break;
    default:
      *result = fail(EADDRNOTAVAIL);
  }
  return true;
}

EXPORT(unsigned, if_nametoindex, (const char* name)) {
  char padded[IFNAMSIZ] = "";
  if (std::strlen(name) < sizeof padded) std::strcpy(padded, name);
  if (is_port_name(padded)) return static_cast<unsigned>(index_of(padded));
  return real().if_nametoindex(name);
}

EXPORT(char*, if_indextoname, (unsigned index, char* name)) {
  if (const Link* link = link_of(static_cast<int>(index))) return std::strcpy(name, link->name);
  return real().if_indextoname(index, name);
}

EXPORT(int, socket, (int domain, int type, int protocol)) {
  const int fd = real().socket(domain, type, protocol);
  if (fd >= 0 || domain != AF_PACKET || (errno != EPERM && errno != EACCES) || t_no_stand_in)
    return fd;
  // Who may not have one can still send on ports.
  const int stand_in = real().socket(AF_UNIX, SOCK_DGRAM | (type & SOCK_CLOEXEC), 0);
  if (stand_in >= 0) make_packet(stand_in);
  return stand_in;
}

EXPORT(int, bind, (int fd, const sockaddr* address, socklen_t length)) {
  const int index = index_in(address, length);
  if (index == 0) {
    PacketSocket* socket = packet_of(fd);
    if (socket != nullptr && address != nullptr && address->sa_family == AF_PACKET)
      return fail(EPERM);
    return real().bind(fd, address, length);
  }
  if (const int err = open_link(*link_of(index))) return fail(err);
  PacketSocket* socket = make_packet(fd);
  if (socket == nullptr) return fail(ENOMEM);
  socket->index = index;
  socket->protocol = reinterpret_cast<const sockaddr_ll*>(address)->sll_protocol;
  return 0;
}

// As of a packet socket on that interface; scapy asks what kind of link it is.
EXPORT(int, getsockname, (int fd, sockaddr* address, socklen_t* length)) {
  const PacketSocket* socket = packet_of(fd);
  if (socket == nullptr || address == nullptr || length == nullptr)
    return real().getsockname(fd, address, length);
  sockaddr_ll ll = {};
  ll.sll_family = AF_PACKET;
  ll.sll_protocol = socket->protocol;
  ll.sll_ifindex = socket->index;
  if (const Link* link = link_of(socket->index)) {
    ll.sll_hatype = ARPHRD_ETHER;
    ll.sll_halen = 6;
    hardware_address(link->name, ll.sll_addr);
  }
  const socklen_t whole = offsetof(sockaddr_ll, sll_addr) + 6;
  std::memcpy(address, &ll, *length < whole ? *length : whole);
  *length = whole;
  return 0;
}

// Joins or leaves a port: all frames, or some addresses. A port has what the switch gives it anyway.
static bool is_membership(int level, int option, const void* value, socklen_t length) {
  if (level != SOL_PACKET || value == nullptr || length < sizeof(packet_mreq) ||
      (option != PACKET_ADD_MEMBERSHIP && option != PACKET_DROP_MEMBERSHIP))
    return false;
  packet_mreq request;
  std::memcpy(&request, value, sizeof request);
  return link_of(request.mr_ifindex) != nullptr;
}

EXPORT(int, setsockopt, (int fd, int level, int option, const void* value, socklen_t length)) {
  if (kind_of(fd) == Kind::packet && (level == SOL_PACKET || option == SO_BROADCAST)) return 0;
  if (is_membership(level, option, value, length)) return 0;
  return real().setsockopt(fd, level, option, value, length);
}

EXPORT(ssize_t, sendto,
       (int fd, const void* frame, size_t size, int flags, const sockaddr* to, socklen_t length)) {
  if (g_link_count.load(std::memory_order_relaxed) != 0) {
    int index = index_in(to, length);
    if (const PacketSocket* socket = packet_of(fd); index == 0 && socket != nullptr)
      index = socket->index;
    if (index != 0) return send_frame(index, frame, size);
  }
  return real().sendto(fd, frame, size, flags, to, length);
}

EXPORT(ssize_t, send, (int fd, const void* frame, size_t size, int flags)) {
  if (const PacketSocket* socket = packet_of(fd); socket != nullptr && socket->index != 0)
    return send_frame(socket->index, frame, size);
  return real().send(fd, frame, size, flags);
}

bool write_to_port(int fd, const void* frame, size_t size, ssize_t* result) {
  const PacketSocket* socket = packet_of(fd);
  if (socket == nullptr || socket->index == 0) return false;
  *result = send_frame(socket->index, frame, size);
  return true;
}

}  // namespace vale::preload
