// SPDX-License-Identifier: BSD-2-Clause
// What ports cost while nothing happens: how long one of --ports takes to open and what it occupies in its
// process, and the share of a processor that whoever waits at one uses. --apart: of --ports processes that
// wait at a port each, the share that all of them use.
#include "bench/ports.h"

namespace {

struct Options {
  unsigned ports;
  bool apart;
  double seconds;
};

struct Shared {
  bench::Line ready, go;
  bench::Line taken;  // ns on a processor, of all children
};

// Bytes of this process: memory of its own, files it has mapped, and what it shares with others.
struct Resident {
  double own = 0, shared = 0;
  Resident() {
    FILE* file = std::fopen("/proc/self/status", "r");
    char line[256];
    while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
      double kib = 0;
      if (std::sscanf(line, "RssAnon: %lf", &kib) == 1 ||
          std::sscanf(line, "RssFile: %lf", &kib) == 1)
        own += kib * 1024;
      if (std::sscanf(line, "RssShmem: %lf", &kib) == 1) shared += kib * 1024;
    }
    if (file != nullptr) std::fclose(file);
  }
};

std::string name_of(unsigned i) { return "valebench:idle" + std::to_string(i); }

// A receiver that spins before it sleeps, as `vale pkt-gen -f rx` does.
void wait_at(vale::Port* port, double seconds) {
  vale::PortWait wait = {port, POLLIN};
  const uint64_t stop = bench::now_ns() + static_cast<uint64_t>(seconds * 1e9);
  for (uint64_t now = bench::now_ns(); now < stop && !bench::stopped(); now = bench::now_ns()) {
    // The device sleeps at most 1 s at a time; a wait for ever is the same as many of these.
    const uint64_t left = std::min<uint64_t>((stop - now) / 1'000'000 + 1, 1000);
    vale::wait_ports(&wait, 1, static_cast<int>(left), bench::kSpin, -1);
  }
}

void in_one_process(const Options& o) {
  std::unique_ptr<vale::Device> device;
  std::string directory;
  vale::Status status = vale::open_user_device(nullptr, &device, &directory);
  std::vector<std::unique_ptr<vale::Port>> ports(o.ports);
  std::vector<double> opening;
  // What only the first port of a process causes is no port's own.
  std::unique_ptr<vale::Port> first;
  vale::OpenRequest request;
  request.name = "valebench:first";
  if (status.ok()) status = device->open(request, &first);
  const Resident before;
  for (unsigned i = 0; i < o.ports && status.ok(); i++) {
    request.name = name_of(i);
    const uint64_t start = bench::now_ns();
    status = device->open(request, &ports[i]);
    opening.push_back(static_cast<double>(bench::now_ns() - start) * 1e-9);
  }
  if (!status.ok()) bench::die(1, "%s", status.text.c_str());
  const Resident after;
  std::sort(opening.begin(), opening.end());

  bench::Window window;
  window.open(0);
  wait_at(ports.front().get(), o.seconds);
  window.close();
  bench::Json()
      .text("tool", "idle")
      .whole("ports", o.ports)
      .real("seconds", window.seconds())
      .real("cpuShare", window.own_share())
      .real("open", opening[opening.size() / 2])
      .real("openMost", opening.back())
      .real("memory", (after.own - before.own) / o.ports)
      .real("sharedMemory", (after.shared - before.shared) / o.ports)
      .print();
}

void in_processes(const Options& o) {
  Shared* s = bench::shared<Shared>();
  std::vector<pid_t> children;
  const pid_t parent = getpid();
  for (unsigned i = 0; i < o.ports; i++) {
    children.push_back(fork());
    if (children.back() < 0) bench::die(1, "cannot fork: %s", std::strerror(errno));
    if (children.back() != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    bench::End end;
    end.open(name_of(i).c_str());
    s->ready.value++;
    while (s->go.value.load() == 0 && !bench::stopped()) wait_at(end.port.get(), 0.1);
    const uint64_t start = bench::cpu_ns();
    wait_at(end.port.get(), o.seconds);
    s->taken.value += bench::cpu_ns() - start;
    std::exit(0);
  }
  while (s->ready.value.load() != o.ports && !bench::stopped()) usleep(1000);
  s->go.value.store(1);
  signal(SIGCHLD, SIG_DFL);  // from now on ends are expected
  for (const pid_t child : children) bench::join_peer(child);
  bench::Json()
      .text("tool", "idle")
      .whole("ports", o.ports)
      .real("seconds", o.seconds)
      .real("cpuShare", static_cast<double>(s->taken.value.load()) * 1e-9 / o.seconds)
      .print();
}

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  Options o;
  o.ports = args.whole("ports", 1, 1, 250);
  o.apart = args.flag("apart");
  o.seconds = args.number("seconds", 3, 0.01, 60);
  args.done();
  bench::stop_on_signals();
  if (o.apart) {
    in_processes(o);
  } else {
    in_one_process(o);
  }
}
