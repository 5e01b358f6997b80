// SPDX-License-Identifier: BSD-2-Clause
// What unmodified programs get. This program knows /dev/netmap and libpcap only; it starts itself again
// with the preload library in front of libc.
//   --what netmap   a sender and a receiver as two processes, by ioctl and, with --receiver poll, poll(2)
//   --what filter   the same sender; the receiver is libpcap with the filter "udp port 53"
//   --what foreign  a write(2) that is none of the library's business, and the same one past it
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "abi/netmap.h"
#include "abi/netmap_control.h"
#include "bench/measure.h"

namespace {

using bench::Line;

struct Shared {
  Line turn;
  Line opened[2];
  Line received;  // frames
  Line end;
};

struct Client {
  int fd = -1;
  netmap_if* nifp = nullptr;
  void open(const char* name) {
    fd = ::open("/dev/netmap", O_RDWR);
    if (fd < 0) bench::die(1, "/dev/netmap: %s", std::strerror(errno));
    nmreq_register reg = {};
    reg.nr_mode = NR_REG_ALL_NIC;
    nmreq_header header = {};
    header.nr_version = NETMAP_API;
    header.nr_reqtype = NETMAP_REQ_REGISTER;
    header.nr_body = reinterpret_cast<uint64_t>(&reg);
    std::snprintf(header.nr_name, sizeof header.nr_name, "%s", name);
    if (ioctl(fd, NIOCCTRL, &header) != 0) bench::die(1, "%s: %s", name, std::strerror(errno));
    void* memory = mmap(nullptr, reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) bench::die(1, "mmap: %s", std::strerror(errno));
    nifp = NETMAP_IF(memory, reg.nr_offset);
  }
  netmap_ring* tx() const { return NETMAP_TXRING(nifp, 0); }
  netmap_ring* rx() const { return NETMAP_RXRING(nifp, 0); }
};

// A UDP datagram from port 1234 to 53, broadcast: the filter looks at all that it can, and keeps it.
void write_frame(char* at, unsigned size) {
  std::memset(at, 0, size);
  const unsigned char head[36] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,  0, 0, 0, 0,   1,
                                  8,    0,    0x45, 0,    0,    46,   0,  0, 0, 0, 64,  17,
                                  0,    0,    10,   0,    0,    1,    10, 0, 0, 2, 0x4, 0xd2};
  std::memcpy(at, head, sizeof head);
  at[37] = 53;
}

struct Options {
  std::string what;
  unsigned size, batch;
  double seconds;
  bool poll;
};

void receive_frames(const Options& o, Shared* s, Client& client) {
  uint64_t received = 0;
  while (s->end.value.load(std::memory_order_relaxed) == 0 && !bench::stopped()) {
    if (o.poll) {
      pollfd p = {client.fd, POLLIN, 0};
      poll(&p, 1, 50);
    } else {
      ioctl(client.fd, NIOCRXSYNC, nullptr);
    }
    netmap_ring* ring = client.rx();
    uint64_t bytes = 0;
    unsigned frames = 0, at = ring->head;
    for (; at != ring->tail; at = at + 1 == ring->num_slots ? 0 : at + 1) {
      bytes += ring->slot[at].len;
      frames++;
    }
    ring->head = ring->cur = at;
    if (bytes != uint64_t{frames} * o.size) bench::die(1, "frames arrived with a wrong length");
    received += frames;
    s->received.value.store(received, std::memory_order_relaxed);
  }
}

struct Pcap {
  void* (*open_live)(const char*, int, int, int, char*);
  int (*compile)(void*, void*, const char*, int, uint32_t);
  int (*setfilter)(void*, void*);
  int (*dispatch)(void*, int, void (*)(unsigned char*, const void*, const unsigned char*),
                  unsigned char*);
  template <class F>
  static void find(const char* name, F* out) {
    *out = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
    if (*out == nullptr) bench::die(1, "%s: not found; is libpcap installed?", name);
  }
  Pcap() {
    dlopen("libpcap.so.0.8", RTLD_NOW | RTLD_GLOBAL);
    find("pcap_open_live", &open_live);
    find("pcap_compile", &compile);
    find("pcap_setfilter", &setfilter);
    find("pcap_dispatch", &dispatch);
  }
};

void filter_frames(Shared* s, const Pcap& pcap, void* handle) {
  uint64_t received = 0;
  while (s->end.value.load(std::memory_order_relaxed) == 0 && !bench::stopped()) {
    pcap.dispatch(
        handle, -1,
        [](unsigned char* user, const void*, const unsigned char*) {
          ++*reinterpret_cast<uint64_t*>(user);
        },
        reinterpret_cast<unsigned char*>(&received));
    s->received.value.store(received, std::memory_order_relaxed);
  }
}

[[noreturn]] void receiver(const Options& o, Shared* s) {
  Client client;
  void* handle = nullptr;
  const Pcap* pcap = nullptr;
  if (o.what == "filter") {
    pcap = new Pcap;
    char error[256] = "";
    struct {
      unsigned count;
      void* code;
    } program;
    handle = pcap->open_live("valebench:rx", 65535, 0, 10, error);
    if (handle == nullptr) bench::die(1, "%s", error);
    if (pcap->compile(handle, &program, "udp port 53", 1, ~0u) != 0 ||
        pcap->setfilter(handle, &program) != 0)
      bench::die(1, "the filter cannot be set");
  } else {
    client.open("valebench:rx");
  }
  s->opened[1].value.store(1);
  bench::answer_round_trips(&s->turn);
  if (pcap != nullptr) {
    filter_frames(s, *pcap, handle);
  } else {
    receive_frames(o, s, client);
  }
  bench::answer_round_trips(&s->turn);
  std::exit(0);
}

