// SPDX-License-Identifier: BSD-2-Clause
// Virtual machines at a port: a guest's process and driver of our own at a real agent's socket.
#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/user.h"
#include "test/support/agents.h"
#include "test/support/check.h"
#include "test/support/super_frame.h"
#include "test/support/switch_fixture.h"
#include "test/support/vhost_master.h"

using namespace vale;
using namespace vale::vhost;
using master::Driver;
using master::Master;

namespace {

struct Bench {
  Fixture f;
  std::string path = f.dir + ".sock";
  std::vector<std::string> waiting;
  ~Bench() { detach(); }

  Status attach(uint16_t rings = 1, uint32_t slots = 0) {
    AttachRequest q = agents::request("vale0:vm1");
    q.vhost_user = path;
    q.port.tx_rings = q.port.rx_rings = rings;
    q.port.tx_slots = slots;
    uint32_t index;
    return f.device->attach(q, &index);
  }
  void detach() {
    uint32_t index;
    f.device->detach("vale0:vm1", &index);
  }
  // The next frame that the port receives; empty after a second.
  std::string next(Port& port) {
    for (int turn = 0; turn < 200 && waiting.empty(); turn++) {
      waiting = f.receive(port);
      PortWait wait = {&port, POLLIN};
      if (waiting.empty()) wait_ports(&wait, 1, 5, 0, -1);
    }
    if (waiting.empty()) return {};
    const std::string first = waiting.front();
    waiting.erase(waiting.begin());
    return first;
  }
  AgentRow row() { return agents::row_of(*f.device, "vale0:vm1"); }
  // Whether the agent's row comes to be so within three seconds; it writes it in its own time.
  template <class Wanted>
  bool comes_to(Wanted&& wanted) {
    for (int turn = 0; turn < 600; turn++) {
      if (wanted(row())) return true;
      usleep(5000);
    }
    return false;
  }
};

std::string text(const wire::Frame& f) { return std::string(f.begin(), f.end()); }

std::string body(const Master& m, const std::string& received) {
  return received.size() < m.header_bytes() ? "" : received.substr(m.header_bytes());
}

}  // namespace

TEST(frames_go_both_ways_whatever_the_driver_can) {
  Bench bench;
  CHECK_OK(bench.attach());
  auto x = bench.f.open("vale0:x");
  struct {
    const char* what;
    uint64_t features;
    bool indirect;
    uint32_t piece, rx_buffer;
    uint32_t queue_size = 256;
  } kinds[] = {
      {"all", master::kUsual, false, 0, 1600},
      {"indirect tables", master::kUsual, true, 0, 1600},
      {"many pieces", master::kUsual, true, 37, 300},
      {"no events", kVersion1 | kMergeable | kProtocolFeatures, false, 100, 1600},
      {"no mergeable buffers", kVersion1 | kProtocolFeatures, false, 0, 10000},
      {"legacy", kProtocolFeatures, false, 0, 10000},
      {"legacy, without protocol features", kMergeable, false, 0, 10000},
      {"packed", master::kUsual | kPacked, false, 0, 1600},
      {"packed, indirect tables", master::kUsual | kPacked, true, 0, 1600},
      {"packed, many pieces, an odd size", master::kUsual | kPacked, false, 37, 300, 391},
      {"packed, no events", kVersion1 | kPacked | kMergeable | kProtocolFeatures, false, 100, 1600},
      {"packed, no mergeable buffers", kVersion1 | kPacked | kProtocolFeatures, false, 0, 10000},
  };
  for (const auto& kind : kinds) {
    master::Options o;
    o.features = kind.features;
    o.indirect = kind.indirect;
    o.piece = kind.piece;
    o.rx_buffer = kind.rx_buffer;
    o.queue_size = kind.queue_size;
    Master m(o);
    REQUIRE(m.meet(bench.path));
    m.refill();
    for (uint32_t i = 0; i < 300; i++) {
      const size_t size = i % 60 == 59 ? 9000 : 60 + i * 7 % 1400;
      const std::string sent = frame(mac(2), mac(1), size, i);
      CHECK(m.send(sent));
      CHECK(bench.next(*x) == sent);
      const std::string back = frame(mac(1), mac(2), size, i + 1000);
      bench.f.send(*x, back);
      CHECK(body(m, m.receive()) == back);
      if (check::state().failed) {
        std::printf("  %s, frame %u\n", kind.what, i);
        return;
      }
    }
    CHECK(bench.comes_to([](const AgentRow& row) { return row.state.link; }));
    m.part();
  }
  const AgentRow row = bench.row();
  CHECK_EQ(row.state.backend, std::string("vhost-user"));
  CHECK_EQ(row.socket, bench.path);
  CHECK_EQ(row.wire.rx_frames, 3600u);
  CHECK_EQ(row.wire.tx_delivered, 3600u);
  CHECK_EQ(row.wire.tx_copies, row.wire.tx_delivered);
  bench.detach();
  struct stat st;
  CHECK(stat(bench.path.c_str(), &st) != 0);
}

