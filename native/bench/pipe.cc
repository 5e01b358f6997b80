// SPDX-License-Identifier: BSD-2-Clause
// How many frames a second pass a pipe, whose frames are descriptors alone: two processes on two
// processors, or both ends in lockstep in one process (--one-core). --limit measures what no pipe can
// exceed instead: one producer copies 16-byte slots from a ring of its own into the consumer's and
// publishes the tail; nothing is locked, validated or counted.
#include "bench/ports.h"

namespace {

using bench::kSlots;
using bench::Line;

typedef long long SlotWord __attribute__((vector_size(16)));

struct Shared {
  Line turn;  // round trip
  Line opened;
  Line received;
  Line end;         // sender: 1 = nothing follows
  Line head, tail;  // --limit
  alignas(4096) SlotWord slots[kSlots];
};

struct Options {
  unsigned size, batch;
  double seconds;
  bool limit;
};

// A whole batch as soon as there is room for it. Returns how many frames went.
class PipeSender {
 public:
  PipeSender(const bench::End& end, unsigned size) : sender_(end, 0, size), end_(end) {}
  unsigned send(unsigned batch) {
    const netmap_ring* r = end_.tx();
    const unsigned room = (r->tail + r->num_slots - r->head) % r->num_slots;
    if (room < batch) {
      end_.port->txsync();
      return 0;
    }
    return sender_.send(batch);
  }

 private:
  bench::Sender sender_;
  const bench::End& end_;
};

class LimitSender {
 public:
  LimitSender(Shared* s, unsigned size) : s_(s) {
    for (unsigned i = 0; i < kSlots; i++) {
      const netmap_slot slot = {i + 2, static_cast<uint16_t>(size), 0, 0};
      std::memcpy(&own_[i], &slot, sizeof slot);
    }
  }
  unsigned send(unsigned batch) {
    if (tail_ + batch - head_ > kSlots) {
      head_ = s_->head.value.load(std::memory_order_acquire);
      if (tail_ + batch - head_ > kSlots) return 0;
    }
    for (unsigned i = 0; i < batch; i++) {
      const unsigned at = static_cast<unsigned>((tail_ + i) % kSlots);
      if ((at & 3) == 0) bench::prefetch_for_write(&s_->slots[(at + 32) % kSlots]);
      s_->slots[at] = own_[at];
    }
    tail_ += batch;
    s_->tail.value.store(tail_, std::memory_order_release);
    return batch;
  }

 private:
  Shared* s_;
  uint64_t tail_ = 0, head_ = 0;
  alignas(4096) SlotWord own_[kSlots];
};

class LimitReceiver {
 public:
  explicit LimitReceiver(Shared* s) : s_(s) {}
  unsigned take() {
    const uint64_t tail = s_->tail.value.load(std::memory_order_acquire);
    const auto frames = static_cast<unsigned>(tail - head_);
    for (; head_ != tail; head_++) {
      netmap_slot slot;
      std::memcpy(&slot, &s_->slots[head_ % kSlots], sizeof slot);
      bytes_ += slot.len;
    }
    s_->head.value.store(head_, std::memory_order_release);
    return frames;
  }
  uint64_t bytes() const { return bytes_; }

