// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. soak SMALL LARGE: SMALL frames of 60 to 2048 bytes, then LARGE frames of 60 to 65536 bytes, from
//   three sending processes to one receiver that checks every byte of every frame:
//   1. A frame says who sent it, its number and its length; its payload is a slice of one random table.
//   2. The receiver wants each sender's numbers to rise; what is missing must be in a drop counter.
//   3. Phases end when that many frames were checked; then the account is closed.
//
// Owns. A runtime directory of its own under /dev/shm, and its children.
// Invariants. Exit 1 on any frame lost without a counter, repeated, altered or out of order.
// Not here. How fast that is (switch.cc).
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "device/user.h"
#include "device/wait.h"

namespace {

using namespace vale;

constexpr uint32_t kSenders = 3, kTable = 1u << 20, kLargest = 65536;
constexpr uint32_t kHeader = 14 + 4 + 8 + 4;
constexpr uint64_t kAhead = 2000;  // frames a sender may be ahead before it lets others run
const unsigned char kReceiver[6] = {2, 0, 0, 0, 0, 100};

struct Board {
  std::atomic<bool> stop;
  std::atomic<uint64_t> sent[kSenders], next[kSenders];
};

struct Phase {
  uint64_t frames;
  uint32_t largest;
};

uint64_t mix(uint64_t x) {
  x = (x ^ x >> 31) * 0x9e3779b97f4a7c15u;
  return x ^ x >> 29;
}

uint32_t length_of(const Phase& phase, uint32_t who, uint64_t number) {
  return 60 + static_cast<uint32_t>(mix(number * kSenders + who) % (phase.largest - 60 + 1));
}

// The payload of a frame: where in the table it begins.
uint32_t slice_of(uint32_t who, uint64_t number) {
  return static_cast<uint32_t>(mix(number * 7 + who + 1) % (kTable - kLargest));
}

void write_header(char* to, uint32_t who, uint64_t number, uint32_t length) {
  const unsigned char source[8] = {2, 0, 0, 0, 1, static_cast<unsigned char>(who), 0x88, 0xb5};
  std::memcpy(to, kReceiver, 6);
  std::memcpy(to + 6, source, 8);
  std::memcpy(to + 14, &who, 4);
  std::memcpy(to + 18, &number, 8);
  std::memcpy(to + 26, &length, 4);
}

[[noreturn]] void die(const Status& s) {
  std::fprintf(stderr, "soak: %s\n", s.text.c_str());
  _exit(1);
}

// One frame onto the ring; false when there is no room for it.
bool put(netmap_ring* r, const char* table, uint32_t who, uint64_t number, uint32_t length) {
  const uint32_t room = (r->tail + r->num_slots - r->head) % r->num_slots;
  if ((length + r->nr_buf_size - 1) / r->nr_buf_size > room) return false;
  const char* payload = table + slice_of(who, number);
  uint32_t head = r->head;
  for (uint32_t at = 0; at < length;) {
    netmap_slot& slot = r->slot[head];
    char* to = NETMAP_BUF(r, slot.buf_idx);
    const uint32_t part = std::min(length - at, r->nr_buf_size);
    std::memcpy(to, payload + at, part);
    if (at == 0) write_header(to, who, number, length);
    at += part;
    slot.len = static_cast<uint16_t>(part);
    slot.flags = at < length ? NS_MOREFRAG : 0;
    head = head + 1 == r->num_slots ? 0 : head + 1;
  }
  r->head = r->cur = head;
  return true;
}

[[noreturn]] void run_sender(const std::string& dir, const Phase& phase, const char* table,
                             uint32_t who, Board* board) {
  std::unique_ptr<Device> device;
  std::unique_ptr<Port> port;
  OpenRequest q;
  q.name = "vale0:s" + std::to_string(who);
  if (Status s = open_user_device(dir.c_str(), &device, nullptr); !s.ok()) die(s);
  if (Status s = device->open(q, &port); !s.ok()) die(s);
  netmap_ring* r = port->tx_ring(0);
  uint64_t number = 0;
  while (!board->stop.load(std::memory_order_relaxed)) {
    for (int burst = 0; burst < 256 && put(r, table, who, number, length_of(phase, who, number));
         burst++)
      number++;
    port->txsync();
    board->sent[who].store(number, std::memory_order_relaxed);
    // Let the receiver catch up a little; what it cannot hold is dropped, and must then be counted.
    if (number - board->next[who].load(std::memory_order_relaxed) > kAhead) usleep(100);
  }
  port.reset();
  device.reset();
  _exit(0);
}

struct Faults {
  uint64_t altered = 0, disordered = 0, uncounted = 0;
};

class Receiver {
 public:
  Receiver(Port& port, const Phase& phase, const char* table, Board* board)
      : ring_(port.rx_ring(0)), phase_(phase), table_(table), board_(board) {}

