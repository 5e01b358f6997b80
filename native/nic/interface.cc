// SPDX-License-Identifier: BSD-2-Clause
#include "nic/interface.h"

#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "nic/bpf.h"

namespace vale {
namespace {

class Query {
 public:
  explicit Query(const char* name) : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    // A kernel without IPv4 still answers these on any socket.
    if (fd_ < 0) fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    std::strncpy(request_.ifr_name, name, IFNAMSIZ - 1);
  }
  ~Query() {
    if (fd_ >= 0) close(fd_);
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  bool ask(unsigned long what) { return ioctl(fd_, what, &request_) == 0; }
  bool ask_ethtool(void* command) {
    request_.ifr_data = static_cast<char*>(command);
    return ioctl(fd_, SIOCETHTOOL, &request_) == 0;
  }
  const ifreq& answer() const { return request_; }

 private:
  int fd_;
  ifreq request_ = {};
};

}  // namespace

int find_interface(const std::string& name, Interface* out) {
  if (name.empty() || name.size() >= IFNAMSIZ || name.find('/') != std::string::npos) return ENODEV;
  Query query(name.c_str());
  if (!query.ask(SIOCGIFINDEX)) return errno;
  out->name = name;
  out->index = query.answer().ifr_ifindex;
  if (!query.ask(SIOCGIFMTU)) return errno;
  out->mtu = static_cast<uint32_t>(query.answer().ifr_mtu);
  if (!query.ask(SIOCGIFFLAGS)) return errno;
  out->up = (query.answer().ifr_flags & IFF_UP) != 0;
  out->running = (query.answer().ifr_flags & IFF_RUNNING) != 0;
  if (!query.ask(SIOCGIFHWADDR)) return errno;
  out->hardware = query.answer().ifr_hwaddr.sa_family;
  std::memcpy(out->mac, query.answer().ifr_hwaddr.sa_data, sizeof out->mac);
  return 0;
}

int find_interface(int index, Interface* out) {
  char name[IF_NAMESIZE];
  if (index <= 0 || if_indextoname(static_cast<unsigned>(index), name) == nullptr) return ENODEV;
  return find_interface(std::string(name), out);
}

int link_facts(int index, LinkFacts* out) {
  const Handle fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return errno;
  struct {
    nlmsghdr header;
    ifinfomsg body;
  } request = {};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.body.ifi_index = index;
  alignas(8) char buffer[16 << 10];
  if (send(fd.fd(), &request, sizeof request, 0) < 0) return errno;
  const ssize_t got = recv(fd.fd(), buffer, sizeof buffer, 0);
  if (got < 0) return errno;
  const nlmsghdr* answer = reinterpret_cast<const nlmsghdr*>(buffer);
  if (!NLMSG_OK(answer, static_cast<size_t>(got))) return EPROTO;
  if (answer->nlmsg_type == NLMSG_ERROR) {
    return -static_cast<const nlmsgerr*>(NLMSG_DATA(answer))->error;
  }
  const char* body = static_cast<const char*>(NLMSG_DATA(answer));
  int left = static_cast<int>(answer->nlmsg_len) - static_cast<int>(NLMSG_SPACE(sizeof(ifinfomsg)));
  const rtattr* one = reinterpret_cast<const rtattr*>(body + NLMSG_ALIGN(sizeof(ifinfomsg)));
  for (; RTA_OK(one, left); one = RTA_NEXT(one, left)) {
    if (one->rta_type == IFLA_PROMISCUITY && RTA_PAYLOAD(one) >= 4) {
      std::memcpy(&out->promiscuity, RTA_DATA(one), 4);
    }
    if (one->rta_type == IFLA_CARRIER_DOWN_COUNT && RTA_PAYLOAD(one) >= 4) {
      uint32_t downs;
      std::memcpy(&downs, RTA_DATA(one), 4);
      out->link_downs = downs;
    }
    if (one->rta_type == IFLA_XDP) {
      int inside = static_cast<int>(RTA_PAYLOAD(one));
      const rtattr* each = static_cast<const rtattr*>(RTA_DATA(one));
      for (; RTA_OK(each, inside); each = RTA_NEXT(each, inside)) {
        if (each->rta_type != IFLA_XDP_ATTACHED) continue;
        out->generic_xdp = *static_cast<const uint8_t*>(RTA_DATA(each)) == XDP_ATTACHED_SKB;
      }
    }
    if (one->rta_type == IFLA_STATS64) {
      rtnl_link_stats64 stats = {};
      std::memcpy(&stats, RTA_DATA(one), std::min<size_t>(RTA_PAYLOAD(one), sizeof stats));
      out->rx_dropped = stats.rx_dropped;
      out->tx_dropped = stats.tx_dropped;
      out->rx_missed = stats.rx_missed_errors;
    }
  }
  return 0;
}

uint32_t link_speed(const std::string& name) {
  alignas(ethtool_link_settings) char memory[sizeof(ethtool_link_settings) + 3 * 128 * 4] = {};
  ethtool_link_settings* settings = reinterpret_cast<ethtool_link_settings*>(memory);
  Query query(name.c_str());
  settings->cmd = ETHTOOL_GLINKSETTINGS;
  if (!query.ask_ethtool(memory)) return 0;
  // The first answer is how many words each mask has, as a negative number.
  const int words = -settings->link_mode_masks_nwords;
  if (words <= 0) return 0;
  settings->cmd = ETHTOOL_GLINKSETTINGS;
  settings->link_mode_masks_nwords = static_cast<int8_t>(words);
  if (!query.ask_ethtool(memory)) return 0;
  const uint32_t speed = settings->speed;
  return speed == static_cast<uint32_t>(SPEED_UNKNOWN) ? 0 : speed;
}

Queues queues_of(const std::string& name) {
  ethtool_channels channels = {};
  channels.cmd = ETHTOOL_GCHANNELS;
  Queues queues;
  queues.known = Query(name.c_str()).ask_ethtool(&channels);
  queues.rx = std::max(1u, channels.rx_count + channels.combined_count);
  queues.tx = std::max(1u, channels.tx_count + channels.combined_count);
  queues.most_rx = std::max(queues.rx, channels.max_rx);
  return queues;
}

Offloads offloads_of(const std::string& name) {
  const auto ask = [&](uint32_t what) {
    ethtool_value value = {};
    value.cmd = what;
    return Query(name.c_str()).ask_ethtool(&value) ? value.data : 0;
  };
  Offloads offloads;
  offloads.sent_checksums = ask(ETHTOOL_GTXCSUM) != 0;
  const uint32_t flags = ask(ETHTOOL_GFLAGS);
  offloads.sent_tags = (flags & ETH_FLAG_TXVLAN) != 0;
  offloads.received_tags = (flags & ETH_FLAG_RXVLAN) != 0;
  return offloads;
}

bool has_hardware(const std::string& name) {
  ethtool_drvinfo info = {};
  info.cmd = ETHTOOL_GDRVINFO;
  Query query(name.c_str());
  if (!query.ask_ethtool(&info)) return false;
  const std::string bus(info.bus_info, strnlen(info.bus_info, sizeof info.bus_info));
  return !bus.empty() && bus != "N/A" && bus != "tap" && bus != "tun";
}

std::vector<Interface> list_interfaces() {
  std::vector<Interface> found;
  struct if_nameindex* names = if_nameindex();
  if (names == nullptr) return found;
  for (const struct if_nameindex* i = names; i->if_name != nullptr; i++) {
    Interface one;
    if (find_interface(std::string(i->if_name), &one) == 0) found.push_back(one);
  }
  if_freenameindex(names);
  return found;
}

}  // namespace vale