 private:
  Shared* s_;
  uint64_t head_ = 0, bytes_ = 0;
};

[[noreturn]] void receive(const Options& o, Shared* s) {
  bench::End end;
  if (!o.limit) end.open("valebench:p}1");
  s->opened.value.store(1);
  bench::answer_round_trips(&s->turn);
  uint64_t received = 0, bytes = 0;
  const auto loop = [&](auto&& take) {
    while (s->end.value.load(std::memory_order_relaxed) == 0 && !bench::stopped()) {
      const unsigned frames = take();
      if (frames == 0) continue;
      received += frames;
      s->received.value.store(received, std::memory_order_relaxed);
    }
  };
  if (o.limit) {
    LimitReceiver receiver(s);
    loop([&] { return receiver.take(); });
    bytes = receiver.bytes();
  } else {
    bench::Receiver receiver(end);
    loop([&] { return bench::receive(&receiver, bench::Waiting::busy); });
    bytes = receiver.bytes();
  }
  bench::answer_round_trips(&s->turn);
  if (bytes != received * o.size) bench::die(1, "frames arrived with a wrong length");
  std::exit(0);
}

template <class Sender>
void two_cores(const Options& o, Shared* s, pid_t child, Sender& sender) {
  while (s->opened.value.load() == 0 && !bench::stopped()) bench::relax();
  const double before = bench::round_trip(&s->turn);
  bench::Window window;
  uint64_t seen = 0;
  const uint64_t start = bench::now_ns() + bench::kWarmUp;
  const uint64_t stop = start + static_cast<uint64_t>(o.seconds * 1e9);
  for (uint64_t now = 0; now < stop && !bench::stopped(); now = bench::now_ns()) {
    if (!window.opened() && now >= start) {
      seen = s->received.value.load(std::memory_order_relaxed);
      window.open(child);
    }
    for (unsigned i = 0; i < 64; i++) sender.send(o.batch);
  }
  const uint64_t received = s->received.value.load(std::memory_order_relaxed) - seen;
  window.close();
  s->end.value.store(1);
  const double after = bench::round_trip(&s->turn);
  bench::join_peer(child);
  bench::Json json;
  json.text("tool", o.limit ? "slots" : "pipe").whole("size", o.size).whole("batch", o.batch);
  json.whole("cores", 2).rate(received, o.size, window);
  json.real("roundTripBefore", before).real("roundTripAfter", after).print();
}

// The syncs alone: the sender's buffers stay as they are, the receiver reads none of its slots.
void one_core(const Options& o) {
  bench::pin(0);
  bench::End a, b;
  a.open("valebench:p{1");
  b.open("valebench:p}1");
  bench::Sender sender(a, 0, o.size);
  netmap_ring* rx = b.rx();
  uint64_t frames = 0;
  const auto turns = [&](unsigned n) {
    for (unsigned i = 0; i < n; i++) {
      const unsigned sent = sender.send(o.batch);
      b.port->rxsync();
      const unsigned arrived = (rx->tail + rx->num_slots - rx->head) % rx->num_slots;
      if (arrived != sent) bench::die(1, "%u frames of %u arrived", arrived, sent);
      frames += arrived;
      rx->head = rx->cur = rx->tail;
      b.port->rxsync();
    }
  };
  for (const uint64_t end = bench::now_ns() + bench::kWarmUp; bench::now_ns() < end;) turns(64);
  frames = 0;
  bench::Window window;
  window.open(0);
  const uint64_t end = bench::now_ns() + static_cast<uint64_t>(o.seconds * 1e9);
  while (bench::now_ns() < end && !bench::stopped()) turns(64);
  window.close();
  bench::Json json;
  json.text("tool", "pipe").whole("size", o.size).whole("batch", o.batch).whole("cores", 1);
  json.rate(frames, o.size, window)
      .real("secondsPerFrame", window.seconds() / static_cast<double>(frames))
      .print();
}

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  Options o;
  o.size = args.whole("size", 60, 14, bench::kStride);
  o.batch = args.whole("batch", 512, 1, bench::kSlots / 2);
  o.seconds = args.number("seconds", 0.4, 0.01, 60);
  o.limit = args.flag("limit");
  const bool single = args.flag("one-core");
  args.done();
  if (o.limit && single) bench::die(2, "--limit needs two processors");
  bench::stop_on_signals();
  if (single) {
    one_core(o);
    return 0;
  }
  Shared* s = bench::shared<Shared>();
  const pid_t child = bench::fork_peer();
  if (child == 0) receive(o, s);
  if (o.limit) {
    LimitSender sender(s, o.size);
    two_cores(o, s, child, sender);
  } else {
    bench::End end;
    end.open("valebench:p{1");
    PipeSender sender(end, o.size);
    two_cores(o, s, child, sender);
  }
}