TEST(a_socket_is_taken_over_only_from_the_dead) {
  Bench bench;
  CHECK_OK(bench.attach());
  AttachRequest q = agents::request("vale0:vm2");
  q.vhost_user = bench.path;
  uint32_t index;
  CHECK_EQ(bench.f.device->attach(q, &index).err, EBUSY);
  const pid_t pid = static_cast<pid_t>(bench.row().pid);
  kill(pid, SIGKILL);
  while (kill(pid, 0) == 0) usleep(1000);
  CHECK_OK(bench.attach());
  bench.detach();
  FILE* file = std::fopen(bench.path.c_str(), "w");
  std::fclose(file);
  CHECK_EQ(bench.attach().err, EEXIST);
  unlink(bench.path.c_str());
  q.vhost_user = "/nowhere/at/all";
  CHECK_EQ(bench.f.device->attach(q, &index).err, ENOENT);
}

TEST(super_frames_and_half_made_checksums_between_ports_that_know_them_and_do_not) {
  Bench bench;
  CHECK_OK(bench.attach());
  auto x = bench.f.open("vale0:x");
  const uint64_t offloads = kChecksum | kTso4 | kTso6 | kUso | kGuestChecksum | kGuestTso4 |
                            kGuestTso6 | kGuestUso4 | kGuestUso6;
  super::Shape shape;
  wire::Frame whole = super::build(shape);
  const VnetHeader vnet = super::half_made(shape, &whole, kGsoTcp4, 1000);
  master::Options o;
  o.features |= offloads;
  {
    Master m(o);
    REQUIRE(m.meet(bench.path));
    m.refill();
    // To a port without headers: three segments, each complete.
    CHECK(m.send(text(whole), vnet));
    for (int i = 0; i < 3; i++) {
      const std::string got = bench.next(*x);
      CHECK(wire::wrong(wire::Frame(got.begin(), got.end())) == "");
      CHECK(got.size() == whole.size() - 2000);
    }
    // From a port with headers to a guest that takes it whole.
    CHECK_OK(x->set_header_length(12));
    std::string with(12, '\0');
    std::memcpy(with.data(), &vnet, sizeof vnet);
    bench.f.send(*x, with + text(whole));
    const std::string got = m.receive();
    CHECK(body(m, got) == text(whole));
    CHECK(std::memcmp(got.data(), &vnet, sizeof vnet) == 0);
  }
  {
    // The same to a guest that does not.
    Master m;
    REQUIRE(m.meet(bench.path));
    m.refill();
    std::string with(12, '\0');
    std::memcpy(with.data(), &vnet, sizeof vnet);
    bench.f.send(*x, with + text(whole));
    for (int i = 0; i < 3; i++) {
      const std::string got = m.receive();
      CHECK(got.substr(0, 10) == std::string(10, '\0'));
      const std::string one = body(m, got);
      CHECK(wire::wrong(wire::Frame(one.begin(), one.end())) == "");
      CHECK(one.size() == whole.size() - 2000);
    }
    // What it may not ask for, it does not get.
    CHECK(m.send(text(whole), vnet));
    CHECK(m.send(frame(mac(2), mac(1), 100, 7)));
    CHECK(bench.next(*x).substr(12) == frame(mac(2), mac(1), 100, 7));
    CHECK_EQ(bench.row().wire.drops[static_cast<unsigned>(Drop::bad_header)], 1u);
  }
  {
    // A header that is not true of its frame.
    Master m(o);
    REQUIRE(m.meet(bench.path));
    VnetHeader wrong[5] = {vnet, vnet, vnet, vnet, vnet};
    wrong[0].csum_start = 60000;
    wrong[1].gso_size = 0;
    wrong[2].gso_type = 77;
    wrong[3].flags = 0;
    wrong[4].gso_type = kGsoNone | kGsoEcn;
    for (const VnetHeader& one : wrong) CHECK(m.send(text(whole), one));
    CHECK(m.send(frame(mac(2), mac(1), 100, 8)));
    CHECK(bench.next(*x).substr(12) == frame(mac(2), mac(1), 100, 8));
    CHECK_EQ(bench.row().wire.drops[static_cast<unsigned>(Drop::bad_header)], 6u);
  }
}

