// SPDX-License-Identifier: BSD-2-Clause
// The account always closes: copies = delivered + drops, delivered = read + in the ring + gone; whatever
// the traffic, the topology, who is killed and who is stopped.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include <random>

#include "offload/vnet_header.h"
#include "shm/layout.h"
#include "support/check.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

using Random = std::minstd_rand;
uint32_t pick(Random& random, uint32_t n) { return static_cast<uint32_t>(random() % n); }

uint64_t now_ms() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1000 + static_cast<uint64_t>(ts.tv_nsec) / 1000000;
}

uint64_t sum_of(const uint64_t (&drops)[kDropReasons]) {
  uint64_t sum = 0;
  for (uint64_t d : drops) sum += d;
  return sum;
}

const char* const kSwitches[] = {"vale0", "vale1"};

OpenRequest random_geometry(Random& random) {
  static const uint32_t kSizes[] = {0, 64, 256, 2048};
  OpenRequest q;
  q.tx_slots = 2 + pick(random, 200);
  q.rx_slots = 2 + pick(random, 200);
  q.tx_rings = static_cast<uint16_t>(1 + pick(random, 3));
  q.rx_rings = static_cast<uint16_t>(1 + pick(random, 3));
  q.buf_size = kSizes[pick(random, 4)];
  q.flags = NR_ACCEPT_VNET_HDR;
  return q;
}

// A TCP super-frame of `size` bytes, or what is nearly one, behind a header of `header` bytes.
void random_super_frame(Random& random, char* b, uint32_t header, uint32_t size) {
  const uint32_t ip = header + 14, tcp = ip + 20;
  std::memset(b, 0, header);
  if (size < tcp + 20) return;
  VnetHeader h = {};
  h.flags = static_cast<uint8_t>(pick(random, 12) == 0 ? random() : pick(random, 2));
  h.gso_type = static_cast<uint8_t>(pick(random, 12) == 0 ? random() : pick(random, 2));
  h.gso_size = static_cast<uint16_t>(1 + pick(random, 700));
  h.csum_start = 34;
  h.csum_offset = static_cast<uint16_t>(pick(random, 12) == 0 ? random() : 16);
  std::memcpy(b, &h, sizeof h);
  const char type[] = {8, 0, 0x45};
  std::memcpy(b + ip - 2, type, sizeof type);
  std::memset(b + ip + 6, 0, 2);
  b[ip + 9] = 6;
  b[tcp + 12] = 0x50;
}

// Anything a program might put there: sizes from a runt to many slots, known, unknown and group
// addresses, hints, bad buffers, pointers to nowhere.
void random_frame(Random& random, netmap_ring* r, const char* payload, uint32_t header) {
  const uint32_t free = (r->tail + r->num_slots - r->head) % r->num_slots;
  if (free == 0) return;
  const uint32_t fragments = pick(random, 8) == 0 ? 1 + pick(random, std::min(free, 80u)) : 1;
  uint32_t head = r->head;
  for (uint32_t i = 0; i < std::min(fragments, free); i++) {
    netmap_slot& s = r->slot[head];
    s.flags = i + 1 < fragments ? NS_MOREFRAG : 0;
    s.len = static_cast<uint16_t>(pick(random, 16) == 0 ? pick(random, 65536)
                                                        : pick(random, r->nr_buf_size + 1));
    s.ptr = 0;
    if (i == 0 && s.len >= header + 14 && s.buf_idx < 4098) {  // as many as the smallest region has
      char* b = NETMAP_BUF(r, s.buf_idx);
      if (header != 0)
        random_super_frame(random, b, header, std::min<uint32_t>(s.len, r->nr_buf_size));
      b += header;
      const std::string to = pick(random, 4) == 0 ? kBroadcast : mac(pick(random, 12)),
                        from = mac(pick(random, 12));
      std::memcpy(b, to.data(), 6);
      std::memcpy(b + 6, from.data(), 6);
    }
    if (pick(random, 20) == 0) s.flags |= NS_NO_LEARN;
    if (pick(random, 30) == 0)
      s.flags = static_cast<uint16_t>(s.flags | pick(random, 256) << NS_PORT_SHIFT);
    if (pick(random, 30) == 0) {
      s.flags |= NS_INDIRECT;
      s.ptr = pick(random, 3) == 0 ? 16 : reinterpret_cast<uint64_t>(payload);
    }
    head = head + 1 == r->num_slots ? 0 : head + 1;
  }
  r->head = r->cur = head;
}

