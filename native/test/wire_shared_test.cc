// SPDX-License-Identifier: BSD-2-Clause
// Taking an interface over without root: netfilter does it in a user namespace, and its table goes
// with the process.
#include "nic/netfilter.h"
#include "test/support/check.h"
#include "test/support/wire.h"

using namespace vale;

TEST(a_user_namespace_takes_over_by_netfilter) {
  NEED_NAMESPACES();
  netns::Other far;
  REQUIRE(netns::run("ip link add n0 type veth peer name n1 netns " + far.pid() +
                     " && ip addr add 10.9.1.1/24 dev n0 && ip link set n0 up"));
  REQUIRE(
      far.inside([] { return netns::run("ip addr add 10.9.1.2/24 dev n1 && ip link set n1 up"); }));
  const auto ping = [&] {
    return far.inside([] { return netns::run("ping -n -c 1 -W 1 10.9.1.1"); });
  };
  REQUIRE(ping() || ping());  // the link has just come up
  if (netfilter_probe() != 0) {
    CHECK(wire::open("n0") == nullptr);  // not shared unasked
    SKIP("the kernel has no nf_tables here");
  }
  auto port = wire::open("n0");
  REQUIRE(port != nullptr);
  WireState state;
  CHECK(port->wire_state(&state));
  CHECK_EQ(state.take_over, "nftables");
  CHECK_EQ(state.warning, "");
  CHECK(!ping());
  CHECK(wire::next(*port, 0x0800).size() >= 42 || wire::next(*port, 0x0806).size() >= 42);
  // What the port itself sends leaves, and what the stack sends does not.
  auto there = far.inside([] { return wire::open("n1"); });
  REQUIRE(there != nullptr);
  CHECK(wire::put(*port, wire::make_frame(60, 4)));
  port->txsync();
  CHECK(wire::next(*there) == wire::make_frame(60, 4));
  netns::run("ip neigh replace 10.9.1.2 lladdr 02:00:00:00:00:02 dev n0");
  netns::run("ping -n -c 1 -W 1 10.9.1.2");
  CHECK(wire::next(*there, 0x0800).empty());
  netns::run("ip neigh del 10.9.1.2 dev n0");
  there.reset();
  // Hooks go by the name in new kernels: whoever gets it is not cut off, and nothing else is claimed.
  REQUIRE(netns::run("ip link set n0 down && ip link set n0 name n8 && ip link set n8 up"));
  CHECK(port->wire_state(&state));
  CHECK_EQ(state.take_over, "none");
  REQUIRE(
      netns::run("ip link add n0 type veth peer name n9 && ip addr add 10.9.2.1/24 dev n0"
                 " && ip link set n0 up && ip link set n9 up"));
  auto other = wire::open("n9");
  REQUIRE(other != nullptr);
  netns::run("ip neigh replace 10.9.2.2 lladdr 02:00:00:00:00:02 dev n0");
  netns::run("ping -n -c 1 -W 1 10.9.2.2");
  CHECK(!wire::next(*other, 0x0800).empty());
  other.reset();
  REQUIRE(
      netns::run("ip link del n0 && ip link set n8 down && ip link set n8 name n0"
                 " && ip link set n0 up"));
  CHECK(port->wire_state(&state));
  CHECK_EQ(state.take_over, "nftables");
  port.reset();
  CHECK(ping() || ping());
  netns::run("ip link del n0");
}