namespace {

void comes_and_goes(const master::Options& options, uint32_t rounds) {
  Bench bench;
  CHECK_OK(bench.attach());
  auto x = bench.f.open("vale0:x");
  CHECK(bench.row().state.up && !bench.row().state.link);
  bench.f.send(*x, frame(mac(1), mac(2), 60, 1));  // nobody is there
  CHECK(bench.comes_to([](const AgentRow& row) {
    return row.wire.drops[static_cast<unsigned>(Drop::link_down)] == 1;
  }));
  Master m(options);
  for (uint32_t round = 0; round < rounds; round++) {
    REQUIRE(m.meet(bench.path));
    m.refill();
    CHECK(m.send(frame(mac(2), mac(1), 60, round)));
    CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, round));
    bench.f.send(*x, frame(mac(1), mac(2), 60, round + 10));
    CHECK(body(m, m.receive()) == frame(mac(1), mac(2), 60, round + 10));
    CHECK(bench.comes_to([](const AgentRow& row) { return row.state.link; }));
    if (round % 2 == 0) {
      m.part();
    } else {
      // Frames that nobody has taken when the agent dies are sent by the next one.
      const pid_t pid = static_cast<pid_t>(bench.row().pid);
      kill(pid, SIGSTOP);
      for (uint32_t i = 0; i < 5; i++) CHECK(m.send(frame(mac(2), mac(1), 60, 100 + i)));
      kill(pid, SIGKILL);
      while (kill(pid, 0) == 0) usleep(1000);
      CHECK(m.hung_up());
      m.part();
      CHECK_OK(bench.attach());
      REQUIRE(m.meet(bench.path));
      for (uint32_t i = 0; i < 5; i++) CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, 100 + i));
      m.part();
    }
  }
}

}  // namespace

TEST(a_guest_comes_and_goes_and_so_does_the_agent) { comes_and_goes({}, 4); }

// Of a packed ring only the ring itself tells how far the one who died had come.
TEST(the_same_with_packed_rings) {
  master::Options o;
  o.features |= kPacked;
  o.queue_size = 48;
  for (const uint32_t piece : {0u, 25u, 2000u}) {
    o.piece = piece;
    comes_and_goes(o, 12);
  }
}

namespace {

void several_pairs(uint64_t features) {
  Bench bench;
  CHECK_OK(bench.attach(4));
  OpenRequest q;
  q.tx_rings = q.rx_rings = 4;
  auto x = bench.f.open("vale0:x", q);
  master::Options o;
  o.pairs = 4;
  o.features |= features;
  Master m(o);
  REQUIRE(m.meet(bench.path));
  for (uint32_t p = 0; p < 4; p++) m.refill(p);
  CHECK(m.send(frame(kBroadcast, mac(1), 60, 0)));
  CHECK(bench.next(*x) == frame(kBroadcast, mac(1), 60, 0));
  for (uint32_t p = 0; p < 4; p++) {
    CHECK(m.send(frame(mac(2), mac(1), 60, p), {}, p));
    bench.f.put(*x, frame(mac(1), mac(2), 60, 10 + p), 0, 0, p);
    x->txsync();
    CHECK(body(m, m.receive(1000, p)) == frame(mac(1), mac(2), 60, 10 + p));
  }
  // The guest gives up two pairs: their rings' frames come by the others.
  for (uint32_t i = 4; i < 8; i++) m.enable(m.queues[i], false);
  uint64_t value;
  CHECK(m.ask(Request::get_features, &value));
  bench.f.put(*x, frame(mac(1), mac(2), 60, 20), 0, 0, 3);
  x->txsync();
  CHECK(body(m, m.receive(1000, 1)) == frame(mac(1), mac(2), 60, 20));
  CHECK_EQ(bench.row().wire.drops[static_cast<unsigned>(Drop::link_down)], 0u);
}

}  // namespace