void random_traffic(Random& random, Port& port, const char* payload) {
  for (unsigned i = port.first_tx(); i < port.last_tx(); i++) {
    netmap_ring* r = port.tx_ring(i);
    for (uint32_t n = pick(random, 40); n != 0; n--)
      random_frame(random, r, payload, port.header_length());
    if (pick(random, 100) == 0)
      r->slot[pick(random, r->num_slots)].buf_idx = static_cast<uint32_t>(random());
  }
  port.txsync();
  port.rxsync();
  for (unsigned i = port.first_rx(); i < port.last_rx(); i++) {
    netmap_ring* r = port.rx_ring(i);
    const uint32_t waiting = (r->tail + r->num_slots - r->head) % r->num_slots;
    r->head = r->cur = (r->head + pick(random, waiting + 1)) % r->num_slots;
  }
  if (pick(random, 2) == 0) port.rxsync();
}

// Ports come and go and send to each other until it is killed.
[[noreturn]] void run_citizen(const std::string& dir, uint32_t seed) {
  Random random(seed);
  std::unique_ptr<Device> device;
  if (!open_user_device(dir.c_str(), &device, nullptr).ok()) _exit(1);
  std::vector<char> payload(65536);
  std::unique_ptr<Port> ports[3];
  for (;;) {
    auto& port = ports[pick(random, 3)];
    if (port == nullptr) {
      OpenRequest q = random_geometry(random);
      q.name = std::string(kSwitches[pick(random, 2)]) + ":p" + std::to_string(pick(random, 6));
      device->open(q, &port);
    } else if (pick(random, 50) == 0) {
      static const uint32_t kLengths[] = {0, 10, 12};
      port->set_header_length(kLengths[pick(random, 3)]);
    } else if (pick(random, 50) == 0) {
      port.reset();
    } else {
      random_traffic(random, *port, payload.data());
    }
  }
}

// The same with one persistent port, wherever that is attached at the moment.
[[noreturn]] void run_commuter(const std::string& dir, uint32_t seed) {
  Random random(seed);
  std::unique_ptr<Device> device;
  std::unique_ptr<Port> port;
  OpenRequest q;
  q.name = "home";
  if (!open_user_device(dir.c_str(), &device, nullptr).ok() || !device->open(q, &port).ok())
    _exit(1);
  std::vector<char> payload(65536);
  for (;;) random_traffic(random, *port, payload.data());
}

struct Mapping {  // the control file, as everybody maps it
  Control c;
  explicit Mapping(const std::string& dir) {
    const int fd = open((dir + "/control").c_str(), O_RDONLY);
    c.base = static_cast<char*>(mmap(nullptr, arrays().end, PROT_READ, MAP_SHARED, fd, 0));
    close(fd);
  }
  ~Mapping() { munmap(c.base, arrays().end); }
  bool owned_by(uint64_t word, pid_t pid) const {
    const auto slot = static_cast<uint32_t>(word >> 52),
               gen = static_cast<uint32_t>(word >> 32) & 0xfffff;
    return word != 0 && slot < c.header().procs && c.proc(slot).gen == gen &&
           c.proc(slot).pid == static_cast<uint32_t>(pid);
  }
};

uint64_t dropped(const Port& p, Drop d) { return p.counters().drops[static_cast<unsigned>(d)]; }

// Sends the largest frames to R all the time, so that it is mostly inside R's ring.
[[noreturn]] void run_heavy(const std::string& dir) {
  std::unique_ptr<Device> device;
  std::unique_ptr<Port> port;
  OpenRequest q;
  q.name = "vale0:heavy";
  if (!open_user_device(dir.c_str(), &device, nullptr).ok() || !device->open(q, &port).ok())
    _exit(1);
  for (;;) {
    netmap_ring* r = port->tx_ring(0);
    for (int i = 0; i < 1000; i++) {
      netmap_slot& s = r->slot[r->head];
      std::memcpy(NETMAP_BUF(r, s.buf_idx), (mac(1) + mac(2)).data(), 12);
      s.len = 2000;
      r->head = r->cur = r->head + 1 == r->num_slots ? 0 : r->head + 1;
    }
    port->txsync();
  }
}

