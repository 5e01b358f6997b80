// SPDX-License-Identifier: BSD-2-Clause
// A wire taken from the host's stack: what the stack sees, what leaves, the host's side, and what is
// left when the process is killed.
#include <atomic>
#include <thread>

#include "engine/frame_mover.h"
#include "nic/netlink.h"
#include "test/support/check.h"
#include "test/support/child.h"
#include "test/support/wire.h"

using namespace vale;

namespace {

// t0 here with 10.9.0.1, t1 in a namespace of its own with 10.9.0.2.
struct Pair {
  explicit Pair(unsigned mtu = 1500) {
    const std::string m = std::to_string(mtu);
    ok = netns::run("ip link add t0 mtu " + m + " type veth peer name t1 mtu " + m + " netns " +
                    far.pid() + " && ip addr add 10.9.0.1/24 dev t0 && ip link set t0 up") &&
         far.inside([] {
           return netns::run(
               "ip addr add 10.9.0.2/24 dev t1 && ip link set t1 up && ip link set lo up");
         });
  }
  ~Pair() { netns::run("ip link del t0"); }
  bool ping_from_far(const char* more = "") {
    return far.inside(
        [&] { return netns::run(std::string("ping -n -c 1 -W 1 ") + more + " 10.9.0.1"); });
  }
  bool ping_from_here(const char* more = "") {
    return netns::run(std::string("ping -n -c 1 -W 1 ") + more + " 10.9.0.2");
  }
  netns::Other far;
  bool ok;
};

std::unique_ptr<Port> open_side(uint32_t mode, WireOptions options = {}) {
  OpenRequest request;
  request.name = "t0";
  request.mode = mode;
  std::unique_ptr<Port> port;
  const Status status = open_wire(request, options, &port);
  if (!status.ok()) std::printf("  %s\n", status.text.c_str());
  return port;
}

// What there is of t0 that an agent's death must not change.
std::string traces() {
  std::string text;
  FILE* out = popen(
      "ip -d -o link show t0 | sed 's/^[0-9]*: //'; tc qdisc show dev t0; ip -o link show | grep "
      "-c .;"
      "ip route; bpftool net show 2>/dev/null | grep -c vale_wire; nft list tables 2>/dev/null",
      "r");
  for (int c; (c = std::fgetc(out)) != EOF;) text += static_cast<char>(c);
  pclose(out);
  return text;
}

// Carries frames between two rings pairs until destroyed.
class Carrier {
 public:
  Carrier(Port& a, unsigned ring_a, Port& b, unsigned ring_b)
      : thread_([this, &a, &b, ring_a, ring_b] {
          while (!stop_) {
            a.rxsync();
            b.rxsync();
            move_frames(a.rx_view(ring_a), b.tx_view(ring_b), 256, false);
            move_frames(b.rx_view(ring_b), a.tx_view(ring_a), 256, false);
            a.txsync();
            b.txsync();
            usleep(200);
          }
        }) {}
  ~Carrier() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// BIG TCP: the stack makes and takes super-frames of up to `bytes`. False before Linux 6.3.
bool allow_super_frames(const char* name, int bytes) {
  // IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE
  for (const uint16_t limit : {uint16_t{41}, uint16_t{58}, uint16_t{63}, uint16_t{64}}) {
    netlink::Request<ifinfomsg> request(RTM_NEWLINK, NLM_F_ACK);
    request.head.ifi_index = static_cast<int>(if_nametoindex(name));
    request.add(limit, bytes);
    if (netlink::ask(request, [](const netlink::Attribute&) {}) != 0) return false;
  }
  return true;
}

// Megabytes from the far host to this one and back.
bool exchange(Pair& pair, const char* address) {
  const std::string to = address, python = "timeout 20 python3 -c \"import socket,time\n";
  const std::string family = to.find(':') != std::string::npos ? "socket.AF_INET6" : "";
  std::thread server([&] {
    netns::run(python + "s=socket.socket(" + family + ")\ns.setsockopt(1,2,1)\ns.bind(('" + to +
               "',7777))\ns.listen(1)\nc=s.accept()[0]\n"
               "n=0\nwhile n<4000000: n+=len(c.recv(65536))\n"
               "c.sendall(b'y'*4000000)\nc.close()\"");
  });
  const bool done = pair.far.inside([&] {
    return netns::run(python +
                      "for i in range(50):\n"
                      "  try: s=socket.create_connection(('" +
                      to +
                      "',7777),5); break\n"
                      "  except OSError: time.sleep(0.1)\n"
                      "s.sendall(b'x'*4000000)\nn=0\nwhile n<4000000:\n"
                      "  d=s.recv(65536)\n  assert d and d==b'y'*len(d)\n  n+=len(d)\"");
  });
  server.join();
  return done;
}

}  // namespace

TEST(the_stack_neither_hears_nor_is_heard) {
  NEED_ROOT_NAMESPACE();
  Pair pair;
  REQUIRE(pair.ok && pair.ping_from_far());
  {
    auto port = open_side(NR_REG_ALL_NIC);
    REQUIRE(port != nullptr);
    WireState state;
    REQUIRE(port->wire_state(&state));
    CHECK_EQ(state.take_over, "tcx");
    CHECK_EQ(state.warning, "");
    CHECK(state.up && state.link && !state.removed && state.promiscuous);
    CHECK_EQ(state.mtu, 1500u);
    CHECK_EQ(state.speed_mbps, 10000u);
    CHECK(!pair.ping_from_far());
    CHECK(wire::next(*port, 0x0800).size() == 98 || wire::next(*port, 0x0806).size() >= 42);
    auto far = pair.far.inside([] { return wire::open("t1"); });
    REQUIRE(far != nullptr);
    wire::read_all(*far);
    netns::run("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev t0");
    CHECK(!pair.ping_from_here());
    CHECK(wire::next(*far, 0x0800).empty());
    CHECK(wire::put(*port, wire::make_frame(60, 3)));
    port->txsync();
    CHECK(wire::next(*far) == wire::make_frame(60, 3));
    netns::run("ip neigh del 10.9.0.2 dev t0");
  }
  CHECK(pair.ping_from_far());
  CHECK(pair.ping_from_here());
}

TEST(a_shared_wire_leaves_the_stack_alone) {
  NEED_ROOT_NAMESPACE();
  Pair pair;
  WireOptions options;
  options.take_over = false;
  auto port = open_side(NR_REG_ALL_NIC, options);
  REQUIRE(port != nullptr);
  CHECK(pair.ping_from_far());
  CHECK(!wire::next(*port, 0x0800).empty());
  WireState state;
  CHECK(port->wire_state(&state));
  CHECK_EQ(state.take_over, "none");
}

TEST(the_hosts_side_is_a_port) {
  NEED_ROOT_NAMESPACE();
  const struct {
    unsigned mtu;
    WireBackend backend;
  } cases[] = {
      {1500, WireBackend::packet}, {9000, WireBackend::packet}, {1500, WireBackend::xdp_native}};
  for (const auto& [mtu, backend] : cases) {
    Pair pair(mtu);
    WireOptions options;
    options.backend = backend;
    REQUIRE(pair.ok);
    auto host = open_side(NR_REG_SW);
    auto nic = open_side(NR_REG_ALL_NIC, options);
    REQUIRE(host != nullptr && nic != nullptr);
    CHECK_EQ(host->first_rx(), 1u);
    CHECK(!pair.ping_from_far());
    {
      Carrier carrier(*nic, 0, *host, 1);
      CHECK(pair.ping_from_far("-s 1400"));
      CHECK(pair.ping_from_here("-s 1400"));
      CHECK(mtu == 1500 || pair.ping_from_here("-s 8000 -M do"));
    }
    CHECK(!pair.ping_from_far());
    host.reset();
    CHECK(!pair.ping_from_far());
    nic.reset();
    CHECK(pair.ping_from_far());
  }
}

TEST(generic_xdp_and_the_hosts_side_exclude_each_other) {
  NEED_ROOT_NAMESPACE();
  Pair pair;
  OpenRequest request;
  request.name = "t0";
  WireOptions options;
  options.backend = WireBackend::xdp_generic;
  auto nic = open_side(NR_REG_ALL_NIC, options);
  REQUIRE(nic != nullptr);
  std::unique_ptr<Port> port;
  request.mode = NR_REG_SW;
  CHECK_EQ(open_wire(request, {}, &port).err, EBUSY);
  nic.reset();
  auto host = open_side(NR_REG_SW);
  REQUIRE(host != nullptr);
  request.mode = NR_REG_ALL_NIC;
  CHECK_EQ(open_wire(request, options, &port).err, EBUSY);
}

TEST(the_hosts_device_is_no_interface_to_open) {
  NEED_ROOT_NAMESPACE();
  Pair pair;
  REQUIRE(pair.ok);
  // No room for a ^ behind it.
  CHECK(netns::run("ip link add t0-with-15-char type veth peer name vale-hat"));
  const auto open_named = [](const std::string& name, uint32_t mode, std::unique_ptr<Port>* out) {
    OpenRequest request;
    request.name = name;
    request.mode = mode;
    return open_wire(request, {}, out);
  };
  for (const std::string name : {"t0", "t0-with-15-char"}) {
    const std::string number = std::to_string(if_nametoindex(name.c_str()));
    std::unique_ptr<Port> host, port;
    CHECK_OK(open_named(name, NR_REG_SW, &host));
    const Status status =
        open_named(name == "t0" ? "t0^" : "vale-h" + number, NR_REG_ALL_NIC, &port);
    CHECK_EQ(status.err, EBUSY);
    CHECK(status.text.find("host's side of interface \"" + name + "\"") != std::string::npos);
  }
  std::unique_ptr<Port> another;
  CHECK_OK(open_named("vale-hat", NR_REG_ALL_NIC, &another));
  another.reset();
  netns::run("ip link del vale-hat");
}

TEST(both_sides_are_one_port) {
  NEED_ROOT_NAMESPACE();
  Pair pair;
  auto both = open_side(NR_REG_NIC_SW);
  REQUIRE(both != nullptr);
  CHECK_EQ(both->last_tx(), 2u);
  CHECK_EQ(both->last_rx(), 2u);
  CHECK(both->nifp()->ring_ofs[0] != 0 && both->nifp()->ring_ofs[3] != 0);
  Carrier carrier(*both, 0, *both, 1);
  CHECK(pair.ping_from_far());
}

TEST(tcp_crosses_the_hosts_side_whole) {
  NEED_ROOT_NAMESPACE();
  if (!netns::run("command -v python3")) SKIP("needs the tool \"python3\" (package python3)");
  Pair pair;
  auto host = open_side(NR_REG_SW);
  auto nic = open_side(NR_REG_ALL_NIC);
  REQUIRE(host != nullptr && nic != nullptr);
  Carrier carrier(*nic, 0, *host, 1);
  // Both directions, with the kernel's own super-frames and unfinished checksums.
  CHECK(exchange(pair, "10.9.0.1"));
  const auto too_big = [&] {
    return wire::drops(*nic, Drop::too_big) + wire::drops(*host, Drop::too_big);
  };
  CHECK_EQ(too_big(), 0u);
  const int most = 8 * 65535;
  if (!allow_super_frames("t0", most) ||
      !pair.far.inside([] { return allow_super_frames("t1", most); }))
    SKIP("needs Linux 6.3 for BIG TCP");
  CHECK(exchange(pair, "10.9.0.1"));
  REQUIRE(netns::run("ip addr add fd09::1/64 dev t0 nodad") &&
          pair.far.inside([] { return netns::run("ip addr add fd09::2/64 dev t1 nodad"); }));
  CHECK(exchange(pair, "fd09::1"));
  CHECK_EQ(too_big(), 0u);
}

TEST(a_killed_process_leaves_nothing) {
  NEED_ROOT_NAMESPACE();
  Pair pair;
  REQUIRE(pair.ok);
  const std::string before = traces();
  for (int i = 0; i < 5; i++) {
    const pid_t child = spawn_holder([](auto&& hold) {
      auto host = open_side(NR_REG_SW);
      auto nic = open_side(NR_REG_ALL_NIC);
      hold(host != nullptr && nic != nullptr);
    });
    REQUIRE(child != 0);
    CHECK(traces() != before);
    end(child);
    for (int turn = 0; turn < 50 && traces() != before; turn++) usleep(20'000);
    CHECK_EQ(traces(), before);
  }
  CHECK(pair.ping_from_far());
}

TEST(what_carries_the_default_route_is_refused) {
  NEED_ROOT_NAMESPACE();
  Pair pair;
  REQUIRE(netns::run("ip route add default via 10.9.0.2"));
  OpenRequest request;
  request.name = "t0";
  WireOptions options;
  std::unique_ptr<Port> port;
  Status status = open_wire(request, options, &port);
  CHECK_EQ(status.err, EBUSY);
  CHECK(status.text.find("default route") != std::string::npos);
  options.force = true;
  CHECK_OK(open_wire(request, options, &port));
  port.reset();
  options.force = false;
  options.take_over = false;
  CHECK_OK(open_wire(request, options, &port));
  port.reset();
  options.take_over = true;
  REQUIRE(netns::run("ip route del default"));

  setenv("SSH_CONNECTION", "10.9.0.2 5555 10.9.0.1 22", 1);
  status = open_wire(request, options, &port);
  CHECK_EQ(status.err, EBUSY);
  CHECK(status.text.find("login") != std::string::npos);
  unsetenv("SSH_CONNECTION");

  // A port of the bridge that has the route.
  REQUIRE(
      netns::run("ip addr flush dev t0 && ip link add tb type bridge && ip link set t0 master tb &&"
                 "ip addr add 10.9.0.1/24 dev tb && ip link set tb up &&"
                 "ip route add default via 10.9.0.2"));
  status = open_wire(request, options, &port);
  CHECK_EQ(status.err, EBUSY);
  CHECK(status.text.find("through tb") != std::string::npos);
  netns::run("ip link del tb");
  CHECK_OK(open_wire(request, options, &port));
  port.reset();

  // What the route's VXLAN device sends leaves by it, of which no IFLA_LINK tells.
  if (!netns::run("ip link add tv type vxlan id 7 remote 10.9.0.2 dstport 4789 dev t0"))
    SKIP("the kernel has no VXLAN here");
  REQUIRE(
      netns::run("ip addr add 10.7.0.1/24 dev tv && ip link set tv up &&"
                 "ip route add default via 10.7.0.2"));
  status = open_wire(request, options, &port);
  CHECK_EQ(status.err, EBUSY);
  CHECK(status.text.find("default route (through tv)") != std::string::npos);
  netns::run("ip link del tv");
}

TEST(a_tap_device_is_the_hosts_other_end) {
  NEED_ROOT_NAMESPACE();
  OpenRequest request;
  request.name = "tap:tt0";
  std::unique_ptr<Port> port;
  CHECK_OK(open_wire(request, {}, &port));
  REQUIRE(port != nullptr);
  WireState state;
  CHECK(port->wire_state(&state));
  CHECK_EQ(state.backend, "tap");
  CHECK_EQ(state.interface, "tt0");
  REQUIRE(netns::run("ip addr add 10.8.0.1/24 dev tt0"));
  netns::run("ping -n -c 1 -W 1 10.8.0.2");
  CHECK(!wire::next(*port, 0x0806).empty());
  port.reset();
  CHECK(!netns::run("ip link show tt0"));
}
