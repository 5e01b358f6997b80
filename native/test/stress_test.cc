// SPDX-License-Identifier: BSD-2-Clause
// Everything at once in one process over one Runtime, so that ThreadSanitizer sees all of it: senders,
// receivers, a station that moves, ports that come and go, listings. VALE_STRESS_MS sets how long
// (default 3000).
#include <poll.h>
#include <time.h>

#include <atomic>
#include <random>
#include <thread>

#include "device/wait.h"
#include "support/check.h"
#include "support/switch_fixture.h"

using namespace vale;

namespace {

constexpr uint32_t kSenders = 4, kReceivers = 4;
constexpr uint32_t kEverybody = ~0u;

uint64_t now_ms() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1000 + static_cast<uint64_t>(ts.tv_nsec) / 1000000;
}

uint64_t stress_ms() {
  const char* v = getenv("VALE_STRESS_MS");
  return v != nullptr ? strtoull(v, nullptr, 10) : 3000;
}

using Random = std::minstd_rand;
uint32_t pick(Random& random, uint32_t n) { return static_cast<uint32_t>(random() % n); }

std::string receiver_mac(uint32_t i) { return mac(100 + i); }
const std::string kNomad = mac(300);  // the address of the station that moves

// A frame that says who sent it, to whom, and which of the sender's frames it is.
std::string numbered(uint32_t who, uint32_t to, uint64_t number) {
  const size_t size = number % 50 == 0 ? 3000 + number % 4000 : 60 + number % 240;
  std::string s = frame(to == kEverybody ? kBroadcast : receiver_mac(to), mac(200 + who), size,
                        number * 31 + who);
  std::memcpy(s.data() + 14, &who, 4);
  std::memcpy(s.data() + 18, &to, 4);
  std::memcpy(s.data() + 22, &number, 8);
  return s;
}

struct Faults {
  std::atomic<uint64_t> order{0}, bytes{0}, invariant{0}, calls{0};
  std::atomic<int64_t> worst{0};
};

void run_sender(Fixture& f, Port& port, uint32_t who, const std::atomic<bool>& stop,
                uint64_t* sent) {
  Random random(who + 1);
  uint64_t number = 0;
  while (!stop) {
    const uint32_t burst = 1 + pick(random, 40);
    uint32_t to = pick(random, kReceivers);
    for (uint32_t i = 0; i < burst; i++) {
      if (pick(random, 4) == 0) to = pick(random, kReceivers);
      const uint32_t kind = pick(random, 64);
      if (kind == 0) {
        f.put(port, numbered(who, kEverybody, number++), 0, NS_NO_LEARN);
      } else if (kind == 1) {
        f.put(port, frame(kNomad, mac(200 + who), 60, 0));
        number++;
      } else {
        f.put(port, numbered(who, to, number++));
      }
      const netmap_ring* r = port.tx_ring(0);
      if ((r->tail + r->num_slots - r->head) % r->num_slots < 8) break;
    }
    port.txsync();
    if (pick(random, 8) == 0) std::this_thread::yield();
  }
  *sent = number;
}

void check_frame(const std::string& s, uint32_t me, uint64_t* next, Faults* faults) {
  uint32_t who, to;
  uint64_t number;
  std::memcpy(&who, s.data() + 14, 4);
  std::memcpy(&to, s.data() + 18, 4);
  std::memcpy(&number, s.data() + 22, 8);
  if (s.size() < 60) {
    faults->bytes++;
    return;
  }
  const std::string target = s.substr(0, 6), source = s.substr(6, 6);
  if (target == kNomad || source == kNomad) return;
  if (who >= kSenders || (to != kEverybody && to != me)) return;  // flooded, or from a passing port
  if (s != numbered(who, to, number)) faults->bytes++;
  if (number < next[who]) faults->order++;
  next[who] = number + 1;
}

void run_receiver(Fixture& f, Port& port, uint32_t me, const std::atomic<bool>& stop,
                  Faults* faults, uint64_t* got) {
  uint64_t next[kSenders] = {};
  PortWait wait{&port, POLLIN};
  for (;;) {
    const bool last = stop;
    wait_ports(&wait, 1, 20, me % 2 == 0 ? 30 : 0, -1);
    const auto frames = f.receive(port);
    for (const std::string& s : frames) check_frame(s, me, next, faults);
    *got += frames.size();
    if (last && frames.empty()) return;
  }
}

// Two ports of one station take turns.
void run_nomad(Fixture& f, const std::atomic<bool>& stop) {
  auto here = f.open("vale0:nomad1"), there = f.open("vale0:nomad2");
  for (uint32_t i = 0; !stop; i++) {
    f.send(i % 2 == 0 ? *here : *there, frame(kBroadcast, kNomad, 60, i));
    f.receive(i % 2 == 0 ? *there : *here);
    if (i % 16 == 0) usleep(100);
  }
}

