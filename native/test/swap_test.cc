// SPDX-License-Identifier: BSD-2-Clause
// Zero-copy monitors: they get the very buffers, everybody keeps as many as before, and no death loses
// one. VALE_KILLS sets how many processes die in the last test (default 60).
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <random>
#include <set>

#include "device/wait.h"
#include "shm/region.h"
#include "support/check.h"
#include "support/child.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

OpenRequest zero_copy(uint32_t slots = 0) {
  OpenRequest q;
  q.flags = NR_ZCOPY_MON;
  q.rx_slots = slots;
  return q;
}

using Frames = std::vector<std::string>;

// Every buffer in use is named by one slot or list of extra buffers, and each slot names one.
void check_buffers(const std::string& dir, const std::string& port_name) {
  std::shared_ptr<Runtime> rt;
  CHECK_OK(Runtime::join(dir.c_str(), &rt));
  DirLock lock;
  CHECK_OK(lock.acquire(rt->directory, "a test"));
  const Control& c = rt->control();
  uint32_t region = 0, gen = 0;
  for (uint32_t i = 0; i < c.header().ports; i++) {
    if (c.port(i).state == State::live && port_name == c.port(i).name) {
      region = c.port(i).region;
      gen = c.port(i).region_gen;
    }
  }
  REQUIRE(gen != 0);
  char* base = rt->mapper->region(region, gen);
  std::multiset<uint32_t> named;
  const auto ring = [&](uint64_t offset) {
    if (offset == 0) return;
    const auto* r = reinterpret_cast<const netmap_ring*>(base + offset);
    for (uint32_t i = 0; i < r->num_slots; i++) named.insert(r->slot[i].buf_idx);
  };
  for (uint32_t i = 0; i < c.header().ports; i++) {
    const PortRec& p = c.port(i);
    if (p.state == State::free || p.region != region || p.region_gen != gen || !p.rings_up)
      continue;
    CHECK(p.kind == Kind::port || p.kind == Kind::monitor);
    for (uint32_t k = 0; k < p.tx_count; k++) ring(c.tx(p.tx_base + k).ring_ofs);
    for (uint32_t k = 0; k < p.rx_count; k++) ring(c.rx(p.rx_base + k).ring_ofs);
  }
  BufferMap map;
  CHECK_OK(map.open(*rt, region));
  CHECK_EQ(named.size(), size_t{c.region(region).buf_total - 2 - map.available()});
  CHECK_EQ(std::set<uint32_t>(named.begin(), named.end()).size(), named.size());
  CHECK(*named.begin() >= 2);
}

std::vector<uint32_t> indices(const netmap_ring* r) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < r->num_slots; i++) out.push_back(r->slot[i].buf_idx);
  return out;
}

}  // namespace

TEST(a_monitor_gets_the_buffers_themselves) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  auto z = f.open("vale0:a", zero_copy());
  CHECK_EQ(z->info().name, "vale0:a/z#0");
  CHECK_EQ(z->info().mem_id, a->info().mem_id);
  const auto sent_from = indices(a->tx_ring(0)), received_in = indices(a->rx_ring(0));
  const auto spare = indices(z->rx_ring(0));
  const std::string one = frame(mac(2), mac(1), 60, 1), two = frame(mac(1), mac(2), 1000, 2);
  f.send(*a, one);
  CHECK_EQ(f.receive(*b), Frames{one});
  z->rxsync();
  const netmap_ring* r = z->rx_ring(0);
  CHECK_EQ(r->tail, 1u);
  CHECK_EQ(r->slot[0].buf_idx, sent_from[0]);
  CHECK_EQ(r->slot[0].flags, NS_TXMON);
  CHECK_EQ(a->tx_ring(0)->slot[0].buf_idx, spare[0]);
  CHECK_EQ(a->tx_ring(0)->slot[0].flags & NS_BUF_CHANGED, NS_BUF_CHANGED);
  // What arrives is seen once its receiver has released it.
  f.send(*b, two);
  a->rxsync();
  z->rxsync();
  CHECK_EQ(r->tail, 1u);
  CHECK_EQ(f.receive(*a), Frames{two});
  z->rxsync();
  CHECK_EQ(r->tail, 2u);
  CHECK_EQ(r->slot[1].buf_idx, received_in[0]);
  CHECK_EQ(r->slot[1].flags & NS_TXMON, 0);
  CHECK_EQ(f.receive(*z), (Frames{one, two}));
  CHECK_EQ(z->counters().rx_frames, 2u);
  CHECK_EQ(z->counters().rx_read, 2u);
  check_buffers(f.dir, "a");
  for (uint32_t i = 0; i < 5000; i++) {
    const std::string s = frame(mac(2), mac(1), 60 + i % 1400, i);
    f.send(*a, s);
    CHECK_EQ(f.receive(*b), Frames{s});
    CHECK_EQ(f.receive(*z), Frames{s});
  }
  check_buffers(f.dir, "a");
  // The parent goes: what was seen stays, then it is over.
  f.send(*a, one);
  a.reset();
  CHECK_EQ(z->rxsync(), 0);
  CHECK_EQ(f.receive(*z), Frames{one});
  CHECK_EQ(z->rxsync(), EPIPE);
  z.reset();
  a = f.open("vale0:a");
  check_buffers(f.dir, "a");
}

