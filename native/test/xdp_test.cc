// SPDX-License-Identifier: BSD-2-Clause
// Interfaces through AF_XDP: frames of every size, what the stack sees, buffers shared with a switch
// port, and what is left when the process is killed.
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <thread>

#include "device/user.h"
#include "engine/frame_mover.h"
#include "test/support/check.h"
#include "test/support/child.h"
#include "test/support/wire.h"

using namespace vale;
using wire::Frame;
using wire::make_frame;
using wire::Veth;

namespace {

std::unique_ptr<Port> open_xdp(const std::string& name, WireBackend backend,
                               Port* share = nullptr) {
  OpenRequest request;
  request.name = name;
  WireOptions options;
  options.backend = backend;
  options.share = share;
  std::unique_ptr<Port> port;
  const Status status = open_wire(request, options, &port);
  if (!status.ok()) std::printf("  %s\n", status.text.c_str());
  return port;
}

// Sends until it arrives: frames of the stack's own may be in between.
bool crosses(Port& from, Port& to, const Frame& frame, uint32_t fragment = 0) {
  if (!wire::put(from, frame, fragment)) return false;
  from.txsync();
  const Frame got = wire::next(to);
  for (int i = 0; i < 100 && from.counters().tx_frames == 0; i++) from.txsync();
  return got == frame;
}

std::string traces() {
  std::string text;
  FILE* out = popen(
      "ip -d -o link show v0 | sed 's/^[0-9]*: //'; ip -o link show | grep -c .;"
      "bpftool net show 2>/dev/null | grep -c vale_wire",
      "r");
  for (int c; (c = std::fgetc(out)) != EOF;) text += static_cast<char>(c);
  pclose(out);
  return text;
}

}  // namespace

TEST(frames_cross_unchanged_in_each_mode) {
  NEED_ROOT_NAMESPACE();
  Veth veth;
  for (const WireBackend backend :
       {WireBackend::xdp, WireBackend::xdp_native, WireBackend::xdp_generic}) {
    auto a = open_xdp("v0", backend);
    auto b = wire::open("v1");
    REQUIRE(a != nullptr && b != nullptr);
    WireState state;
    CHECK(a->wire_state(&state));
    CHECK_EQ(state.backend, backend == WireBackend::xdp_generic ? "xdp-generic" : "xdp-native");
    CHECK_EQ(state.take_over, "xdp");
    CHECK(state.promiscuous);
    for (const size_t bytes : {14u, 60u, 61u, 64u, 590u, 1514u, 1518u}) {
      CHECK(bytes > 1514 || crosses(*b, *a, make_frame(bytes, 5)));
      CHECK(bytes > 1514 || crosses(*a, *b, make_frame(bytes, 6)));
    }
    CHECK(crosses(*a, *b, make_frame(1000, 7), 300));
    // Many times round every ring.
    for (unsigned i = 0; i < 5000; i++) {
      const Frame frame = make_frame(60 + i % 1400, i);
      if (!crosses(*a, *b, frame) || !crosses(*b, *a, frame)) {
        CHECK_EQ(i, 5000u);
        break;
      }
    }
    const PortCounters c = a->counters();
    CHECK_EQ(c.tx_copies, c.tx_delivered);
    CHECK_EQ(c.drops[static_cast<unsigned>(Drop::ring_full)], 0u);
  }
}