TEST(several_queue_pairs_and_rings) { several_pairs(0); }
TEST(several_packed_queue_pairs) { several_pairs(kPacked); }

TEST(without_buffers_frames_wait_and_then_the_switch_drops) {
  Bench bench;
  CHECK_OK(bench.attach());
  auto x = bench.f.open("vale0:x");
  Master m;
  REQUIRE(m.meet(bench.path));
  CHECK(m.send(frame(mac(2), mac(1), 60, 0)));
  CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, 0));
  for (uint32_t i = 0; i < 1500; i++) bench.f.send(*x, frame(mac(1), mac(2), 60, i));
  CHECK(m.receive(50).empty());
  m.refill();
  for (uint32_t i = 0; i < 1023; i++) CHECK(body(m, m.receive()) == frame(mac(1), mac(2), 60, i));
  CHECK(m.receive(50).empty());
  bench.f.send(*x, frame(mac(1), mac(2), 60, 5000));
  CHECK(body(m, m.receive()) == frame(mac(1), mac(2), 60, 5000));
}

TEST(pages_that_are_written_are_logged_and_memory_comes_and_goes) {
  Bench bench;
  CHECK_OK(bench.attach());
  auto x = bench.f.open("vale0:x");
  master::Options o;
  o.features |= kLogAll;
  o.protocol |= kLogFile | kMemorySlots;
  Master m(o);
  REQUIRE(m.meet(bench.path));
  const int fd = memfd_create("log", MFD_CLOEXEC);
  const uint64_t bytes = (master::kGuestBase + o.memory) / 4096 / 8;
  CHECK(ftruncate(fd, static_cast<off_t>(bytes)) == 0);
  auto* const bits =
      static_cast<uint8_t*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  const LogArea area = {bytes, 0};
  uint64_t done = 1;
  CHECK(m.tell(Request::set_log_base, area, fd) && m.hear(&done, sizeof done));
  Driver& q = m.rx();
  const RingAddress logged = {q.index,        kRingLogged,         m.user(q.descriptors),
                              m.user(q.used), m.user(q.available), m.guest(0x14000)};
  CHECK(m.told(Request::set_vring_addr, &logged, sizeof logged));
  const auto is_logged = [&](uint64_t offset) {
    const uint64_t page = m.guest(offset) / 4096;
    return (bits[page / 8] >> page % 8 & 1) != 0;
  };
  m.refill();
  bench.f.send(*x, frame(mac(1), mac(2), 3000, 1));
  CHECK(body(m, m.receive()) == frame(mac(1), mac(2), 3000, 1));
  const uint64_t first = q.buffers + uint64_t{q.available->ring[0]} * q.buffer_bytes;
  CHECK(is_logged(first) && is_logged(first + 1599) && is_logged(0x14000));
  CHECK(!is_logged(0) && !is_logged(m.tx().buffers));
  munmap(bits, bytes);
  close(fd);

  uint64_t slots = 0;
  CHECK(m.ask(Request::get_max_mem_slots, &slots) && slots >= 8);
  const OneRegion more = {0, {master::kGuestBase * 8, 1 << 20, master::kUserBase * 2, 0}};
  CHECK(m.told(Request::add_mem_reg, &more, sizeof more, &m.memory_fd, 1));
  // A frame in the new memory, which is the same as the old one's start.
  std::memset(m.memory + 0x8000, 0, 12);
  std::memcpy(m.memory + 0x800c, frame(mac(2), mac(1), 90, 3).data(), 90);
  const auto sends_from = [&](uint64_t address) {
    m.tx().descriptors[0] = {address, 102, 0, 0};
    m.offer(m.tx(), 0);
  };
  sends_from(master::kGuestBase * 8 + 0x8000);
  CHECK(bench.next(*x) == frame(mac(2), mac(1), 90, 3));
  CHECK(m.told(Request::rem_mem_reg, &more, sizeof more));
  sends_from(master::kGuestBase * 8 + 0x8000);
  CHECK(m.hung_up());
}