TEST(fragments_and_a_full_ring) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  auto z = f.open("vale0:a", zero_copy(16));
  Frames all;
  for (uint32_t i = 0; i < 30; i++) {
    all.push_back(frame(mac(2), mac(1), i % 2 ? 60 : 5000, i));
    f.put(*a, all.back());
  }
  a->txsync();
  CHECK_EQ(f.receive(*b), all);
  const Frames seen = f.receive(*z);
  CHECK(!seen.empty());
  CHECK_EQ(seen, Frames(all.end() - static_cast<long>(seen.size()), all.end()));
  CHECK_EQ(z->counters().drops[unsigned(Drop::ring_full)], all.size() - seen.size());
  check_buffers(f.dir, "a");
}

TEST(a_chain_of_monitors) {
  Fixture f;
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  auto first = f.open("vale0:a", zero_copy()), second = f.open("vale0:a", zero_copy());
  OpenRequest copies;
  copies.flags = NR_MONITOR_TX;
  auto copy = f.open("vale0:a", copies);
  const std::string one = frame(mac(2), mac(1), 60, 1), two = frame(mac(2), mac(1), 70, 2);
  f.send(*a, one);
  CHECK_EQ(f.receive(*copy), Frames{one});
  CHECK(f.receive(*second).empty());
  CHECK_EQ(f.receive(*first), Frames{one});
  second->rxsync();
  CHECK_EQ(second->rx_ring(0)->slot[0].flags & NS_TXMON, NS_TXMON);
  CHECK_EQ(f.receive(*second), Frames{one});
  check_buffers(f.dir, "a");
  first.reset();
  f.send(*a, two);
  CHECK_EQ(f.receive(*second), Frames{two});
  check_buffers(f.dir, "a");
}

TEST(pipes_are_watched_when_slots_come_back) {
  Fixture f;
  OpenRequest small;
  small.tx_slots = small.rx_slots = 8;
  auto m = f.open("vale0:p{1", small), s = f.open("vale0:p}1");
  auto at_m = f.open("vale0:p{1", zero_copy()), at_s = f.open("vale0:p}1", zero_copy());
  Frames sent, seen_at_m, seen_at_s, received;
  const auto append = [](Frames& to, const Frames& more) {
    to.insert(to.end(), more.begin(), more.end());
  };
  for (uint32_t i = 0; i < 100; i++) {
    sent.push_back(frame(mac(2), mac(1), 60 + i, i));
    f.send(*m, sent.back());
    append(received, f.receive(*s));
    append(seen_at_s, f.receive(*at_s));
    append(seen_at_m, f.receive(*at_m));
  }
  CHECK_EQ(received, sent);
  CHECK_EQ(seen_at_s, sent);
  // Its own slots: each when the sender syncs again. The receiver's monitor took those buffers.
  m->txsync();
  append(seen_at_m, f.receive(*at_m));
  CHECK_EQ(seen_at_m.size(), sent.size());
  at_s.reset();
  for (uint32_t i = 0; i < 100; i++) {
    f.send(*m, sent[i]);
    CHECK_EQ(f.receive(*s), Frames{sent[i]});
    m->txsync();
    CHECK_EQ(f.receive(*at_m), Frames{sent[i]});
  }
}

TEST(what_cannot_be_watched_so_is_refused) {
  Fixture f;
  CHECK_EQ(opening(*f.device, "vale0:a", zero_copy()).err, EINVAL);
  auto a = f.open("vale0:a"), b = f.open("vale0:b");
  OpenRequest q = zero_copy();
  q.mem_id = b->info().mem_id;
  CHECK_EQ(opening(*f.device, "vale0:a", q).err, EINVAL);
  q.mem_id = a->info().mem_id;
  CHECK_EQ(opening(*f.device, "vale0:a", q).err, 0);
  q.offsets = Offsets{};
  CHECK_EQ(opening(*f.device, "vale0:a", q).err, EOPNOTSUPP);
  // As many as the memory has rings for.
  std::vector<std::unique_ptr<Port>> all;
  for (int err = 0; err == 0;) {
    std::unique_ptr<Port> port;
    q = zero_copy();
    q.name = "vale0:a";
    err = f.device->open(q, &port).err;
    if (err == 0) {
      all.push_back(std::move(port));
    } else {
      CHECK_EQ(err, ENOMEM);
    }
  }
  CHECK(all.size() >= 8);
  check_buffers(f.dir, "a");
  all.clear();
  check_buffers(f.dir, "a");
}

