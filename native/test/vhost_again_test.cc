// SPDX-License-Identifier: BSD-2-Clause
// Who begins again where another has ended: machines, agents that are killed, and machines that move, for
// which pages that are written are logged.
#include "test/support/child.h"
#include "test/support/vhost_bench.h"
#include "vhost/device.h"
#include "vhost/queue.h"

using namespace vale;
using namespace vale::vhost;
using master::Driver;
using master::Master;

TEST(a_socket_is_taken_over_only_from_the_dead) {
  Bench bench;
  CHECK_OK(bench.attach());
  AttachRequest q = agents::request("vale0:vm2");
  q.vhost_user = bench.path;
  uint32_t index;
  CHECK_EQ(bench.f.device->attach(q, &index).err, EBUSY);
  const pid_t pid = static_cast<pid_t>(bench.row().pid);
  kill_other(pid);
  CHECK_OK(bench.attach());
  bench.detach();
  FILE* file = std::fopen(bench.path.c_str(), "w");
  std::fclose(file);
  CHECK_EQ(bench.attach().err, EEXIST);
  unlink(bench.path.c_str());
  q.vhost_user = "/nowhere/at/all";
  CHECK_EQ(bench.f.device->attach(q, &index).err, ENOENT);
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
      stop_other(pid);
      for (uint32_t i = 0; i < 5; i++) CHECK(m.send(frame(mac(2), mac(1), 60, 100 + i)));
      kill_other(pid);
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

// What a driver sends through, for queues that serve it one after the other, each as if it were the first.
struct Served {
  GuestMemory memory;

  bool by(Queue* queue, Master& m) {
    const Driver& q = m.tx();
    const MemoryRegion all = {master::kGuestBase, m.options.memory, master::kUserBase, 0};
    QueueSetup setup;
    setup.size = q.size;
    setup.address = {q.index, 0, m.user(q.descriptors), m.user(q.used), m.user(q.available), 0};
    setup.base = q.packed ? kLap : 0u;
    if (memory.regions() == 0 && memory.set(&all, &m.memory_fd, 1) != nullptr) return false;
    return queue->start(setup, &memory, m.options.features) == nullptr;
  }
};

}  // namespace

// At each moment of marking a chain as used, at each place of the ring, also across its end.
TEST(a_packed_ring_tells_where_one_died_in_the_midst_of_a_chain) {
  master::Options o;
  o.features = kVersion1 | kMergeable | kProtocolFeatures | kPacked;
  o.queue_size = 11;
  for (const uint32_t pieces : {1u, 2u, 3u, 7u}) {
    o.piece = 72 / pieces + 1;
    Master m(o);
    Driver& q = m.tx();
    Served served;
    Queue device;
    REQUIRE(served.by(&device, m));
    Chain chain;
    for (uint32_t n = 0; n < 3 * q.size; n++) {
      REQUIRE(m.send(frame(mac(2), mac(1), 60, n)));
      REQUIRE(device.take(&chain) == Take::chain);
      CHECK_EQ(uint32_t{chain.slots}, pieces);
      const std::vector<PackedDescriptor> before(q.slot(0), q.slot(0) + q.size);
      const uint32_t head = (device.cursor() + 2 * q.size - pieces) % (2 * q.size);
      device.use(chain.id, chain.slots, 0);
      device.publish();
      const std::vector<PackedDescriptor> after(q.slot(0), q.slot(0) + q.size);
      for (uint32_t marked = 0; marked < pieces; marked++) {
        for (uint32_t i = 0; i < pieces; i++) {
          const uint32_t at = (head + i) % q.size;
          *q.slot(at) = i != 0 && i <= marked ? after[at] : before[at];
        }
        Queue next;
        REQUIRE(served.by(&next, m));
        CHECK_EQ(next.cursor(), head);
      }
      std::copy(after.begin(), after.end(), q.slot(0));
      Queue next;
      REQUIRE(served.by(&next, m));
      CHECK_EQ(next.cursor(), device.cursor());
    }
  }
}

// Of one who died awake, the ring says still that kicks are not wanted.
TEST(whoever_serves_a_ring_next_is_kicked) {
  for (const uint64_t more : {uint64_t{0}, kPacked, kEventIndex, kPacked | kEventIndex}) {
    master::Options o;
    o.features = kVersion1 | kMergeable | kProtocolFeatures | more;
    Master m(o);
    const Driver& q = m.tx();
    Served served;
    Queue dead, next;
    REQUIRE(served.by(&dead, m));
    dead.want_kicks(false);
    REQUIRE(served.by(&next, m));
    CHECK(m.send(frame(mac(2), mac(1), 60, 1)));
    CHECK_EQ(q.kicks, 1u);
  }
}

