// SPDX-License-Identifier: BSD-2-Clause
// Frames a second from one virtual machine to another through whatever serves two vhost-user sockets, --a
// and --b, without a machine: this process is both machines' and both drivers', on one processor, never
// waits and asks for no interrupts. Buffers are written once and used again. --pieces 2: each frame's header has
// a buffer of its own. --processes, with commas, are the switch: what they spend of a processor is counted a frame.
#include "bench/measure.h"
#include "offload/vnet_header.h"
#include "test/support/vhost_master.h"

namespace {

using master::Driver;
using vale::vhost::kNext;
using vale::vhost::UsedElement;

constexpr uint32_t kQueue = 1024;
constexpr uint32_t kFarAway = 0x8000;  // from where a queue is: no interrupt is wanted before

struct Options {
  std::string sockets[2];
  std::vector<pid_t> processes;
  unsigned size, batch, pieces;
  double seconds;
};

master::Options like_a_guest() {
  master::Options options;
  options.queue_size = kQueue;
  options.rx_buffer = bench::kStride;
  options.memory = 16 << 20;
  return options;
}

class Guest {
 public:
  Guest(const std::string& socket, unsigned self, const Options& o) : master_(like_a_guest()) {
    if (!master_.meet(socket)) bench::die(1, "%s: nobody serves this socket", socket.c_str());
    Driver& tx = master_.tx();
    const uint32_t header_bytes = master_.header_bytes();
    tx.free.clear();
    for (uint16_t i = 0; i < kQueue; i = static_cast<uint16_t>(i + o.pieces)) {
      const uint64_t at = tx.buffers + uint64_t{i} * bench::kStride;
      char* frame = master_.memory + at;
      std::memset(frame, 0, header_bytes);
      frame += header_bytes;
      std::memset(frame, 0x5a, o.size);
      // 02:00:00:00:00:01 and :02, of a protocol for experiments
      const char header[14] = {2,    0,  0, 0, 0, static_cast<char>(2 - self),
                               2,    0,  0, 0, 0, static_cast<char>(1 + self),
                               -120, -75};
      std::memcpy(frame, header, sizeof header);
      const uint64_t guest = master_.guest(at);
      if (o.pieces == 1) {
        tx.descriptors[i] = {guest, header_bytes + o.size, 0, 0};
      } else {
        const uint16_t second = static_cast<uint16_t>(i + 1);
        tx.descriptors[i] = {guest, header_bytes, kNext, second};
        tx.descriptors[second] = {guest + header_bytes, o.size, 0, 0};
      }
      tx.free.push_back(i);
    }
    bytes_ = header_bytes + o.size;
    master_.refill();
  }

  // How many the queue took.
  unsigned send(unsigned most) {
    Driver& q = master_.tx();
    reclaim(q);
    const unsigned n = std::min<unsigned>(most, static_cast<unsigned>(q.free.size()));
    if (n == 0) return 0;
    for (unsigned i = 0; i < n; i++) {
      q.available->ring[(q.next + i) % kQueue] = q.free.back();
      q.free.pop_back();
    }
    publish(q, n);
    return n;
  }

  unsigned receive() {
    Driver& q = master_.rx();
    const uint16_t used = __atomic_load_n(&q.used->index, __ATOMIC_ACQUIRE);
    unsigned frames = 0;
    for (; q.seen != used; q.seen++, frames++) {
      const UsedElement element = q.used->ring[q.seen % kQueue];
      if (element.bytes != bytes_) odd_++;
      q.available->ring[(q.next + frames) % kQueue] = static_cast<uint16_t>(element.id);
    }
    if (frames != 0) publish(q, frames);
    return frames;
  }
  uint64_t odd() const { return odd_; }

