// SPDX-License-Identifier: BSD-2-Clause
#include "nic/interface.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "nic/netlink.h"

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

uint64_t network_inode() {
  struct stat st;
  return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}

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
  netlink::Request<ifinfomsg> request(RTM_GETLINK);
  request.head.ifi_index = index;
  return netlink::ask(request, [&](const netlink::Attribute& one) {
    if (one.type == IFLA_PROMISCUITY) out->promiscuity = one.as<uint32_t>();
    if (one.type == IFLA_CARRIER_DOWN_COUNT) out->link_downs = one.as<uint32_t>();
    if (one.type == IFLA_XDP) {
      netlink::nested(one, [&](const netlink::Attribute& inner) {
        if (inner.type == IFLA_XDP_ATTACHED)
          out->generic_xdp = inner.as<uint8_t>() == XDP_ATTACHED_SKB;
        // Of several at once, one for each mode, any.
        if (inner.type >= IFLA_XDP_PROG_ID && inner.type <= IFLA_XDP_HW_PROG_ID)
          out->xdp_program = inner.as<uint32_t>();
      });
    }
    if (one.type == IFLA_STATS64) {
      rtnl_link_stats64 stats = {};  // shorter in older kernels
      std::memcpy(&stats, one.data, std::min(one.bytes, sizeof stats));
      out->rx_dropped = stats.rx_dropped;
      out->tx_dropped = stats.tx_dropped;
      out->rx_missed = stats.rx_missed_errors;
    }
  });
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