// Whoever served it may have died between using buffers and saying so, and its driver wait for that.
TEST(a_driver_is_told_to_look_by_whoever_serves_it_next) {
  Bench bench;
  CHECK_OK(bench.attach());
  Master m;
  for (int round = 0; round < 2; round++) {
    REQUIRE(m.meet(bench.path));
    for (const Driver& q : m.queues) {
      pollfd wait = {q.call, POLLIN, 0};
      CHECK_EQ(poll(&wait, 1, 3000), 1);
      uint64_t count;
      CHECK_EQ(read(q.call, &count, sizeof count), static_cast<ssize_t>(sizeof count));
    }
    m.part();
  }
}

namespace {

// What a machine's process has of the pages that are written, of its first queue among others.
class Log {
 public:
  explicit Log(Master& m) : m_(m), bytes_((master::kGuestBase + m.options.memory) / 4096 / 8) {
    const int fd = memfd_create("log", MFD_CLOEXEC);
    CHECK(ftruncate(fd, static_cast<off_t>(bytes_)) == 0);
    bits_ = static_cast<uint8_t*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    const LogArea area = {bytes_, 0};
    uint64_t done = 1;
    CHECK(m.tell(Request::set_log_base, area, fd) && m.hear(&done, sizeof done));
    close(fd);
    const Driver& q = m.rx();
    const RingAddress logged = {q.index,        kRingLogged,         m.user(q.descriptors),
                                m.user(q.used), m.user(q.available), m.guest(0x14000)};
    CHECK(m.told(Request::set_vring_addr, &logged, sizeof logged));
  }
  ~Log() { munmap(bits_, bytes_); }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  bool has(uint64_t offset) const {
    const uint64_t page = m_.guest(offset) / 4096;
    return (bits_[page / 8] >> page % 8 & 1) != 0;
  }

 private:
  const Master& m_;
  const uint64_t bytes_;
  uint8_t* bits_;
};

}  // namespace

TEST(pages_that_are_written_are_logged_and_memory_comes_and_goes) {
  Bench bench;
  CHECK_OK(bench.attach());
  auto x = bench.f.open("vale0:x");
  master::Options o;
  o.features |= kLogAll;
  o.protocol |= kLogFile | kMemorySlots;
  Master m(o);
  REQUIRE(m.meet(bench.path));
  const Log log(m);
  m.refill();
  bench.f.send(*x, frame(mac(1), mac(2), 3000, 1));
  CHECK(body(m, m.receive()) == frame(mac(1), mac(2), 3000, 1));
  const Driver& q = m.rx();
  const uint64_t first = q.buffers + uint64_t{q.available->ring[0]} * q.buffer_bytes;
  CHECK(log.has(first) && log.has(first + 1599) && log.has(0x14000));
  CHECK(!log.has(0) && !log.has(m.tx().buffers));

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

// Each pair of queues says all of it, of a machine of several (QEMU 7.2).
TEST(memory_is_told_of_once_a_pair_and_ends_once_a_pair) {
  for (const auto& [pairs, more] :
       {std::pair{2u, uint64_t{0}}, {4u, kPacked}, {16u, uint64_t{0}}}) {
    Bench bench;
    CHECK_OK(bench.attach(static_cast<uint16_t>(pairs)));
    auto x = bench.f.open("vale0:x");
    master::Options o;
    o.features |= more;
    o.protocol |= kMemorySlots;
    o.pairs = pairs;
    o.memory = 256 << 20;
    o.memory_by_pair = true;
    Master m(o);
    REQUIRE(m.meet(bench.path));
    const auto all_serve = [&] {
      for (uint32_t p = 0; p < pairs; p++) {
        CHECK(m.send(frame(mac(2), mac(1), 60, p), {}, p));
        CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, p));
      }
    };
    all_serve();
    // A machine gets memory, which then changes: for each pair the old goes and the new comes, which overlaps it.
    const MemoryRegion plug = {master::kGuestBase * 8, 1 << 20, master::kUserBase * 2, 0};
    MemoryRegion longer = plug;
    longer.bytes *= 2;
    const OneRegion one = {0, plug}, other = {0, longer};
    for (uint32_t p = 0; p < pairs; p++)
      CHECK(m.told(Request::add_mem_reg, &one, sizeof one, &m.memory_fd, 1));
    for (uint32_t p = 0; p < pairs; p++) {
      CHECK(m.told(Request::rem_mem_reg, &one, sizeof one));
      CHECK(m.told(Request::add_mem_reg, &other, sizeof other, &m.memory_fd, 1));
    }
    all_serve();
    for (uint32_t p = 0; p < pairs; p++) CHECK(m.told(Request::rem_mem_reg, &other, sizeof other));
    all_serve();
    // And comes back.
    for (uint32_t p = 0; p < pairs; p++)
      CHECK(m.told(Request::add_mem_reg, &one, sizeof one, &m.memory_fd, 1));
    all_serve();
  }
}

