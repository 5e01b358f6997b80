// SPDX-License-Identifier: BSD-2-Clause
#include "nic/tap_device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <string>

#include "nic/bpf.h"
#include "nic/netlink.h"

namespace vale {

TapFacts tap_facts(int index) {
  TapFacts facts = 0;
  std::string kind;
  netlink::Request<ifinfomsg> request(RTM_GETLINK);
  request.head.ifi_index = index;
  netlink::ask(request, [&](const netlink::Attribute& one) {
    if (one.type != IFLA_LINKINFO) return;
    netlink::nested(one, [&](const netlink::Attribute& info) {
      if (info.type == IFLA_INFO_KIND) kind = info.text();
      if (info.type != IFLA_INFO_DATA) return;
      netlink::nested(info, [&](const netlink::Attribute& inner) {
        const auto note = [&](TapFacts what) { facts |= inner.as<uint8_t>() != 0 ? what : 0; };
        if (inner.type == IFLA_TUN_TYPE && inner.as<uint8_t>() == IFF_TAP) facts |= kTapThere;
        if (inner.type == IFLA_TUN_PI) note(kTapInfo);
        if (inner.type == IFLA_TUN_VNET_HDR) note(kTapHeader);
        if (inner.type == IFLA_TUN_MULTI_QUEUE) note(kTapQueues);
        if (inner.type == IFLA_TUN_NUM_QUEUES && inner.as<uint32_t>() != 0) facts |= kTapOpen;
      });
    });
  });
  return kind == "tun" && (facts & kTapThere) != 0 ? facts : 0;
}

short tap_flags(TapFacts facts) {
  return static_cast<short>(IFF_TAP | ((facts & kTapInfo) != 0 ? 0 : IFF_NO_PI) |
                            ((facts & kTapHeader) != 0 ? IFF_VNET_HDR : 0) |
                            ((facts & kTapQueues) != 0 ? IFF_MULTI_QUEUE : 0));
}

bool put_back(int index, TapFacts facts) {
  const TapFacts now = tap_facts(index);
  ifreq request = {};
  if (facts == 0 || now == 0 || (now & kTapOpen) != 0 ||
      if_indextoname(static_cast<unsigned>(index), request.ifr_name) == nullptr)
    return true;
  const Handle fd(open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  request.ifr_flags = tap_flags(facts);
  if (!fd.valid() || ioctl(fd.fd(), TUNSETIFF, &request) != 0) return errno == EBUSY;
  ioctl(fd.fd(), TUNSETOFFLOAD, 0);
  return true;
}

}  // namespace vale