TEST(a_packed_ring_is_logged_and_goes_on_where_it_was_stopped) {
  Bench bench;
  CHECK_OK(bench.attach());
  auto x = bench.f.open("vale0:x");
  master::Options o;
  o.features |= kLogAll | kPacked;
  o.protocol |= kLogFile;
  o.queue_size = 24;
  Master m(o);
  REQUIRE(m.meet(bench.path));
  const int fd = memfd_create("log", MFD_CLOEXEC);
  const uint64_t bytes = (master::kGuestBase + o.memory) / 4096 / 8;
  CHECK(ftruncate(fd, static_cast<off_t>(bytes)) == 0);
  auto* const bits =
      static_cast<uint8_t*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  const LogArea area = {bytes, 0};
  uint64_t done = 1;
  CHECK(m.tell(Request::set_log_base, area, fd) && m.hear(&done, sizeof done));
  Driver& q = m.rx();
  const RingAddress logged = {q.index,        kRingLogged,         m.user(q.descriptors),
                              m.user(q.used), m.user(q.available), m.guest(0x14000)};
  CHECK(m.told(Request::set_vring_addr, &logged, sizeof logged));
  m.refill();
  bench.f.send(*x, frame(mac(1), mac(2), 3000, 1));
  const uint64_t buffer = q.slot(0)->address - m.guest(0);
  CHECK(body(m, m.receive()) == frame(mac(1), mac(2), 3000, 1));
  const auto is_logged = [&](uint64_t offset) {
    const uint64_t page = m.guest(offset) / 4096;
    return (bits[page / 8] >> page % 8 & 1) != 0;
  };
  CHECK(is_logged(0) && is_logged(buffer) && is_logged(buffer + 1599));
  CHECK(!is_logged(0x10000) && !is_logged(m.tx().buffers));
  munmap(bits, bytes);
  close(fd);
  for (uint32_t round = 0; round < 60; round++) {
    CHECK(m.send(frame(mac(2), mac(1), 60, round)));
    CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, round));
    RingState state = {1, 0};
    CHECK(m.tell(Request::get_vring_base, state) && m.hear(&state, sizeof state));
    const uint32_t place = m.tx().next % 24 | (m.tx().next < 24 ? kLap : 0u);
    CHECK_EQ(state.num, place | place << 16);
    m.tell(Request::set_vring_base, state);
    m.tell(Request::set_vring_kick, uint64_t{1}, m.tx().kick);
  }
}

TEST(a_guest_moved_here_is_announced_and_is_told_what_it_may_send) {
  Bench bench;
  CHECK_OK(bench.attach());
  auto x = bench.f.open("vale0:x");
  master::Options o;
  o.protocol |= kStatus;
  Master m(o);
  REQUIRE(m.meet(bench.path));
  uint64_t address = 0;
  std::memcpy(&address, mac(7).data(), 6);
  CHECK(m.told(Request::send_rarp, &address, sizeof address));
  const std::string told = bench.next(*x);
  CHECK(told.substr(0, 14) == kBroadcast + mac(7) + "\x80\x35");
  CHECK(told.substr(22, 6) == mac(7) && told.size() == 60);
  const uint64_t mtu = 1400, status = 15;
  CHECK(m.told(Request::net_set_mtu, &mtu, sizeof mtu));
  CHECK(bench.comes_to([](const AgentRow& row) { return row.state.mtu == 1400; }));
  CHECK(m.told(Request::set_status, &status, sizeof status));
  uint64_t now = 0;
  CHECK(m.ask(Request::get_status, &now) && now == 15);
}

TEST(an_announcement_goes_before_more_frames_than_the_ring_holds) {
  Bench bench;
  CHECK_OK(bench.attach(1, 64));
  auto x = bench.f.open("vale0:x");
  Master m;
  REQUIRE(m.meet(bench.path));
  CHECK(m.send(frame(mac(2), mac(1), 60, 0)));
  CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, 0));
  const pid_t pid = static_cast<pid_t>(bench.row().pid);
  kill(pid, SIGSTOP);
  for (uint32_t i = 0; i < 120; i++) CHECK(m.send(frame(mac(2), mac(1), 60, i)));
  uint64_t address = 0;
  std::memcpy(&address, mac(7).data(), 6);
  m.tell(Request::send_rarp, address);
  kill(pid, SIGCONT);
  uint32_t frames = 0, announcements = 0;
  for (std::string one; !(one = bench.next(*x)).empty();) {
    const bool told = one.substr(0, 14) == kBroadcast + mac(7) + "\x80\x35";
    announcements += told;
    frames += !told;
    if (frames == 120 && announcements == 1) break;
  }
  CHECK_EQ(announcements, 1u);
  CHECK_EQ(frames, 120u);
}