namespace {

struct Board {
  std::atomic<uint64_t> sent, received, seen, wrong;
};

std::unique_ptr<Port> open_here(const std::string& dir, const char* name, uint64_t flags,
                                std::unique_ptr<Device>* device) {
  OpenRequest q;
  q.name = name;
  q.flags = flags;
  q.tx_slots = q.rx_slots = 64;
  return open_in_child(dir, q, device);
}

[[noreturn]] void run_sender(const std::string& dir, Board* b) {
  std::unique_ptr<Device> device;
  auto port = open_here(dir, "vale0:a", 0, &device);
  netmap_ring* r = port->tx_ring(0);
  for (uint64_t number = 1;; number++) {
    for (uint64_t burst = 1 + number % 47; burst > 0 && r->head != r->tail; burst--) {
      netmap_slot& slot = r->slot[r->head];
      char* p = NETMAP_BUF(r, slot.buf_idx);
      std::memcpy(p, (mac(2) + mac(1)).data(), 12);
      for (size_t i = 2; i < 8; i++) std::memcpy(p + 8 * i, &number, sizeof number);
      slot.len = 64;
      slot.flags = 0;
      r->cur = r->head = r->head + 1 == r->num_slots ? 0 : r->head + 1;
    }
    port->txsync();
    b->sent++;
    // The receiver lives on what is sent here; let it have a processor.
    if (number % 8 == 0) sched_yield();
  }
}

[[noreturn]] void run_receiver(const std::string& dir, const char* name, uint64_t flags, Board* b) {
  std::unique_ptr<Device> device;
  auto port = open_here(dir, name, flags, &device);
  PortWait wait{port.get(), POLLIN};
  netmap_ring* r = port->rx_ring(0);
  for (;;) {
    wait_ports(&wait, 1, 1000, 0, -1);
    while (r->head != r->tail) {
      const netmap_slot& slot = r->slot[r->head];
      uint64_t number[8];
      std::memcpy(number, NETMAP_BUF(r, slot.buf_idx), sizeof number);
      if (slot.len != 64 || number[2] != number[7] || number[3] != number[6]) b->wrong++;
      (flags == 0 ? b->received : b->seen)++;
      r->cur = r->head = r->head + 1 == r->num_slots ? 0 : r->head + 1;
    }
    port->rxsync();
  }
}

}  // namespace

TEST(no_death_loses_a_buffer) {
  Fixture f;
  { auto warm = f.open("vale0:warm"); }
  const auto files = f.files();
  void* m = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* b = static_cast<Board*>(m);
  // Both ports live as long as this one.
  const pid_t holder = spawn([&] {
    std::unique_ptr<Device> device, other;
    auto keep = open_here(f.dir, "vale0:a", 0, &device);
    auto also = open_here(f.dir, "vale0:b", 0, &other);
    for (;;) pause();
  });
  std::vector<PortRow> rows;
  for (int i = 0; i < 5000 && rows.size() < 2; i++) {
    usleep(1000);
    CHECK_OK(f.device->list(&rows));
  }
  const uint64_t both = NR_MONITOR_TX | NR_MONITOR_RX;
  const auto start = [&](int who) {
    return spawn([&] {
      switch (who) {
        case 0:
          run_sender(f.dir, b);
        case 1:
          run_receiver(f.dir, "vale0:b", 0, b);
        case 2:
          run_receiver(f.dir, "vale0:a", NR_ZCOPY_MON, b);
        case 3:
        case 4:
          run_receiver(f.dir, "vale0:b", NR_ZCOPY_MON, b);
        default:
          run_receiver(f.dir, "vale0:b", both, b);
      }
    });
  };
  pid_t pids[6];
  for (int i = 0; i < 6; i++) pids[i] = start(i);
  const char* v = getenv("VALE_KILLS");
  const int kills = v != nullptr ? atoi(v) : 60;
  std::mt19937 random(static_cast<unsigned>(getpid()));
  for (int k = 0; k < kills; k++) {
    const uint64_t sent = b->sent, received = b->received, seen = b->seen;
    for (int i = 0; i < 5000 && (b->sent == sent || b->received == received || b->seen == seen);
         i++)
      usleep(1000);
    REQUIRE(b->sent != sent && b->received != received && b->seen != seen);
    usleep(std::uniform_int_distribution<useconds_t>(0, 5000)(random));
    // Whoever swaps dies most often.
    const int who = static_cast<int>(random() % 9);
    pid_t& victim = pids[who < 6 ? who : who % 2];
    const int role = who < 6 ? who : who % 2;
    end(victim);
    CHECK_OK(f.device->list(&rows));
    victim = start(role);
    if (k % 10 != 9) continue;
    // All at rest: every buffer is where it belongs.
    for (const pid_t pid : pids) kill(pid, SIGKILL);
    for (const pid_t pid : pids) waitpid(pid, nullptr, 0);
    CHECK_OK(f.device->list(&rows));
    CHECK_EQ(rows.size(), size_t{2});
    check_buffers(f.dir, "a");
    check_buffers(f.dir, "b");
    for (int i = 0; i < 6; i++) pids[i] = start(i);
  }
  for (const pid_t pid : pids) end(pid);
  CHECK_EQ(b->wrong.load(), uint64_t{0});
  std::printf("  %d kills, %llu received, %llu seen\n", kills,
              static_cast<unsigned long long>(b->received),
              static_cast<unsigned long long>(b->seen));
  end(holder);
  CHECK_OK(f.device->list(&rows));
  CHECK(rows.empty());
  CHECK_EQ(f.files(), files);
  munmap(m, sizeof(Board));
}
