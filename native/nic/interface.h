// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. What the kernel says of a network interface: by name when a wire is opened, by index later,
//   when its name may have changed.
// Owns. Nothing. Invariants. Answers are a moment old.
// Not here. Opening one (packet.h, device/wire.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vale {

struct Interface {
  std::string name;
  int index = 0;
  int hardware = 0;      // ARPHRD_*
  uint32_t mtu = 0;      // bytes, without the Ethernet header
  uint8_t mac[6] = {};   // zeros when it has none
  bool up = false;       // administratively
  bool running = false;  // up and with carrier
};

// Which network namespace this process is in: the inode of /proc/self/ns/net, 0 without /proc.
uint64_t network_inode();

// 0 or an errno: ENODEV when there is none of that name (or index) in this network namespace.
int find_interface(const std::string& name, Interface* out);
int find_interface(int index, Interface* out);

// What the kernel counts and knows of the link itself.
struct LinkFacts {
  uint32_t promiscuity = 0;  // how many want it promiscuous
  uint64_t rx_dropped = 0, tx_dropped = 0;
  uint64_t rx_missed = 0;    // by the hardware
  uint64_t link_downs = 0;   // how often carrier was lost
  bool generic_xdp = false;  // an XDP program of the generic mode is attached
  uint32_t xdp_program = 0;  // id of an XDP program that is attached, 0: none
};
// 0 or an errno: ENODEV when there is none.
int link_facts(int index, LinkFacts* out);
// Mbit/s, 0 when the driver does not say.
uint32_t link_speed(const std::string& name);
struct Queues {
  bool known = false;  // the driver says
  uint32_t rx = 1, tx = 1;
  uint32_t most_rx = 1;  // that it can be told to have
};
Queues queues_of(const std::string& name);
// What is left to the driver, so that a frame does not say it itself.
struct Offloads {
  bool sent_checksums = false;  // of what its host sends; super-frames go with them
  bool sent_tags = false, received_tags = false;
};
Offloads offloads_of(const std::string& name);
// Whether there is a device behind it. Others (veth, TAP, bridge, VXLAN) get frames from a stack that
// may leave checksums to whoever comes next.
bool has_hardware(const std::string& name);

// In the kernel's order.
std::vector<Interface> list_interfaces();

}  // namespace vale
