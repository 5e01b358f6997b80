// SPDX-License-Identifier: BSD-2-Clause
// Virtual machines at a port: a guest's process and driver of our own at a real agent's socket.
#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/support/super_frame.h"
#include "test/support/vhost_bench.h"

using namespace vale;
using namespace vale::vhost;
using master::Master;

TEST(frames_go_both_ways_whatever_the_driver_can) {
  Bench bench;
  CHECK_OK(bench.attach());
  auto x = bench.f.open("vale0:x");
  constexpr DriverKind kinds[] = {
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
  for (const DriverKind& kind : kinds) {
    Master m(kind.options());
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
    CHECK(m.send(super::text(whole), vnet));
    for (int i = 0; i < 3; i++) {
      const std::string got = bench.next(*x);
      CHECK(wire::wrong(wire::Frame(got.begin(), got.end())) == "");
      CHECK(got.size() == whole.size() - 2000);
    }
    // From a port with headers to a guest that takes it whole.
    CHECK_OK(x->set_header_length(12));
    std::string with(12, '\0');
    std::memcpy(with.data(), &vnet, sizeof vnet);
    bench.f.send(*x, with + super::text(whole));
    const std::string got = m.receive();
    CHECK(body(m, got) == super::text(whole));
    CHECK(std::memcmp(got.data(), &vnet, sizeof vnet) == 0);
  }
  {
    // The same to a guest that does not.
    Master m;
    REQUIRE(m.meet(bench.path));
    m.refill();
    std::string with(12, '\0');
    std::memcpy(with.data(), &vnet, sizeof vnet);
    bench.f.send(*x, with + super::text(whole));
    for (int i = 0; i < 3; i++) {
      const std::string got = m.receive();
      CHECK(got.substr(0, 10) == std::string(10, '\0'));
      const std::string one = body(m, got);
      CHECK(wire::wrong(wire::Frame(one.begin(), one.end())) == "");
      CHECK(one.size() == whole.size() - 2000);
    }
    // What it may not ask for, it does not get.
    CHECK(m.send(super::text(whole), vnet));
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
    for (const VnetHeader& one : wrong) CHECK(m.send(super::text(whole), one));
    CHECK(m.send(frame(mac(2), mac(1), 100, 8)));
    CHECK(bench.next(*x).substr(12) == frame(mac(2), mac(1), 100, 8));
    CHECK_EQ(bench.row().wire.drops[static_cast<unsigned>(Drop::bad_header)], 6u);
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
  bench.f.send(*x, with + super::text(whole));
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
  // Of the last frame for a while, the socket takes a part: the rest follows when there is room.
  for (uint32_t frames = 1; frames < 8; frames++) {
    for (uint32_t i = 0; i < frames; i++) bench.f.send(*x, frame(mac(1), mac(2), 60000, i));
    usleep(20'000);
    for (uint32_t i = 0; i < frames; i++)
      CHECK(exactly(fd, 60004) == with_length(frame(mac(1), mac(2), 60000, i)));
  }
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
