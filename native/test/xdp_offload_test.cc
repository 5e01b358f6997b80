// SPDX-License-Identifier: BSD-2-Clause
// What a stack leaves to hardware, and AF_XDP does not tell: checksums are completed, and of the rest it
// is said what to run.
#include "nic/bpf.h"
#include "nic/interface.h"
#include "offload/unfinished.h"
#include "test/support/check.h"
#include "test/support/wire.h"

using namespace vale;
using wire::Frame;
using wire::Veth;

namespace {

std::unique_ptr<Port> open_xdp(WireBackend backend, std::string* warning) {
  OpenRequest request;
  request.name = "v0";
  WireOptions options;
  options.backend = backend;
  std::unique_ptr<Port> port;
  CHECK_OK(open_wire(request, options, &port));
  WireState state;
  if (port != nullptr && port->wire_state(&state)) *warning = state.warning;
  return port;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

constexpr WireBackend kModes[] = {WireBackend::xdp_native, WireBackend::xdp_generic};

}  // namespace

TEST(checksums_the_kernel_left_to_the_nic_are_completed) {
  NEED_ROOT_NAMESPACE();
  for (const unsigned mtu : {1500u, 9000u}) {
    for (const WireBackend mode : kModes) {
      Veth veth(mtu);
      REQUIRE(wire::give_addresses());
      std::string warning;
      auto a = open_xdp(mode, &warning);
      REQUIRE(a != nullptr);
      for (const size_t bytes : {1u, 2u, 333u, mtu - 100, mtu - 48}) {
        REQUIRE(wire::send_udp("10.9.0.1", bytes));
        Frame frame;
        do {
          frame = wire::next(*a, 0x0800);
        } while (!frame.empty() && frame[23] != 17);
        CHECK_EQ(frame.size(), bytes + 42);
        CHECK_EQ(wire::wrong(frame), "");
        REQUIRE(wire::send_udp("fd09::1", bytes));
        do {
          frame = wire::next(*a, 0x86dd);
        } while (!frame.empty() && frame[20] != 17);
        CHECK_EQ(frame.size(), bytes + 62);
        CHECK_EQ(wire::wrong(frame), "");
      }
    }
  }
}

TEST(a_good_checksum_stays) {
  // A datagram whose checksum is right and is the sum of the pseudo header, too.
  Frame frame(14 + 20 + 8 + 2);
  const uint8_t headers[] = {0x08, 0, 0x45, 0, 0,  30, 0, 0, 0, 0, 64, 17, 0, 0,
                             10,   0, 0,    1, 10, 0,  0, 2, 0, 1, 0,  2,  0, 10};
  std::memcpy(&frame[12], headers, sizeof headers);
  for (uint32_t last = 0; last < 0x10000; last++) {
    frame[42] = static_cast<uint8_t>(last >> 8);
    frame[43] = static_cast<uint8_t>(last);
    frame[40] = frame[41] = 0;
    const uint32_t sum = wire::add(frame, 34, frame.size(), wire::add(frame, 26, 34, 0) + 10 + 17);
    const auto right = static_cast<uint16_t>(~sum == 0xffff0000 ? 0xffff : ~sum);
    frame[40] = static_cast<uint8_t>(right >> 8);
    frame[41] = static_cast<uint8_t>(right);
    const Frame before = frame;
    const FramePiece piece = {reinterpret_cast<char*>(frame.data()),
                              static_cast<uint32_t>(frame.size())};
    finish_checksum(&piece, 1);
    if (frame != before) CHECK_EQ(last, 0x10000u);
  }
}

TEST(tags_beside_a_frame_are_lost_and_it_is_said_what_to_run) {
  NEED_ROOT_NAMESPACE();
  if (!netns::run("command -v ethtool")) SKIP("needs the tool \"ethtool\"");
  using namespace bpf::op;
  for (const WireBackend mode : kModes) {
    Veth veth;
    REQUIRE(wire::give_addresses());
    Interface far;
    REQUIRE(find_interface(std::string("v1"), &far) == 0);
    std::string warning;
    const bool generic = mode == WireBackend::xdp_generic;
    {
      auto a = open_xdp(mode, &warning);
      CHECK(contains(warning, "VLAN tags"));
      CHECK_EQ(contains(warning, "super-frames"), generic);
    }
    const std::string command = warning.substr(warning.find("ethtool"));
    CHECK_EQ(command, std::string("ethtool -K v1") + (generic ? " tx off" : "") +
                          " txvlan off tx-vlan-stag-hw-insert off");
    REQUIRE(netns::run(command));
    auto a = open_xdp(mode, &warning);
    REQUIRE(a != nullptr);
    CHECK_EQ(warning, "");
  }
}

TEST(too_few_queues_for_the_driver_are_said_with_what_to_run) {
  NEED_ROOT_NAMESPACE();
  if (!netns::run("command -v ethtool")) SKIP("needs the tool \"ethtool\"");
  for (const char* own : {"1", "4"}) {
    REQUIRE(netns::run(std::string("ip link add v0 numrxqueues ") + own +
                       " type veth peer name v1 numtxqueues 4 && ethtool -L v1 tx 3"
                       " && ip link set v0 up && ip link set v1 up && ethtool -L v0 rx 1"));
    OpenRequest request;
    request.name = "v0";
    WireOptions options;
    options.backend = WireBackend::xdp_native;
    std::unique_ptr<Port> port;
    const Status status = open_wire(request, options, &port);
    const std::string mends = *own == '1' ? "ethtool -L v1 tx 1" : "ethtool -L v0 rx 3";
    CHECK(!status.ok());
    CHECK(contains(status.text, ("run: " + mends + ", or use --backend packet").c_str()));
    std::string warning;
    port = open_xdp(WireBackend::xdp, &warning);
    CHECK(contains(warning, "generic mode"));
    CHECK(contains(warning, mends.c_str()));
    port.reset();
    REQUIRE(netns::run(mends));
    port = open_xdp(WireBackend::xdp, &warning);
    CHECK(!contains(warning, "generic mode"));
    port.reset();
    netns::run("ip link del v0");
  }
}
