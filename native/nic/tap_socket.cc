// SPDX-License-Identifier: BSD-2-Clause
#include "nic/tap_socket.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace vale {
namespace {

constexpr unsigned kSegmentUdp = 0x20 | 0x40;  // TUN_F_USO4, TUN_F_USO6; Linux 6.2

}  // namespace

TapSocket::~TapSocket() {
  if (!found_ || !fd_.valid()) return;
  ioctl(fd_.fd(), TUNSETOFFLOAD, 0);
  ioctl(fd_.fd(), TUNSETVNETHDRSZ, &header_);
  fd_ = Handle();
  if (tap_facts(interface_.index) != before_) put_back(interface_.index, before_);
}

Status TapSocket::open(const std::string& name, uint32_t mtu) {
  if (name.empty() || name.size() >= IFNAMSIZ || name.find_first_of("/: ") != std::string::npos) {
    return Status::fail(EINVAL, "\"%s\" is no name for a TAP device; use 1 to %d letters or digits",
                        name.c_str(), IFNAMSIZ - 1);
  }
  fd_ = Handle(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd_.valid()) {
    return Status::fail(errno, "cannot open /dev/net/tun for TAP device \"%s\": %s", name.c_str(),
                        std::strerror(errno));
  }
  Interface there;
  const bool found = find_interface(name, &there) == 0;
  if (found) before_ = tap_facts(there.index);
  ifreq request = {};
  std::memcpy(request.ifr_name, name.c_str(), name.size());
  request.ifr_flags = tap_flags(kTapHeader | (before_ & kTapQueues));
  // One of several queues would get a part of the frames.
  const bool taken = (before_ & kTapOpen) != 0;
  if (taken || ioctl(fd_.fd(), TUNSETIFF, &request) != 0) {
    const int err = taken ? EBUSY : errno;
    const char* todo = err == EPERM   ? "it takes CAP_NET_ADMIN, or an owner set with ip tuntap add"
                       : err == EBUSY ? "another process has it open"
                       : err == EINVAL ? "there is an interface of that name that is no TAP device"
                                       : std::strerror(err);
    return Status::fail(err, "cannot make TAP device \"%s\": %s", name.c_str(), todo);
  }
  found_ = found;
  ioctl(fd_.fd(), TUNGETVNETHDRSZ, &header_);
  const int header = sizeof(VnetHeader);
  ioctl(fd_.fd(), TUNSETVNETHDRSZ, &header);
  const unsigned known = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (ioctl(fd_.fd(), TUNSETOFFLOAD, known | kSegmentUdp) != 0) {
    ioctl(fd_.fd(), TUNSETOFFLOAD, known);
  }
  frame_ = std::make_unique_for_overwrite<char[]>(kMaxSuperFrame);

  const Handle query(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq set = {};
  std::memcpy(set.ifr_name, request.ifr_name, IFNAMSIZ);
  if (mtu != 0) {
    set.ifr_mtu = static_cast<int>(mtu);
    ioctl(query.fd(), SIOCSIFMTU, &set);
  }
  if (!found_ && ioctl(query.fd(), SIOCGIFFLAGS, &set) == 0 && (set.ifr_flags & IFF_UP) == 0) {
    set.ifr_flags = static_cast<short>(set.ifr_flags | IFF_UP);
    if (ioctl(query.fd(), SIOCSIFFLAGS, &set) != 0) {
      return Status::fail(errno, "cannot bring TAP device \"%s\" up: %s; run: ip link set %s up",
                          name.c_str(), std::strerror(errno), name.c_str());
    }
  }
  const int err = find_interface(std::string(request.ifr_name), &interface_);
  if (err != 0) {
    return Status::fail(err, "TAP device \"%s\": %s", name.c_str(), std::strerror(err));
  }
  return Status::good();
}

Receive TapSocket::receive(ReceivedFrame* out) {
  const iovec parts[2] = {{&out->vnet, sizeof(VnetHeader)}, {frame_.get(), kMaxSuperFrame}};
  ssize_t got;
  do {
    got = readv(fd_.fd(), parts, 2);
  } while (got < 0 && errno == EINTR);
  if (got < static_cast<ssize_t>(sizeof(VnetHeader))) return Receive::none;
  out->data = frame_.get();
  out->bytes = static_cast<uint32_t>(got - ssize_t{sizeof(VnetHeader)});
  out->tagged = false;  // a tag stands in the frame
  return Receive::frame;
}

unsigned TapSocket::send(mmsghdr* messages, unsigned count, int* error) {
  for (unsigned i = 0; i < count; i++) {
    const msghdr& one = messages[i].msg_hdr;
    ssize_t sent;
    do {
      sent = writev(fd_.fd(), one.msg_iov, static_cast<int>(one.msg_iovlen));
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
      *error = errno == EIO ? ENETDOWN : errno;
      return i;
    }
  }
  return count;
}

uint64_t TapSocket::take_drops() {
  LinkFacts facts;
  if (link_facts(interface_.index, &facts) != 0) return 0;
  return facts.tx_dropped - told_drops_.exchange(facts.tx_dropped);
}

int TapSocket::take_error() { return removed() ? ENODEV : 0; }

bool TapSocket::removed() const {
  // TUNGETIFF would tell too, but waits for whoever makes or removes any interface.
  pollfd wait = {fd_.fd(), 0, 0};
  return poll(&wait, 1, 0) > 0 && (wait.revents & POLLERR) != 0;
}

}  // namespace vale
