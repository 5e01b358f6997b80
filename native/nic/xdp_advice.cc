// SPDX-License-Identifier: BSD-2-Clause
#include "nic/xdp_advice.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstring>

namespace vale {
namespace {

// The words before a command that runs where the other end is.
const std::string& at_peer(const XdpPlace& place) {
  return place.peer.elsewhere ? place.peer.inside : place.inside;
}

}  // namespace

uint64_t lockable_bytes() {
  rlimit limit = {};
  return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 ? limit.rlim_cur : 0;
}

Status no_lockable_memory(const std::string& interface, uint64_t bytes) {
  const auto kib = [](uint64_t n) { return static_cast<unsigned long long>(n >> 10); };
  const uint64_t most = lockable_bytes();
  if (bytes <= most) {
    return Status::fail(ENOBUFS,
                        "cannot open interface \"%s\" by AF_XDP: it locks %llu KiB of memory, and "
                        "with what others of this user have locked that is more than %llu; run: "
                        "ulimit -l unlimited, or use --backend packet",
                        interface.c_str(), kib(bytes), kib(most));
  }
  rlimit limit = {};
  const bool own = getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_max >= bytes;
  const std::string raise = own ? "ulimit -l " + std::to_string(kib(bytes))
                                : "sudo prlimit --pid $$ --memlock=" + std::to_string(bytes) + ":" +
                                      std::to_string(bytes);
  return Status::fail(ENOBUFS,
                      "cannot open interface \"%s\" by AF_XDP: it locks %llu KiB of memory and "
                      "this process may lock %llu; run: %s, or use --backend packet",
                      interface.c_str(), kib(bytes), kib(most), raise.c_str());
}

std::string too_few_queues(const XdpPlace& place) {
  const Queues queues = queues_of(place.interface.name);
  const auto count = [](uint32_t n) { return std::to_string(n); };
  const Peer& peer = place.peer;
  const std::string sends = peer.asked ? count(peer.tx_queues) : "more";
  std::string text = "its driver receives on " + count(queues.rx) +
                     (queues.rx == 1 ? " queue and " : " queues and ");
  if (peer.name.empty()) return text + "the other end sends on more; see ethtool -l, ethtool -L";
  text += peer.name + ", its other end, sends on " + sends + "; run: ";
  const uint32_t wanted = peer.asked ? peer.tx_queues : queues.most_rx;
  if (wanted > queues.rx && wanted <= queues.most_rx)
    return text + place.inside + "ethtool -L " + place.interface.name + " rx " + count(wanted);
  return text + at_peer(place) + "ethtool -L " + peer.name + " tx " + count(queues.rx);
}

std::string unseen_by_xdp(const XdpPlace& place, bool generic) {
  const Interface& interface = place.interface;
  const std::string who = "interface \"" + interface.name + "\": ";
  if (has_hardware(interface.name)) {
    if (!offloads_of(interface.name).received_tags) return {};
    return who +
           "AF_XDP loses VLAN tags that the hardware takes out of frames; run: " + place.inside +
           "ethtool -K " + interface.name + " rxvlan off";
  }
  const Peer& peer = place.peer;
  if (peer.name.empty()) {
    if (!generic) return {};
    return who +
           "AF_XDP's generic mode loses VLAN tags and super-frames of this machine's own stack; "
           "use "
           "--backend packet";
  }
  const bool frames = generic && (!peer.asked || peer.offloads.sent_checksums);
  const bool tags = !peer.asked || peer.offloads.sent_tags;
  if (!frames && !tags) return {};
  return who + "AF_XDP" + (generic ? "'s generic mode" : "") + " loses " +
         (frames ? "super-frames" : "") + (frames && tags ? " and " : "") +
         (tags ? "VLAN tags" : "") + " that " + peer.name +
         ", its other end, leaves to it; run: " + at_peer(place) + "ethtool -K " + peer.name +
         (frames ? " tx off" : "") + (tags ? " txvlan off tx-vlan-stag-hw-insert off" : "");
}

}  // namespace vale