void two_programs(const Options& o) {
  Shared* s = bench::shared<Shared>();
  const pid_t child = bench::fork_peer();
  if (child == 0) receiver(o, s);
  Client client;
  client.open("valebench:tx");
  netmap_ring* ring = client.tx();
  for (unsigned i = 0; i < ring->num_slots; i++) {
    ring->slot[i].len = static_cast<uint16_t>(o.size);
    write_frame(NETMAP_BUF(ring, ring->slot[i].buf_idx), o.size);
  }
  while (s->opened[1].value.load() == 0 && !bench::stopped()) bench::relax();
  const double before = bench::round_trip(&s->turn);
  bench::Window window;
  uint64_t sent = 0, seen = 0;
  const uint64_t start = bench::now_ns() + bench::kWarmUp;
  const uint64_t stop = start + static_cast<uint64_t>(o.seconds * 1e9);
  for (uint64_t now = 0; now < stop && !bench::stopped(); now = bench::now_ns()) {
    if (!window.opened() && now >= start) {
      sent = 0;
      seen = s->received.value.load(std::memory_order_relaxed);
      window.open(child);
    }
    for (unsigned i = 0; i < 64; i++) {
      ring->head = ring->cur = (ring->head + o.batch) % ring->num_slots;
      if (ioctl(client.fd, NIOCTXSYNC, nullptr) != 0) bench::die(1, "NIOCTXSYNC failed");
      sent += o.batch;
    }
  }
  const uint64_t received = s->received.value.load(std::memory_order_relaxed) - seen;
  window.close();
  s->end.value.store(1);
  const double after = bench::round_trip(&s->turn);
  bench::join_peer(child);
  bench::Json json;
  json.text("tool", "preload").text("what", o.what).whole("size", o.size).whole("batch", o.batch);
  json.rate(received, o.size, window).whole("offered", sent);
  json.real("roundTripBefore", before).real("roundTripAfter", after).print();
}

// One byte into /dev/null, through libc's symbol (the library's) and past it, in turns.
void foreign(const Options& o) {
  using Write = ssize_t (*)(int, const void*, size_t);
  const auto through = reinterpret_cast<Write>(dlsym(RTLD_DEFAULT, "write"));
  const auto past = reinterpret_cast<Write>(dlsym(dlopen("libc.so.6", RTLD_NOW), "write"));
  if (through == past) bench::die(1, "the library is not in front of libc");
  bench::pin(0);
  const int fd = open("/dev/null", O_WRONLY);
  Client port;  // from now on there is something to tell apart
  port.open("valebench:x");
  constexpr unsigned kCalls = 20000;
  std::vector<double> calls[2];
  const uint64_t stop = bench::now_ns() + static_cast<uint64_t>(o.seconds * 1e9);
  for (unsigned turn = 0; bench::now_ns() < stop || turn % 2 != 0; turn++) {
    const Write call = turn % 2 == 0 ? through : past;
    const uint64_t start = bench::now_ns();
    for (unsigned i = 0; i < kCalls; i++) {
      if (call(fd, "x", 1) != 1) bench::die(1, "write failed");
    }
    calls[turn % 2].push_back(static_cast<double>(bench::now_ns() - start) * 1e-9 / kCalls);
  }
  for (auto& one : calls) std::sort(one.begin(), one.end());
  bench::Json json;
  json.text("tool", "preload").text("what", o.what);
  json.real("perCall", calls[0][calls[0].size() / 2]);
  json.real("floorPerCall", calls[1][calls[1].size() / 2]).print();
}

// Beside the folder of this program.
void start_again(char** argv) {
  const char* list = getenv("LD_PRELOAD");
  if (list != nullptr && std::strstr(list, "libvale-preload.so") != nullptr) return;
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
  if (n <= 0) bench::die(1, "/proc/self/exe: %s", std::strerror(errno));
  path[n] = 0;
  for (int i = 0; i < 2; i++) *std::strrchr(path, '/') = 0;
  const std::string library = std::string(path) + "/libvale-preload.so";
  if (access(library.c_str(), R_OK) != 0) bench::die(1, "%s: not built", library.c_str());
  setenv("LD_PRELOAD", library.c_str(), 1);
  execv("/proc/self/exe", argv);
  bench::die(1, "cannot start again: %s", std::strerror(errno));
}

}  // namespace

int main(int argc, char** argv) {
  start_again(argv);
  bench::Args args(argc, argv);
  Options o;
  o.what = args.word("what", "netmap");
  o.size = args.whole("size", 60, 60, 2048);
  o.batch = args.whole("batch", 256, 1, 1023);
  o.seconds = args.number("seconds", 0.4, 0.01, 60);
  o.poll = args.word("receiver", "busy") == "poll";
  args.done();
  bench::stop_on_signals();
  if (o.what == "foreign") {
    foreign(o);
  } else if (o.what == "netmap" || o.what == "filter") {
    two_programs(o);
  } else {
    bench::die(2, "--what %s: not one of netmap, filter, foreign", o.what.c_str());
  }
}