// Ports that come and go: of this switch, of others, other registrations of busy ports, persistent ones.
void run_traveller(Fixture& f, const std::atomic<bool>& stop, Faults* faults) {
  Random random(99);
  for (uint32_t i = 0; !stop; i++) {
    OpenRequest q;
    q.tx_slots = q.rx_slots = 16 + pick(random, 100);
    q.tx_rings = static_cast<uint16_t>(1 + pick(random, 3));
    q.rx_rings = static_cast<uint16_t>(1 + pick(random, 3));
    auto passing = f.open("vale0:x" + std::to_string(pick(random, 3)), q);
    auto other = f.open("vale" + std::to_string(1 + pick(random, 3)) + ":y", q);
    auto again = f.open("vale0:r" + std::to_string(pick(random, kReceivers)));
    f.send(*passing, frame(receiver_mac(0), mac(400 + pick(random, 8)), 60, i));
    f.send(*passing, frame(kBroadcast, mac(400), 60, i));
    f.receive(*passing);
    f.send(*other, frame(kBroadcast, mac(401), 60, i));
    q.name = "persist";
    PortInfo info;
    uint32_t index;
    if (!f.device->create(q, &info).ok()) faults->calls++;
    q.name = "vale0:persist";
    if (!f.device->attach(q, &index).ok()) faults->calls++;
    if (!f.device->detach("vale0:persist", &index).ok()) faults->calls++;
    if (!f.device->remove("persist").ok()) faults->calls++;
    usleep(200);
  }
}

// At every instant: 0 <= copies - delivered - drops <= copies in flight.
void run_observer(Fixture& f, const std::atomic<bool>& stop, Faults* faults, uint64_t* looks) {
  const int64_t bound = int64_t{16} * 256 * 16;  // tx rings x frames of a batch x ports
  while (!stop) {
    std::vector<SwitchRow> rows;
    std::vector<PortRow> ports;
    std::vector<FdbRow> fdb;
    if (!f.device->switches(&rows).ok() || !f.device->list(&ports).ok() ||

        (*looks % 16 == 0 && !f.device->fdb_show("vale0", &fdb).ok()))
      faults->calls++;
    for (const SwitchRow& row : rows) {
      const PortCounters& t = row.totals;
      int64_t open = static_cast<int64_t>(t.tx_copies - t.rx_frames);
      for (uint64_t d : t.drops) open -= static_cast<int64_t>(d);
      if (open < 0 || open > bound) {
        faults->invariant++;
        faults->worst = open;
      }
    }
    for (const PortRow& row : ports) {
      if (row.counters.rx_read + row.counters.rx_gone > row.counters.rx_frames) faults->invariant++;
    }
    (*looks)++;
  }
}

}  // namespace

TEST(everything_at_once) {
  Fixture f;
  Faults faults;
  std::atomic<bool> stop{false}, stop_receivers{false};
  std::vector<std::unique_ptr<Port>> senders, receivers;
  for (uint32_t i = 0; i < kReceivers; i++)
    receivers.push_back(f.open("vale0:r" + std::to_string(i)));
  for (uint32_t i = 0; i < kSenders; i++) senders.push_back(f.open("vale0:s" + std::to_string(i)));
  for (uint32_t i = 0; i < kReceivers; i++) {
    CHECK_OK(f.device->fdb_add("vale0:r" + std::to_string(i),
                               reinterpret_cast<const uint8_t*>(receiver_mac(i).data())));
  }
  uint64_t sent[kSenders] = {}, got[kReceivers] = {}, looks = 0;
  std::vector<std::thread> receiving, sending;
  for (uint32_t i = 0; i < kReceivers; i++) {
    receiving.emplace_back(
        [&, i] { run_receiver(f, *receivers[i], i, stop_receivers, &faults, &got[i]); });
  }
  for (uint32_t i = 0; i < kSenders; i++) {
    sending.emplace_back([&, i] { run_sender(f, *senders[i], i, stop, &sent[i]); });
  }
  sending.emplace_back([&] { run_nomad(f, stop); });
  sending.emplace_back([&] { run_traveller(f, stop, &faults); });
  sending.emplace_back([&] { run_observer(f, stop, &faults, &looks); });
  const uint64_t end = now_ms() + stress_ms();
  while (now_ms() < end) usleep(10'000);
  stop = true;
  for (std::thread& t : sending) t.join();
  stop_receivers = true;
  for (std::thread& t : receiving) t.join();

  CHECK_EQ(faults.order.load(), uint64_t{0});
  CHECK_EQ(faults.bytes.load(), uint64_t{0});
  CHECK_EQ(faults.invariant.load(), uint64_t{0});
  CHECK_EQ(faults.worst.load(), int64_t{0});
  CHECK_EQ(faults.calls.load(), uint64_t{0});
  CHECK(looks > 3);
  uint64_t all = 0;
  for (uint32_t i = 0; i < kSenders; i++) CHECK_EQ(senders[i]->counters().tx_frames, sent[i]);
  for (uint32_t i = 0; i < kReceivers; i++) {
    const PortCounters n = receivers[i]->counters();
    CHECK_EQ(n.rx_frames, got[i]);
    CHECK_EQ(n.rx_read, got[i]);
    CHECK(got[i] > 0);
    all += got[i];
  }
  senders.clear();  // what was flooded to them they never read: `gone`
  std::vector<SwitchRow> rows;
  CHECK_OK(f.device->switches(&rows));
  REQUIRE(rows.size() == 1);
  const PortCounters& t = rows[0].totals;
  uint64_t drops = 0;
  for (uint64_t d : t.drops) drops += d;
  CHECK_EQ(t.tx_copies, t.rx_frames + drops);
  CHECK_EQ(t.tx_delivered, t.rx_frames);
  CHECK_EQ(t.rx_frames, t.rx_read + t.rx_gone);
  std::printf("  %llu copies, %llu checked, %llu dropped, %llu looks\n",
              static_cast<unsigned long long>(t.tx_copies), static_cast<unsigned long long>(all),
              static_cast<unsigned long long>(drops), static_cast<unsigned long long>(looks));
}