TEST(an_agent_that_is_the_client_tries_until_somebody_listens) {
  Bench bench;
  AttachRequest q = agents::request("vale0:vm1");
  q.vhost_user = bench.path;
  q.client = true;
  uint32_t index;
  CHECK_OK(bench.f.device->attach(q, &index));
  auto x = bench.f.open("vale0:x");
  for (uint32_t round = 0; round < 2; round++) {
    const int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, bench.path.c_str(), bench.path.size());
    CHECK(bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    CHECK(listen(listening, 1) == 0);
    pollfd wait = {listening, POLLIN, 0};
    CHECK(poll(&wait, 1, 3000) == 1);
    Master m;
    REQUIRE(m.meet(accept4(listening, nullptr, nullptr, SOCK_CLOEXEC)));
    CHECK(m.send(frame(mac(2), mac(1), 60, round)));
    CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, round));
    close(listening);
    unlink(bench.path.c_str());
  }
}

TEST(a_guest_without_shared_memory) {
  Bench bench;
  AttachRequest q = agents::request("vale0:vm1");
  q.stream = bench.path;
  uint32_t index;
  CHECK_OK(bench.f.device->attach(q, &index));
  auto x = bench.f.open("vale0:x");
  const auto meet = [&] {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, bench.path.c_str(), bench.path.size());
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const timeval limit = {2, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
  };
  const auto with_length = [](const std::string& f) {
    const uint32_t n = htonl(static_cast<uint32_t>(f.size()));
    return std::string(reinterpret_cast<const char*>(&n), 4) + f;
  };
  const auto exactly = [](int fd, size_t n) {
    std::string s(n, 0);
    return recv(fd, s.data(), n, MSG_WAITALL) == static_cast<ssize_t>(n) ? s : std::string();
  };
  const int fd = meet();
  for (uint32_t i = 0; i < 200; i++) {
    const std::string there = frame(mac(2), mac(1), i % 50 == 49 ? 9000 : 60 + i * 7, i);
    const std::string all = with_length(there);
    const size_t cut = 1 + i % (all.size() - 1);  // it comes in two parts
    CHECK(send(fd, all.data(), cut, 0) == static_cast<ssize_t>(cut));
    CHECK(send(fd, all.data() + cut, all.size() - cut, 0) >= 0);
    CHECK(bench.next(*x) == there);
    const std::string back = frame(mac(1), mac(2), there.size(), i + 1000);
    bench.f.send(*x, back);
    CHECK(exactly(fd, back.size() + 4) == with_length(back));
  }
  // A super-frame is cut for it, and complete.
  CHECK_OK(x->set_header_length(12));
  super::Shape shape;
  wire::Frame whole = super::build(shape);
  const VnetHeader vnet = super::half_made(shape, &whole, kGsoTcp4, 1000);
  std::string with(12, '\0');
  std::memcpy(with.data(), &vnet, sizeof vnet);
  bench.f.send(*x, with + text(whole));
  for (int i = 0; i < 3; i++) {
    const std::string got = exactly(fd, whole.size() - 2000 + 4).substr(4);
    CHECK(wire::wrong(wire::Frame(got.begin(), got.end())) == "");
  }
  CHECK_OK(x->set_header_length(0));
  // One that does not read: frames wait, then the switch drops; whole ones come out in order.
  uint64_t sent = 0;
  for (uint32_t i = 0; i < 4000; i++, sent++) bench.f.send(*x, frame(mac(1), mac(2), 1000, i));
  uint32_t seen = 0;
  for (uint32_t i = 0; i < sent; seen++) {
    pollfd wait = {fd, POLLIN, 0};
    if (poll(&wait, 1, 300) != 1) break;
    const std::string got = exactly(fd, 1004);
    while (i < sent && with_length(frame(mac(1), mac(2), 1000, i++)) != got) {
    }
  }
  CHECK(seen > 500 && seen < sent);
  std::vector<PortRow> ports;
  CHECK_OK(bench.f.device->list(&ports));
  uint64_t full = 0;
  for (const PortRow& p : ports) full += p.counters.drops[static_cast<unsigned>(Drop::ring_full)];
  CHECK_EQ(full + seen, sent);
  // A length that cannot be.
  CHECK(bench.comes_to([](const AgentRow& row) { return row.state.link; }));
  CHECK(send(fd, "\xff\xff\xff\xff", 4, 0) == 4);
  char byte;
  while (recv(fd, &byte, 1, 0) > 0) {
  }
  CHECK(!bench.row().state.up);
  close(fd);
  const int next = meet();
  CHECK(send(next, with_length(frame(mac(2), mac(1), 60, 1)).data(), 64, 0) == 64);
  CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, 1));
  CHECK_EQ(bench.row().state.backend, std::string("stream"));
  close(next);
}