  // Checks what has arrived.
  void take(Faults* faults) {
    uint32_t head = ring_->head;
    while (head != ring_->tail) {
      const netmap_slot& first = ring_->slot[head];
      const char* p = NETMAP_BUF(ring_, first.buf_idx);
      uint32_t who, length;
      uint64_t number;
      std::memcpy(&who, p + 14, 4);
      std::memcpy(&number, p + 18, 8);
      std::memcpy(&length, p + 26, 4);
      bool good =
          who < kSenders && first.len >= kHeader && length == length_of(phase_, who, number);
      char header[kHeader];
      write_header(header, who, number, length);
      good = good && std::memcmp(p, header, kHeader) == 0;
      const char* payload = table_ + (good ? slice_of(who, number) : 0);
      uint32_t at = 0, flags;
      do {
        const netmap_slot& slot = ring_->slot[head];
        const uint32_t skip = at == 0 ? kHeader : 0;
        good = good && at + slot.len <= length && slot.len >= skip &&
               std::memcmp(NETMAP_BUF(ring_, slot.buf_idx) + skip, payload + at + skip,
                           slot.len - skip) == 0;
        at += slot.len;
        flags = slot.flags;
        head = head + 1 == ring_->num_slots ? 0 : head + 1;
      } while (flags & NS_MOREFRAG);
      checked_++;
      bytes_ += at;
      if (!good || at != length) {
        faults->altered++;
        continue;
      }
      if (number < next_[who]) faults->disordered++;
      next_[who] = number + 1;
    }
    ring_->head = ring_->cur = head;
    for (uint32_t i = 0; i < kSenders; i++)
      board_->next[i].store(next_[i], std::memory_order_relaxed);
  }
  uint64_t checked() const { return checked_; }
  uint64_t bytes() const { return bytes_; }

 private:
  netmap_ring* ring_;
  const Phase& phase_;
  const char* table_;
  Board* board_;
  uint64_t next_[kSenders] = {}, checked_ = 0, bytes_ = 0;
};

double now() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<double>(ts.tv_sec) + static_cast<double>(ts.tv_nsec) * 1e-9;
}

// Runs one phase; false when any frame was wrong.
bool run(const std::string& dir, const Phase& phase, const char* table) {
  void* shared =
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* board = static_cast<Board*>(shared);
  std::fflush(nullptr);
  pid_t senders[kSenders];
  std::unique_ptr<Device> device;
  std::unique_ptr<Port> port;
  OpenRequest q;
  q.name = "vale0:r";
  q.rx_slots = 4096;
  for (uint32_t i = 0; i < kSenders; i++) {
    senders[i] = fork();
    if (senders[i] == 0) run_sender(dir, phase, table, i, board);
  }
  if (Status s = open_user_device(dir.c_str(), &device, nullptr); !s.ok()) die(s);
  if (Status s = device->open(q, &port); !s.ok()) die(s);
  if (Status s = device->fdb_add(q.name, kReceiver); !s.ok()) die(s);

  Faults faults;
  Receiver receiver(*port, phase, table, board);
  PortWait wait{port.get(), POLLIN};
  const double start = now();
  double report = start + 5;
  while (receiver.checked() < phase.frames && faults.altered + faults.disordered == 0) {
    wait_ports(&wait, 1, 1000, 20, -1);
    receiver.take(&faults);
    if (now() >= report) {
      report += 5;
      std::fprintf(stderr, "soak: %llu of %llu frames\n",
                   static_cast<unsigned long long>(receiver.checked()),
                   static_cast<unsigned long long>(phase.frames));
    }
  }
  board->stop = true;
  for (pid_t pid : senders) {
    int status = 0;
    waitpid(pid, &status, 0);
    if (status != 0) faults.uncounted++;
  }
  const double seconds = now() - start;
  do {
    port->rxsync();
    receiver.take(&faults);
    port->rxsync();
  } while (port->rx_ring(0)->head != port->rx_ring(0)->tail);

  std::vector<SwitchRow> rows;
  if (Status s = device->switches(&rows); !s.ok()) die(s);
  const PortCounters& t = rows[0].totals;
  uint64_t sent = 0, dropped = 0;
  for (auto& n : board->sent) sent += n.load();
  for (uint64_t d : t.drops) dropped += d;
  // Every frame was taken, and is either here or in a drop counter. What a sender flooded before this
  // port was there counts as a copy to each of the others.
  if (t.tx_frames != sent || t.tx_copies != t.rx_frames + dropped ||
      port->counters().rx_frames != receiver.checked()) {
    faults.uncounted++;
  }
  munmap(shared, sizeof(Board));
  std::printf(
      "%llu frames of 60 to %u bytes checked in %.1f s (%.2f Mpps, %.1f Gbit/s), %llu dropped and "
      "counted, "
      "%llu altered, %llu out of order or twice, account %s\n",
      static_cast<unsigned long long>(receiver.checked()), phase.largest, seconds,
      static_cast<double>(receiver.checked()) / seconds / 1e6,
      static_cast<double>(receiver.bytes()) * 8 / seconds / 1e9,
      static_cast<unsigned long long>(dropped), static_cast<unsigned long long>(faults.altered),
      static_cast<unsigned long long>(faults.disordered),
      faults.uncounted == 0 ? "closed" : "OPEN");
  return faults.altered + faults.disordered + faults.uncounted == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t small = argc > 1 ? strtoull(argv[1], nullptr, 10) : 1'000'000;
  const uint64_t large = argc > 2 ? strtoull(argv[2], nullptr, 10) : 10'000;
  char name[] = "/dev/shm/vale-soak-XXXXXX";
  if (mkdtemp(name) == nullptr) {
    std::perror("soak: /dev/shm");
    return 1;
  }
  std::vector<char> table(kTable);
  for (uint32_t i = 0; i < kTable; i++) table[i] = static_cast<char>(mix(i) >> 24);
  bool good = true;
  for (const Phase& phase : {Phase{small, 2048}, Phase{large, kLargest}})
    good = good && run(name, phase, table.data());
  const std::string command = std::string("rm -rf ") + name;
  if (std::system(command.c_str()) != 0) good = false;
  return good ? 0 : 1;
}