// As the memory of a machine is cut anew: what goes and what comes are two messages, and queues run meanwhile.
TEST(queues_rest_while_their_memory_is_away) {
  for (const uint64_t more : {uint64_t{0}, uint64_t{kPacked}}) {
    Bench bench;
    CHECK_OK(bench.attach());
    auto x = bench.f.open("vale0:x");
    master::Options o;
    o.features |= more;
    o.protocol |= kMemorySlots;
    o.memory_by_pair = true;
    Master m(o);
    REQUIRE(m.meet(bench.path));
    m.refill();
    for (uint32_t round = 0; round < 3; round++) {
      CHECK(m.send(frame(mac(2), mac(1), 60, round)));
      CHECK(bench.next(*x) == frame(mac(2), mac(1), 60, round));
      std::vector<OneRegion> all;
      for (const MemoryRegion& region : m.regions()) all.push_back({0, region});
      for (const OneRegion& one : all) CHECK(m.told(Request::rem_mem_reg, &one, sizeof one));
      CHECK(m.send(frame(mac(2), mac(1), 70, round)));  // seen when it is back
      for (const OneRegion& one : all)
        CHECK(m.told(Request::add_mem_reg, &one, sizeof one, &m.memory_fd, 1));
      CHECK(bench.next(*x) == frame(mac(2), mac(1), 70, round));
      bench.f.send(*x, frame(mac(1), mac(2), 80, round));
      CHECK(body(m, m.receive()) == frame(mac(1), mac(2), 80, round));
    }
    CHECK(bench.row().state.link && bench.row().state.link_downs == 0);
  }
}

// QEMU then says nothing and comes again each second, for ever.
TEST(a_machine_of_too_many_pairs_is_told_from_one_that_ends) {
  vhost::Device device(2);
  Message answer;
  const auto hears = [&](Request request, uint64_t value) {
    Message m;
    m.put(value);
    m.header = {static_cast<uint32_t>(request), kVersion, m.header.size};
    return device.handle(m, &answer);
  };
  CHECK(hears(Request::get_features, 0) && device.missed().empty());
  CHECK(hears(Request::get_queue_num, 0));
  CHECK(device.missed().find("than 2 ") != std::string::npos);
  CHECK(hears(Request::set_features, kVersion1) && device.missed().empty());
}

TEST(memory_in_the_place_of_other_memory_is_refused) {
  Bench bench;
  CHECK_OK(bench.attach());
  const int other = memfd_create("other", MFD_CLOEXEC);
  const auto refused = [&](Request request, auto&& change, bool other_file = false) {
    master::Options o;
    o.protocol |= kMemorySlots;
    o.start = false;
    Master m(o);
    REQUIRE(m.meet(bench.path));
    OneRegion one = {0, m.regions()[0]};
    CHECK(ftruncate(other, static_cast<off_t>(o.memory)) == 0);
    for (int turn = 0; turn < 2; turn++)
      CHECK(m.told(Request::add_mem_reg, &one, sizeof one, &m.memory_fd, 1));
    change(one.region);
    const bool adds = request == Request::add_mem_reg;
    m.tell(request, &one, sizeof one, other_file ? &other : &m.memory_fd, adds ? 1 : 0);
    CHECK(m.hung_up());
  };
  const auto same = [](MemoryRegion&) {};
  refused(Request::add_mem_reg, same, true);
  refused(Request::add_mem_reg, [](MemoryRegion& r) { r.offset += 4096; });
  refused(Request::add_mem_reg, [](MemoryRegion& r) { r.bytes += 4096; });
  refused(Request::add_mem_reg, [](MemoryRegion& r) { r.user += r.bytes; });
  refused(Request::add_mem_reg, [](MemoryRegion& r) { r.guest += r.bytes; });
  refused(Request::rem_mem_reg, [](MemoryRegion& r) { r.bytes -= 4096; });
  refused(Request::rem_mem_reg, [](MemoryRegion& r) { r.guest += r.bytes; });
  close(other);
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
  const Log log(m);
  m.refill();
  bench.f.send(*x, frame(mac(1), mac(2), 3000, 1));
  const uint64_t buffer = m.rx().slot(0)->address - m.guest(0);
  CHECK(body(m, m.receive()) == frame(mac(1), mac(2), 3000, 1));
  CHECK(log.has(0) && log.has(buffer) && log.has(buffer + 1599));
  CHECK(!log.has(0x10000) && !log.has(m.tx().buffers));
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
  stop_other(pid);
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
