// SPDX-License-Identifier: BSD-2-Clause
// A client of vde_switch, for comparison: sends 60-byte (--size) frames to the switch at --switch and
// counts what comes back at a second port. Either one process that does both in turns on the first
// processor (the switch has the other), or, with --apart, two that share both with the switch. Who can
// neither send nor receive sleeps: one that asks again and again keeps the switch from its own sockets.
// The protocol: a stream socket DIR/ctl takes a request that names our datagram socket and answers
// with the switch's; then a datagram is a frame (vde2, libvdeplug; version 3).
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bench/ports.h"

namespace {

constexpr unsigned kBurst = 32;

struct [[gnu::packed]] Request {
  uint32_t magic, version, type;
  sockaddr_un ours;
  char description[16];
};

class Plug {
 public:
  Plug(const std::string& directory, unsigned index, unsigned size) : size_(size) {
    control_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un at = {};
    at.sun_family = AF_UNIX;
    std::snprintf(at.sun_path, sizeof at.sun_path, "%s/ctl", directory.c_str());
    if (connect(control_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0)
      bench::die(1, "%s: %s", at.sun_path, std::strerror(errno));
    Request request = {0xfeedface, 3, 0, {}, "bench"};
    request.ours.sun_family = AF_UNIX;
    std::snprintf(request.ours.sun_path, sizeof request.ours.sun_path, "%s/bench.%u.%d",
                  directory.c_str(), index, getpid());
    data_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const sockaddr_un ours = request.ours;
    sockaddr_un theirs = {};
    if (bind(data_, reinterpret_cast<const sockaddr*>(&ours), sizeof ours) != 0 ||
        ::send(control_, &request, sizeof request, 0) < 0 ||
        recv(control_, &theirs, sizeof theirs, 0) <= 0 ||
        connect(data_, reinterpret_cast<sockaddr*>(&theirs), sizeof theirs) != 0)
      bench::die(1, "vde_switch: %s", std::strerror(errno));
    unlink(ours.sun_path);
    for (unsigned i = 0; i < kBurst; i++) {
      bench::write_frame(frames_[i], index, size);
      vectors_[i] = {frames_[i], sizeof frames_[i]};
      messages_[i].msg_hdr.msg_iov = &vectors_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }
  // How many the switch's socket had room for.
  unsigned send(unsigned n) {
    for (unsigned i = 0; i < n; i++) vectors_[i].iov_len = size_;
    const int sent = sendmmsg(data_, messages_, n, MSG_DONTWAIT);
    return sent < 0 ? 0 : static_cast<unsigned>(sent);
  }
  int socket() const { return data_; }
  // How many there were.
  unsigned receive() {
    for (unsigned i = 0; i < kBurst; i++) vectors_[i].iov_len = sizeof frames_[i];
    const int got = recvmmsg(data_, messages_, kBurst, MSG_DONTWAIT, nullptr);
    return got < 0 ? 0 : static_cast<unsigned>(got);
  }

 private:
  unsigned size_;
  int control_, data_;
  mmsghdr messages_[kBurst] = {};
  iovec vectors_[kBurst] = {};
  char frames_[kBurst][bench::kStride];
};

// Until the one can send again, or there is something at the other; at most 50 ms. Either may be missing.
void rest(const Plug* sender, const Plug* receiver) {
  pollfd wait_for[] = {{sender ? sender->socket() : -1, POLLOUT, 0},
                       {receiver ? receiver->socket() : -1, POLLIN, 0}};
  poll(wait_for, 2, 50);
}

struct Shared {
  bench::Line received, ready, end;
};

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  const std::string directory = args.word("switch", "");
  const unsigned size = args.whole("size", 60, 60, bench::kStride);
  const double seconds = args.number("seconds", 0.4, 0.01, 60);
  const bool apart = args.flag("apart");
  args.done();
  if (directory.empty()) bench::die(2, "--switch DIR: the directory of vde_switch's sockets");
  bench::stop_on_signals();

  Shared* s = bench::shared<Shared>();
  pid_t child = 0;
  if (apart) {
    const pid_t parent = getpid();
    child = fork();
    if (child < 0) bench::die(1, "cannot fork: %s", std::strerror(errno));
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      Plug plug(directory, 1, size);
      plug.send(1);
      s->ready.value.store(1);
      uint64_t received = 0;
      while (s->end.value.load() == 0 && !bench::stopped()) {
        const unsigned got = plug.receive();
        if (got == 0) rest(nullptr, &plug);
        received += got;
        s->received.value.store(received);
      }
      _exit(0);
    }
    while (s->ready.value.load() == 0 && !bench::stopped()) usleep(1000);
  } else {
    bench::pin(0);
  }
  Plug sender(directory, 0, size);
  sender.send(1);
  std::unique_ptr<Plug> sink;
  if (!apart) {
    sink = std::make_unique<Plug>(directory, 1, size);
    sink->send(1);
  }
  usleep(20'000);  // both are learned
  uint64_t sent = 0, received = 0;
  const auto turn = [&] {
    const unsigned out = sender.send(kBurst), in = sink ? sink->receive() : 0;
    sent += out;
    received += in;
    sender.receive();
    if (out + in == 0) rest(&sender, sink.get());
  };
  bench::Window window;
  for (const uint64_t warm = bench::now_ns() + bench::kWarmUp; bench::now_ns() < warm;) turn();
  sent = received = 0;
  const uint64_t seen = s->received.value.load();
  window.open(child);
  const uint64_t stop = bench::now_ns() + static_cast<uint64_t>(seconds * 1e9);
  while (bench::now_ns() < stop && !bench::stopped()) turn();
  if (apart) received = s->received.value.load() - seen;
  window.close();
  s->end.value.store(1);
  if (apart) bench::join_peer(child);
  bench::Json().text("tool", "vde").whole("size", size).rate(received, size, window).print();
}