 private:
  void reclaim(Driver& q) {
    const uint16_t used = __atomic_load_n(&q.used->index, __ATOMIC_ACQUIRE);
    for (; q.seen != used; q.seen++)
      q.free.push_back(static_cast<uint16_t>(q.used->ring[q.seen % kQueue].id));
  }
  void publish(Driver& q, unsigned n) {
    const uint16_t before = q.next;
    q.next = static_cast<uint16_t>(q.next + n);
    q.available->ring[kQueue] = static_cast<uint16_t>(q.seen + kFarAway);
    __atomic_store_n(&q.available->index, q.next, __ATOMIC_SEQ_CST);
    const uint16_t event =
        __atomic_load_n(reinterpret_cast<const uint16_t*>(&q.used->ring[kQueue]), __ATOMIC_SEQ_CST);
    if (static_cast<uint16_t>(q.next - event - 1) < static_cast<uint16_t>(q.next - before))
      q.ring_bell();
  }

  master::Master master_;
  uint32_t bytes_ = 0;
  uint64_t odd_ = 0;
};

uint64_t spent(const Options& o) {
  uint64_t sum = 0;
  for (const pid_t process : o.processes) {
    const uint64_t one = bench::cpu_ns(process);
    if (one == 0) bench::die(1, "process %d is gone", process);
    sum += one;
  }
  return sum;
}

// Until the switch knows where the second is, and carries what the first sends.
void introduce(Guest* a, Guest* b) {
  const uint64_t limit = bench::now_ns() + 10'000'000'000;
  for (unsigned arrived = 0; arrived == 0;) {
    if (bench::now_ns() > limit || bench::stopped()) bench::die(1, "no frame gets through");
    b->send(1);
    a->send(1);
    usleep(20'000);
    a->receive();
    arrived = b->receive();
  }
}

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  Options o;
  o.sockets[0] = args.word("a", "");
  o.sockets[1] = args.word("b", "");
  std::string processes = args.word("processes", "");
  o.size = args.whole("size", 60, 60, 1514);
  o.batch = args.whole("batch", 64, 1, kQueue);
  o.pieces = args.whole("pieces", 1, 1, 2);
  o.seconds = args.number("seconds", 0.4, 0.01, 60);
  args.done();
  if (o.sockets[0].empty() || o.sockets[1].empty()) bench::die(2, "--a and --b: two sockets");
  for (char* at = processes.data(); *at != '\0'; at += *at == ',') {
    const long process = std::strtol(at, &at, 10);
    if (process <= 0 || (*at != ',' && *at != '\0'))
      bench::die(2, "--processes %s: not process ids with commas", processes.c_str());
    o.processes.push_back(static_cast<pid_t>(process));
  }
  bench::stop_on_signals();
  bench::pin(0);

  Guest a(o.sockets[0], 0, o), b(o.sockets[1], 1, o);
  introduce(&a, &b);
  uint64_t sent = 0, received = 0, spent_before = 0;
  bench::Window window;
  const uint64_t start = bench::now_ns() + bench::kWarmUp;
  const uint64_t stop = start + static_cast<uint64_t>(o.seconds * 1e9);
  for (uint64_t now = 0; now < stop && !bench::stopped(); now = bench::now_ns()) {
    if (!window.opened() && now >= start) {
      sent = received = 0;
      spent_before = spent(o);
      window.open(0);
    }
    for (unsigned i = 0; i < 16; i++) {
      sent += a.send(o.batch);
      received += b.receive();
      a.receive();
    }
  }
  window.close();
  const uint64_t used = spent(o) - spent_before;
  if (received == 0) bench::die(1, "no frame got through");
  if (b.odd() != 0) bench::die(1, "frames arrived with a wrong length");
  bench::Json json;
  json.text("tool", "vhost").whole("size", o.size).rate(received, o.size, window);
  json.whole("offered", sent).whole("dropped", sent > received ? sent - received : 0);
  if (!o.processes.empty())
    json.real("switchPerFrame", static_cast<double>(used) * 1e-9 / static_cast<double>(received));
  json.print();
}