// commuting: one persistent port goes from switch to switch meanwhile.
void random_lives(bool commuting) {
  const char* given = getenv("VALE_SEED");
  const auto seed = given != nullptr ? static_cast<uint32_t>(strtoul(given, nullptr, 10))
                                     : static_cast<uint32_t>(now_ms());
  std::printf("  VALE_SEED=%u\n", seed);
  Random random(seed);
  Fixture f;
  // They keep the switches, so that their totals stay.
  std::vector<std::unique_ptr<Port>> anchors;
  for (const char* sw : kSwitches)
    anchors.push_back(f.open(std::string(sw) + ":anchor", random_geometry(random)));
  std::vector<char> payload(65536);
  OpenRequest home;
  PortInfo info;
  uint32_t index;
  home.name = "home";
  if (commuting) CHECK_OK(f.device->create(home, &info));
  home.name.clear();
  std::vector<pid_t> citizens(5);
  auto start = [&](pid_t& pid) {
    std::fflush(nullptr);
    const uint32_t s = static_cast<uint32_t>(random());
    const bool commuter = commuting && &pid == &citizens[0];
    pid = fork();
    if (pid == 0 && commuter) run_commuter(f.dir, s);
    if (pid == 0) run_citizen(f.dir, s);
  };
  for (pid_t& pid : citizens) start(pid);
  uint64_t copies = 0, looks = 0, kills = 0;
  const uint64_t end = now_ms() + 2000;
  while (now_ms() < end) {
    std::vector<SwitchRow> rows;
    CHECK_OK(f.device->switches(&rows));
    REQUIRE(rows.size() == 2);
    for (const SwitchRow& row : rows) {
      const PortCounters& t = row.totals;
      const auto open = static_cast<int64_t>(t.tx_copies - t.rx_frames - sum_of(t.drops));
      // A frame in flight may be hundreds, for a port that wants it cut.
      if (open < 0 || open > 20 * 3 * 256 * 400) CHECK_EQ(open, int64_t{0});
    }
    looks++;
    for (auto& a : anchors) random_traffic(random, *a, payload.data());
    if (pick(random, 8) == 0) {
      pid_t& victim = citizens[pick(random, 5)];
      kill(victim, SIGKILL);
      waitpid(victim, nullptr, 0);
      kills++;
      start(victim);
    }
    if (!commuting || pick(random, 3) != 0) {
      usleep(pick(random, 3000));
    } else if (home.name.empty()) {
      home.name = std::string(kSwitches[pick(random, 2)]) + ":home";
      // Who is inside may be waiting for a processor for so long that it counts as stopped.
      Status s = f.device->attach(home, &index);
      for (int tries = 0; s.err == EBUSY && tries < 100; tries++)
        s = f.device->attach(home, &index);
      CHECK_OK(s);
    } else {
      CHECK_OK(f.device->detach(home.name, &index));
      home.name.clear();
    }
  }
  if (!home.name.empty()) CHECK_OK(f.device->detach(home.name, &index));
  for (pid_t pid : citizens) kill(pid, SIGKILL);
  for (pid_t pid : citizens) waitpid(pid, nullptr, 0);

  if (commuting) CHECK_OK(f.device->remove("home"));
  std::vector<PortRow> ports;
  CHECK_OK(f.device->list(&ports));
  CHECK_EQ(ports.size(), size_t{2});
  std::vector<SwitchRow> rows;
  CHECK_OK(f.device->switches(&rows));
  REQUIRE(rows.size() == 2);
  for (size_t i = 0; i < rows.size(); i++) {
    const PortCounters& t = rows[i].totals;
    CHECK_EQ(t.tx_copies, t.rx_frames + sum_of(t.drops));
    CHECK_EQ(t.tx_delivered, t.rx_frames);
    copies += t.tx_copies;
    const PortCounters a = anchors[i]->counters();
    CHECK(a.rx_read + a.rx_gone <= a.rx_frames);
    // Only the anchor's rings hold frames. (A commuter reads on one switch what came to it on another.)
    if (!commuting)
      CHECK_EQ(t.rx_frames - t.rx_read - t.rx_gone, a.rx_frames - a.rx_read - a.rx_gone);
  }
  for (auto& a : anchors) {
    const uint64_t before = a->counters().rx_frames;
    for (unsigned i = a->first_rx(); i < a->last_rx(); i++) f.receive(*a, i);
    CHECK_EQ(a->counters().rx_read, before);
  }
  std::printf("  %llu copies, %llu looks, %llu kills\n", static_cast<unsigned long long>(copies),
              static_cast<unsigned long long>(looks), static_cast<unsigned long long>(kills));
}

}  // namespace

TEST(random_traffic_topologies_and_kills_always_add_up) { random_lives(false); }

TEST(so_they_do_while_a_persistent_port_moves_between_switches) { random_lives(true); }