// The driver refuses its own mode when the far end sends on more queues than there are to receive.
TEST(a_refused_mode_is_followed_by_the_next_within_the_lockable_memory) {
  NEED_ROOT_NAMESPACE();
  if (!netns::run("command -v ethtool")) SKIP("needs the tool \"ethtool\"");
  REQUIRE(netns::run("ip link add v0 type veth peer name v1 numtxqueues 2 numrxqueues 2"));
  REQUIRE(netns::run("ip link set v0 up && ip link set v1 up"));
  REQUIRE(netns::run("ethtool -L v1 tx 2 rx 2"));
  const pid_t child = fork();
  if (child == 0) {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct held[2] = {};
    syscall(SYS_capget, &header, held);
    held[0].effective &= ~(1u << CAP_IPC_LOCK);
    const rlimit most = {8 << 20, 8 << 20};
    if (syscall(SYS_capset, &header, held) != 0 || setrlimit(RLIMIT_MEMLOCK, &most) != 0) _exit(2);
    auto port = open_xdp("v0", WireBackend::xdp);
    WireState state;
    _exit(port != nullptr && port->wire_state(&state) && state.backend == "xdp-generic" ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  netns::run("ip link del v0");
}

TEST(a_packet_socket_behind_an_xdp_program_says_that_it_gets_the_rest) {
  NEED_ROOT_NAMESPACE();
  Veth veth;
  WireState state;
  auto first = open_xdp("v0", WireBackend::packet);
  REQUIRE(first != nullptr && first->wire_state(&state));
  CHECK_EQ(state.warning, "");
  auto taker = open_xdp("v0", WireBackend::xdp_native);
  auto second = open_xdp("v0", WireBackend::packet);
  REQUIRE(taker != nullptr && second != nullptr && second->wire_state(&state));
  CHECK(state.warning.find("\"v0\" has another's XDP program, number ") != std::string::npos);
}

TEST(queues_that_come_later_are_told_while_they_are_there) {
  NEED_ROOT_NAMESPACE();
  if (!netns::run("command -v ethtool")) SKIP("needs the tool \"ethtool\"");
  const char* const queues = "numtxqueues 4 numrxqueues 4";
  REQUIRE(
      netns::run(std::string("ip link add v0 ") + queues + " type veth peer name v1 " + queues));
  REQUIRE(netns::run("ethtool -L v0 rx 2 tx 2 && ethtool -L v1 rx 2 tx 2"));
  REQUIRE(netns::run("ip link set v0 up && ip link set v1 up"));
  auto port = open_xdp("v0", WireBackend::xdp_native);
  WireState state;
  REQUIRE(port != nullptr && port->wire_state(&state));
  CHECK_EQ(state.unserved_queues, 0u);
  REQUIRE(netns::run("ethtool -L v0 rx 4"));
  CHECK(port->wire_state(&state));
  CHECK_EQ(state.unserved_queues, 2u);
  REQUIRE(netns::run("ethtool -L v0 rx 2"));
  CHECK(port->wire_state(&state));
  CHECK_EQ(state.unserved_queues, 0u);
  port.reset();
  netns::run("ip link del v0");
}

TEST(zero_copy_is_refused_where_the_driver_has_none) {
  NEED_ROOT_NAMESPACE();
  Veth veth;
  OpenRequest request;
  request.name = "v0";
  WireOptions options;
  options.backend = WireBackend::xdp_zerocopy;
  std::unique_ptr<Port> port;
  const Status status = open_wire(request, options, &port);
  CHECK(!status.ok());
  CHECK(status.text.find("--backend packet") != std::string::npos);
}

TEST(jumbo_frames_take_several_slots) {
  NEED_ROOT_NAMESPACE();
  Veth veth(9000);
  auto a = open_xdp("v0", WireBackend::xdp), b = wire::open("v1");
  REQUIRE(a != nullptr && b != nullptr);
  CHECK(crosses(*a, *b, make_frame(9014, 1)));
  CHECK(crosses(*b, *a, make_frame(9014, 2)));
}

TEST(what_must_not_leave_is_dropped_and_counted) {
  NEED_ROOT_NAMESPACE();
  Veth veth;
  auto a = open_xdp("v0", WireBackend::xdp);
  REQUIRE(a != nullptr);
  netmap_ring* ring = a->tx_ring(0);
  CHECK(wire::put(*a, make_frame(10, 1)));
  CHECK(wire::put(*a, make_frame(1600, 1)));
  CHECK(wire::put(*a, make_frame(60, 1)));
  const uint32_t kept = ring->slot[2].buf_idx;
  ring->slot[2].buf_idx = 0x7fffffff;
  CHECK_EQ(a->txsync(), 0);
  CHECK_EQ(wire::drops(*a, Drop::runt), 1u);
  CHECK_EQ(wire::drops(*a, Drop::too_big), 1u);
  CHECK_EQ(wire::drops(*a, Drop::bad_slot), 1u);
  ring->slot[2].buf_idx = kept;
  const PortCounters c = a->counters();
  CHECK_EQ(c.tx_copies, 3u);
}

TEST(down_and_removed) {
  NEED_ROOT_NAMESPACE();
  Veth veth;
  auto a = open_xdp("v0", WireBackend::xdp), b = wire::open("v1");
  REQUIRE(a != nullptr && b != nullptr);
  CHECK(crosses(*a, *b, make_frame(60, 1)));
  REQUIRE(netns::run("ip link set v0 down && sleep 0.1 && ip link set v0 up"));
  bool back = false;
  for (int i = 0; i < 50 && !back; i++) {
    a->disarm();
    b->disarm();
    back = crosses(*a, *b, make_frame(60, 2));
  }
  CHECK(back);
  WireState state;
  CHECK(a->wire_state(&state));
  CHECK(state.link_downs > 0);
  netns::run("ip link del v0");
  wire::read_all(*a);
  PortWait wait = {a.get(), POLLIN};
  for (int i = 0; i < 50 && a->rxsync() == 0; i++) wait_ports(&wait, 1, 20, 0, -1);
  CHECK_EQ(a->rxsync(), ENODEV);
  CHECK(a->wire_state(&state));
  CHECK(state.removed);
}

TEST(what_was_handed_over_when_the_interface_went_is_not_delivered) {
  NEED_ROOT_NAMESPACE();
  Veth veth;
  auto a = open_xdp("v0", WireBackend::xdp), b = wire::open("v1");
  REQUIRE(a != nullptr && b != nullptr);
  REQUIRE(crosses(*a, *b, make_frame(60, 1)));
  netns::run("ip link del v0");
  for (uint32_t i = 0; i < 8; i++) REQUIRE(wire::put(*a, make_frame(60, i), i == 0 ? 20 : 0));
  CHECK_EQ(a->txsync(), ENODEV);
  const PortCounters c = a->counters();
  CHECK_EQ(c.tx_copies, 9u);
  CHECK_EQ(c.tx_delivered, 1u);
  CHECK_EQ(c.drops[static_cast<unsigned>(Drop::link_down)], 8u);
}

TEST(a_buffer_sent_twice_is_sent_once_and_blocks_nothing) {
  NEED_ROOT_NAMESPACE();
  Veth veth;
  auto a = open_xdp("v0", WireBackend::xdp), b = wire::open("v1");
  REQUIRE(a != nullptr && b != nullptr);
  netmap_ring* ring = a->tx_ring(0);
  const uint32_t first = ring->head;
  for (int i = 0; i < 3; i++) REQUIRE(wire::put(*a, make_frame(60, 3)));
  const uint32_t kept = ring->slot[first + 1].buf_idx;
  ring->slot[first + 1].buf_idx = ring->slot[first].buf_idx;
  CHECK_EQ(a->txsync(), 0);
  CHECK_EQ(wire::drops(*a, Drop::bad_slot), 1u);
  ring->slot[first + 1].buf_idx = kept;
  for (int i = 0; i < 2; i++) CHECK(wire::next(*b) == make_frame(60, 3));
  for (int i = 0; i < 3000; i++) {
    if (crosses(*a, *b, make_frame(60, 4))) continue;
    CHECK_EQ(i, 3000);
    break;
  }
}

TEST(buffers_are_swapped_with_a_switch_port) {
  NEED_ROOT_NAMESPACE();
  char directory[] = "/dev/shm/nic-xdp-XXXXXX";
  REQUIRE(mkdtemp(directory) != nullptr);
  {
    Veth veth;
    std::unique_ptr<Device> device;
    std::string where, warning;
    CHECK_OK(open_user_device(directory, &device, &where, &warning));
    for (const WireBackend backend : {WireBackend::xdp, WireBackend::packet}) {
      OpenRequest request;
      request.name = "v0";
      WireOptions options;
      options.backend = backend;
      OpenRequest wish;
      wish.name = "vale0:n";
      wish.extra_bufs = wire_buffers(request, options);
      std::unique_ptr<Port> n, far_end;
      CHECK_OK(device->open(wish, &n));
      wish = {};
      wish.name = "vale0:f";
      CHECK_OK(device->open(wish, &far_end));
      REQUIRE(n != nullptr && far_end != nullptr);
      // Twice: what the wire had goes back to the port.
      for (int turn = 0; turn < 2; turn++) {
        auto nic = open_xdp("v0", backend, n.get()), v1 = wire::open("v1");
        REQUIRE(nic != nullptr && v1 != nullptr);
        CHECK_EQ(nic->memory_key(), n->memory_key());
        for (unsigned i = 0; i < 3000; i++) {
          const Frame out = make_frame(60 + i % 1400, i), in = make_frame(70 + i % 1400, i + 1);
          REQUIRE(wire::put(*far_end, out));
          far_end->txsync();
          n->rxsync();
          CHECK(move_frames(n->rx_view(0), nic->tx_view(0), 64, true).frames == 1);
          nic->txsync();
          REQUIRE(wire::next(*v1) == out);
          REQUIRE(wire::put(*v1, in));
          v1->txsync();
          for (int tries = 0; tries < 100 && nic->rx_ring(0)->head == nic->rx_ring(0)->tail;
               tries++) {
            nic->rxsync();
          }
          move_frames(nic->rx_view(0), n->tx_view(0), 64, true);
          n->txsync();
          REQUIRE(wire::next(*far_end) == in);
        }
      }
    }
  }
  netns::run(std::string("rm -r ") + directory);
}

TEST(a_killed_process_leaves_nothing) {
  NEED_ROOT_NAMESPACE();
  Veth veth;
  const std::string before = traces();
  for (int i = 0; i < 3; i++) {
    const pid_t child = spawn_holder([](auto&& hold) {
      auto port = open_xdp("v0", WireBackend::xdp);
      hold(port != nullptr);
    });
    REQUIRE(child != 0);
    CHECK(traces() != before);
    end(child);
    for (int turn = 0; turn < 100 && traces() != before; turn++) usleep(20'000);
    CHECK_EQ(traces(), before);
  }
}