TEST(a_guest_that_sends_datagrams) {
  Bench bench;
  const std::string own = bench.path + ".own";
  const auto address_of = [](const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size());
    return address;
  };
  const auto bound = [&](const std::string& path) {
    const sockaddr_un address = address_of(path);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(path.c_str());
    CHECK(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const timeval limit = {2, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
  };
  const auto sends = [&](int fd, const std::string& f) {
    const sockaddr_un address = address_of(bench.path);
    return sendto(fd, f.data(), f.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                  sizeof address) == static_cast<ssize_t>(f.size());
  };
  const auto gets = [](int fd) {
    std::string bytes(70000, 0);
    const ssize_t n = recv(fd, bytes.data(), bytes.size(), 0);
    return bytes.substr(0, n < 0 ? 0 : static_cast<size_t>(n));
  };
  for (const bool told : {false, true}) {
    AttachRequest q = agents::request("vale0:vm1");
    q.dgram = bench.path;
    if (told) q.remote = own;
    uint32_t index;
    CHECK_OK(bench.f.device->attach(q, &index));
    auto x = bench.f.open("vale0:x");
    const auto full = [&] {
      uint64_t n = 0;
      std::vector<PortRow> ports;
      CHECK_OK(bench.f.device->list(&ports));
      for (const PortRow& p : ports) n += p.counters.drops[static_cast<unsigned>(Drop::ring_full)];
      return n;
    };
    for (uint32_t round = 0; round < 3; round++) {
      // It begins again at the same place. What is sent to the one that is no more is lost.
      const int fd = bound(own);
      CHECK(sends(fd, frame(mac(2), mac(1), 60, 0)));
      CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, 0));
      bench.f.send(*x, frame(mac(1), mac(2), 60, 0));
      usleep(400'000);
      std::string first(100, 0);
      while (recv(fd, first.data(), first.size(), MSG_DONTWAIT) >= 0) {
      }
      CHECK(sends(fd, frame(mac(2), mac(1), 60, 0)));
      CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, 0));
      CHECK(bench.comes_to([](const AgentRow& row) { return row.state.link; }));
      for (uint32_t i = 0; i < 100; i++) {
        const std::string there = frame(mac(2), mac(1), i % 50 == 49 ? 9000 : 60 + i * 7, i);
        CHECK(sends(fd, there));
        CHECK(bench.next(*x) == there);
        const std::string back = frame(mac(1), mac(2), there.size(), i + 1000);
        bench.f.send(*x, back);
        CHECK(gets(fd) == back);
        if (check::state().failed) return;
      }
      // One that does not read: frames wait, then the switch drops; whole ones come out in order.
      const uint64_t before = full();
      for (uint32_t i = 0; i < 4000; i++) bench.f.send(*x, frame(mac(1), mac(2), 500, i));
      uint32_t seen = 0;
      for (uint32_t i = 0, waits = 0; i < 4000 && waits < 100;) {
        pollfd wait = {fd, POLLIN, 0};
        if (poll(&wait, 1, 50) != 1) {
          if (full() - before + seen >= 4000) break;
          waits++;
          continue;
        }
        seen++;
        const std::string got = gets(fd);
        while (i < 4000 && frame(mac(1), mac(2), 500, i++) != got) {
        }
      }
      CHECK(seen > 500 && seen < 4000);
      CHECK_EQ(full() - before + seen, 4000u);
      CHECK(sends(fd, std::string(5, 'x')));
      CHECK(sends(fd, frame(mac(2), mac(1), 60, 77)));
      CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, 77));
      close(fd);
    }
    CHECK_EQ(bench.row().state.backend, std::string("dgram"));
    CHECK_EQ(bench.row().wire.drops[static_cast<unsigned>(Drop::runt)], 3u);
    bench.detach();
    unlink(own.c_str());
  }
}
