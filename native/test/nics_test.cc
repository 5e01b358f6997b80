// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Four interfaces, each the end of a veth pair, attached to one switch; whoever has the other end
//   is a host: a thread that sends numbered frames to the other three in turn as fast as it can, and one
//   that receives.
//   1. Every host says once where it is, so that the switch knows all four.
//   2. All send for VALE_SECONDS (default 3) through VALE_BACKEND (default: as vale ctl -a chooses).
//   3. Silence; then the accounts are closed, the switch's and the whole way's.
//
// Invariants. Each of the twelve flows arrives in order, no frame twice or altered, and nowhere else.
//   Every frame that is missing was counted once: by the switch (docs/design.md, "Counting exactly"), by
//   a wire that was overrun, or by a host's socket. The one exception is a veth end whose peer's queue in
//   the kernel is full: it counts a drop, and the sender may or may not hear of it and send again.
// Not here. How fast that is: the hosts share the machine's cores with what they test.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <time.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <thread>

#include "device/user.h"
#include "test/support/agents.h"
#include "test/support/check.h"
#include "test/support/switch_fixture.h"
#include "test/support/wire.h"

using namespace vale;

namespace {

constexpr uint32_t kHosts = 4, kBatch = 32;
constexpr uint32_t kShort = 60, kLong = 1514, kLongEvery = 8;
constexpr uint64_t kHellos = kHosts * (kHosts - 1);  // copies, one for each other host
constexpr uint16_t kHelloType = 0x88b6;  // IEEE 802: for local experiments, the other one
constexpr int kSocketBytes = 8 << 20;

struct Label {
  uint32_t from, to;
  uint64_t number, check;
};

uint64_t check_of(const Label& l) { return ~l.number * 0x9e3779b97f4a7c15u ^ (l.from << 8 | l.to); }
uint32_t length_of(uint64_t number) { return number % kLongEvery == 0 ? kLong : kShort; }

void write_header(uint8_t* frame, uint32_t from, uint32_t to, uint16_t type) {
  const uint8_t header[14] = {2,
                              0,
                              0,
                              0,
                              1,
                              static_cast<uint8_t>(to),
                              2,
                              0,
                              0,
                              0,
                              1,
                              static_cast<uint8_t>(from),
                              static_cast<uint8_t>(type >> 8),
                              static_cast<uint8_t>(type)};
  std::memcpy(frame, header, sizeof header);
}

class Host {
 public:
  explicit Host(uint32_t index) : index_(index) {
    const std::string name = "h" + std::to_string(index);
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(wire::kTestType);
    address.sll_ifindex = static_cast<int>(if_nametoindex(name.c_str()));
    fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    const int one = 1;
    const timeval wait = {0, 100'000};
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBytes, sizeof kSocketBytes);
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd_, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    good_ = bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Host() { close(fd_); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  bool good() const { return good_; }

  bool say_hello() {
    uint8_t frame[kShort] = {};
    write_header(frame, index_, index_, kHelloType);
    std::memset(frame, 0xff, 6);
    const bool done = ::send(fd_, frame, sizeof frame, 0) == sizeof frame;
    sent += done;
    return done;
  }

  void send(const std::atomic<bool>& stop) {
    static thread_local uint8_t frames[kBatch][kLong];
    mmsghdr messages[kBatch] = {};
    iovec parts[kBatch];
    uint64_t numbers[kHosts] = {};
    uint32_t to = index_;
    for (uint32_t i = 0; i < kBatch; i++) {
      parts[i].iov_base = frames[i];
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    while (!stop.load(std::memory_order_relaxed)) {
      for (uint32_t i = 0; i < kBatch; i++) {
        do to = (to + 1) % kHosts;
        while (to == index_);
        Label label = {index_, to, ++numbers[to], 0};
        label.check = check_of(label);
        write_header(frames[i], index_, to, wire::kTestType);
        std::memcpy(frames[i] + 14, &label, sizeof label);
        parts[i].iov_len = length_of(label.number);
      }
      for (uint32_t done = 0; done < kBatch;) {
        const int n = sendmmsg(fd_, messages + done, kBatch - done, 0);
        if (n > 0) {
          sent += static_cast<uint64_t>(n);
          done += static_cast<uint32_t>(n);
        } else {
          done++;  // the kernel would not have it: a gap, which the account does not know
        }
      }
    }
  }

  void receive(const std::atomic<bool>& stop) {
    static thread_local uint8_t frames[kBatch][kLong];
    mmsghdr messages[kBatch] = {};
    iovec parts[kBatch];
    for (uint32_t i = 0; i < kBatch; i++) {
      parts[i] = {frames[i], kLong};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    while (!stop.load(std::memory_order_relaxed)) {
      const int n = recvmmsg(fd_, messages, kBatch, MSG_WAITFORONE, nullptr);
      for (int i = 0; i < n; i++) look_at(frames[i], messages[i].msg_len);
    }
  }

  // Frames that the socket itself had no room for.
  uint64_t overrun() const {
    tpacket_stats stats = {};
    socklen_t bytes = sizeof stats;
    getsockopt(fd_, SOL_PACKET, PACKET_STATISTICS, &stats, &bytes);
    return stats.tp_drops;
  }

  std::atomic<uint64_t> sent = 0, received = 0, disordered = 0, altered = 0;

 private:
  void look_at(const uint8_t* frame, uint32_t length) {
    Label label;
    std::memcpy(&label, frame + 14, sizeof label);
    received++;
    if (label.to != index_ || label.from >= kHosts || label.check != check_of(label) ||
        length != length_of(label.number)) {
      altered++;
    } else if (label.number <= last_[label.from]) {
      disordered++;
    } else {
      last_[label.from] = label.number;
    }
  }

  const uint32_t index_;
  int fd_;
  bool good_;
  uint64_t last_[kHosts] = {};
};

struct Account {
  uint64_t sent = 0, received = 0, disordered = 0, altered = 0;
};

Account account(const std::vector<std::unique_ptr<Host>>& hosts) {
  Account a;
  for (const auto& host : hosts) {
    a.sent += host->sent;
    a.received += host->received;
    a.disordered += host->disordered;
    a.altered += host->altered;
  }
  return a;
}

uint64_t all_drops(const PortCounters& c) {
  uint64_t sum = 0;
  for (const uint64_t n : c.drops) sum += n;
  return sum;
}

unsigned long long shown(uint64_t n) { return n; }

std::string switch_end(uint32_t i) { return "n" + std::to_string(i); }

PortCounters counters_of(Device& device, const std::string& port) {
  std::vector<PortRow> rows;
  CHECK_OK(device.list(&rows));
  for (const PortRow& row : rows) {
    if (row.name == port) return row.counters;
  }
  return {};
}

void load(std::vector<std::unique_ptr<Host>>& hosts, unsigned seconds) {
  std::atomic<bool> enough = false, silent = false;
  std::vector<std::thread> senders, receivers;
  for (auto& host : hosts) receivers.emplace_back([&] { host->receive(silent); });
  for (auto& host : hosts) senders.emplace_back([&] { host->send(enough); });
  sleep(seconds);
  enough = true;
  for (auto& t : senders) t.join();
  for (uint64_t before = 0, now = 1; before != now;) {
    before = account(hosts).received;
    usleep(500'000);
    now = account(hosts).received;
  }
  silent = true;
  for (auto& t : receivers) t.join();
}

// Tells the switch where they all are; false when it does not hear of it.
bool say_hello(std::vector<std::unique_ptr<Host>>& hosts, Device& device) {
  for (auto& host : hosts) CHECK(host->say_hello());
  for (int turn = 0; turn < 500; turn++) {
    std::vector<SwitchRow> switches;
    CHECK_OK(device.switches(&switches));
    if (switches.size() == 1 && switches[0].totals.tx_delivered == kHellos) return true;
    usleep(10'000);
  }
  return false;
}

// What the veth ends whose names begin so could not hand to the other.
uint64_t veth_drops(char end) {
  std::ifstream table("/proc/thread-self/net/dev");
  uint64_t sum = 0;
  for (std::string line; std::getline(table, line);) {
    char name[16];
    unsigned long long drops;
    if (std::sscanf(line.c_str(), " %15[^:]: %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu",
                    name, &drops) == 2 &&
        name[0] == end)
      sum += drops;
  }
  return sum;
}

// Also how many frames the wires had no room for.
uint64_t check_interfaces(Device& device) {
  uint64_t overrun = 0;
  for (uint32_t i = 0; i < kHosts; i++) {
    const AgentRow agent = agents::row_of(device, "vale0:" + switch_end(i));
    const PortCounters port = counters_of(device, agent.port);
    const uint64_t lost = agent.wire.drops[static_cast<unsigned>(Drop::ring_full)];
    overrun += lost;
    CHECK(agent.alive);
    CHECK_EQ(agent.wire.rx_frames, port.tx_frames);
    CHECK_EQ(port.rx_read, port.rx_frames);
    CHECK_EQ(agent.wire.tx_copies, port.rx_read);
    std::printf(
        "  %s (%s): %llu frames from it, %llu overran it; %llu to it, %llu dropped on the way\n",
        agent.port.c_str(), agent.state.backend.c_str(), shown(port.tx_frames), shown(lost),
        shown(port.rx_frames), shown(all_drops(port)));
  }
  return overrun;
}

}  // namespace

TEST(four_interfaces_under_full_load_keep_order_and_account) {
  const char* const why_not = geteuid() == 0 ? netns::enter_as_root() : agents::enter();
  if (why_not != nullptr) SKIP(why_not);
  const char* const seconds = std::getenv("VALE_SECONDS");
  const char* const backend = std::getenv("VALE_BACKEND");
  netns::write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  Fixture f;
  std::vector<std::unique_ptr<Host>> hosts;
  for (uint32_t i = 0; i < kHosts; i++) {
    const std::string here = switch_end(i), there = "h" + std::to_string(i);
    REQUIRE(netns::run("ip link add " + here + " type veth peer name " + there +
                       " && ip link set " + here + " up && ip link set " + there + " up"));
    hosts.push_back(std::make_unique<Host>(i));
    REQUIRE(hosts.back()->good());
    AttachRequest q = agents::request("vale0:" + here);
    if (backend != nullptr) q.backend = backend;
    uint32_t index;
    const Status attached = f.device->attach(q, &index);
    CHECK_OK(attached);
    REQUIRE(attached.ok());
  }
  REQUIRE(say_hello(hosts, *f.device));
  load(hosts, seconds != nullptr ? static_cast<unsigned>(std::atoi(seconds)) : 3);

  const uint64_t wire_overrun = check_interfaces(*f.device);
  const Account a = account(hosts);
  CHECK(a.received > 1000);
  CHECK_EQ(a.disordered, 0u);
  CHECK_EQ(a.altered, 0u);
  std::vector<SwitchRow> switches;
  CHECK_OK(f.device->switches(&switches));
  REQUIRE(switches.size() == 1);
  const PortCounters& t = switches[0].totals;
  CHECK_EQ(t.tx_copies, t.tx_delivered + all_drops(t));
  CHECK_EQ(t.tx_delivered, t.rx_frames);
  CHECK_EQ(t.rx_frames, t.rx_read + t.rx_gone);
  uint64_t overrun = 0;
  for (const auto& host : hosts) overrun += host->overrun();
  const uint64_t known_in = t.tx_frames + wire_overrun, known_out = kHellos + a.received + overrun;
  CHECK(a.sent >= known_in && a.sent - known_in <= veth_drops('h'));
  CHECK(t.tx_delivered >= known_out && t.tx_delivered - known_out <= veth_drops('n'));
  std::printf(
      "  %llu sent, %llu into the switch (%llu overran wires, %llu unknown)\n"
      "  %llu copies = %llu delivered + %llu dropped\n"
      "  %llu arrived in order, %llu overran their hosts, %llu unknown\n",
      shown(a.sent), shown(t.tx_frames), shown(wire_overrun), shown(a.sent - known_in),
      shown(t.tx_copies), shown(t.tx_delivered), shown(all_drops(t)), shown(a.received),
      shown(overrun), shown(t.tx_delivered - known_out));
  for (uint32_t i = 0; i < kHosts; i++) {
    uint32_t index;
    CHECK_OK(f.device->detach("vale0:" + switch_end(i), &index));
  }
}