TEST(a_process_stopped_inside_a_ring_stalls_only_what_is_for_that_ring) {
  Fixture f;
  auto r = f.open("vale0:r"), other = f.open("vale0:other"), s = f.open("vale0:s");
  f.send(*r, frame(kBroadcast, mac(1), 60, 0));
  f.send(*other, frame(kBroadcast, mac(5), 60, 0));
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) run_heavy(f.dir);
  const Mapping m(f.dir);
  Random random(static_cast<uint32_t>(now_ms()));
  const RxRing* ring = nullptr;
  bool inside = false;
  for (int attempt = 0; attempt < 3000 && !inside; attempt++) {
    usleep(pick(random, 2000));
    f.receive(*r);
    kill(pid, SIGSTOP);
    waitpid(pid, nullptr, WUNTRACED);
    for (uint32_t i = 0; i < m.c.header().rings_rx && !inside; i++) {
      inside = m.owned_by(m.c.rx(i).lock, pid);
      if (inside) ring = &m.c.rx(i);
    }
    if (!inside) kill(pid, SIGCONT);
  }
  REQUIRE(inside);
  REQUIRE(ring->port < m.c.header().ports && std::string(m.c.port(ring->port).name) == "r");

  // Sending to it waits once, within bounds, and is counted; the next does not wait.
  uint64_t from = now_ms();
  f.send(*s, frame(mac(1), mac(3), 60, 1));
  CHECK(now_ms() - from < 1000);
  CHECK_EQ(dropped(*s, Drop::peer_stalled), uint64_t{1});
  from = now_ms();
  for (int i = 0; i < 2000; i++) f.send(*s, frame(mac(1), mac(3), 60, 1));
  CHECK(now_ms() - from < 2000);  // 2000 waits would be a minute
  CHECK_EQ(dropped(*s, Drop::peer_stalled), uint64_t{2001});
  // Everything else works: other destinations, receiving, listing, opening, closing.
  f.receive(*other);
  for (int i = 0; i < 100; i++) {
    f.send(*s, frame(mac(5), mac(3), 60, i));
    CHECK_EQ(f.receive(*other).size(), size_t{1});
  }
  f.receive(*r);
  std::vector<PortRow> rows;
  from = now_ms();
  CHECK_OK(f.device->list(&rows));
  CHECK_EQ(rows.size(), size_t{4});
  auto fresh = f.open("vale0:fresh");
  fresh.reset();
  CHECK(now_ms() - from < 2000);

  // It goes on as if nothing had been.
  kill(pid, SIGCONT);
  const uint64_t before = r->counters().rx_frames;
  for (int i = 0; i < 5000 && r->counters().rx_frames == before; i++) {
    f.receive(*r);
    usleep(1000);
  }
  CHECK(r->counters().rx_frames > before);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  CHECK_OK(f.device->list(&rows));
  f.receive(*r);
  const uint64_t delivered = s->counters().tx_delivered;
  f.send(*s, frame(mac(1), mac(3), 60, 9));
  CHECK_EQ(s->counters().tx_delivered, delivered + 1);
  CHECK_EQ(f.receive(*r).size(), size_t{1});
  std::vector<SwitchRow> switches;
  CHECK_OK(f.device->switches(&switches));
  const PortCounters& t = switches[0].totals;
  CHECK_EQ(t.tx_copies, t.rx_frames + sum_of(t.drops));
  CHECK_EQ(t.drops[static_cast<unsigned>(Drop::peer_stalled)], uint64_t{2001});
}

TEST(a_port_closed_while_a_stopped_process_is_inside_goes_when_that_one_does) {
  for (const int end_with : {SIGCONT, SIGKILL}) {
    Fixture f;
    std::fflush(nullptr);
    const pid_t pid = fork();  // before r is open: a child that inherits its descriptor keeps it
    if (pid == 0) run_heavy(f.dir);
    auto r = f.open("vale0:r");
    std::vector<PortRow> rows;
    const Mapping m(f.dir);
    Random random(static_cast<uint32_t>(now_ms()));
    bool inside = false;
    for (int attempt = 0; attempt < 3000 && !inside; attempt++) {
      usleep(pick(random, 2000));
      f.receive(*r);
      kill(pid, SIGSTOP);
      waitpid(pid, nullptr, WUNTRACED);
      for (uint32_t i = 0; i < m.c.header().rings_rx && !inside; i++)
        inside = m.owned_by(m.c.rx(i).lock, pid);
      if (!inside) kill(pid, SIGCONT);
    }
    REQUIRE(inside);
    const uint64_t from = now_ms();
    r.reset();
    CHECK(now_ms() - from < 2000);
    r = f.open("vale0:r");
    CHECK_OK(f.device->list(&rows));
    CHECK_EQ(rows.size(), size_t{2});
    auto s = f.open("vale0:s");
    f.send(*s, frame(kBroadcast, mac(3), 60, 1));
    CHECK_EQ(f.receive(*r).size(), size_t{1});
    kill(pid, end_with);
    usleep(20'000);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    r.reset();
    s.reset();
    CHECK_OK(f.device->list(&rows));
    CHECK_EQ(rows.size(), size_t{0});
    unsigned regions = 0;
    for (const std::string& name : f.files()) regions += name[0] == 'm';
    CHECK_EQ(regions, 0u);
  }
}
