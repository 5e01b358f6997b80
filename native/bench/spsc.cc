// SPDX-License-Identifier: BSD-2-Clause
// The limit of handing over frames: one producer copies each payload into the consumer's buffer and
// writes its 16-byte slot; nothing is classified, locked, counted or validated. Split as the switch
// does it: the payloads of a chunk, then its slots, then one release store of the tail. The consumer
// reads slots only (--headers: and the header of each frame) and returns the head once per look. When it
// finds nothing it looks away for a moment (--rest), so that the producer gets a few lines ahead: at its
// heels it is slower, and a limit should be the best there is.
#include "abi/netmap.h"
#include "bench/measure.h"

namespace {

using bench::kSlots;
using bench::kStride;

typedef long long SlotWord __attribute__((vector_size(16)));

struct Shared {
  bench::Line turn;      // round trip
  bench::Line head;      // consumer: first slot it has not read
  bench::Line tail;      // producer: first slot not yet published
  bench::Line received;  // consumer: frames
  bench::Line bytes;     // consumer: sum of the lengths, so that slots must really be read
  bench::Line seen;      // consumer: of the headers, if it reads them
  bench::Line end;       // producer: 1 = nothing follows
  alignas(4096) SlotWord slots[kSlots];
  alignas(4096) char source[kSlots][kStride];
  alignas(4096) char target[kSlots][kStride];
};

struct Producer {
  Shared* s;
  uint64_t tail = 0, head = 0;

  // Room for n slots, as far as known without asking the consumer again.
  bool room(unsigned n) const { return tail + n - head <= kSlots; }

  template <unsigned kSize>
  void publish(unsigned n, unsigned size) {
    const unsigned first = static_cast<unsigned>(tail % kSlots);
    // The consumer has these lines; they travel while the payloads are copied.
    for (unsigned i = 0; i < n; i += 4) bench::prefetch_for_write(&s->slots[(first + i) % kSlots]);
    for (unsigned i = 0; i < n; i++) {
      const unsigned at = (first + i) % kSlots;
      std::memcpy(s->target[at], s->source[at], kSize != 0 ? kSize : size);
    }
    for (unsigned i = 0; i < n; i++) {
      const unsigned at = (first + i) % kSlots;
      const netmap_slot slot = {at + 2, static_cast<uint16_t>(size), 0, 0};
      SlotWord word;
      std::memcpy(&word, &slot, sizeof word);
      s->slots[at] = word;
    }
    tail += n;
    s->tail.value.store(tail, std::memory_order_release);
  }
};

struct Consumer {
  Shared* s;
  bool headers = false;
  unsigned rest = 0;  // pauses
  uint64_t head = 0, bytes = 0, seen = 0;

  // Reads everything published; false when there was nothing.
  bool take() { return headers ? take_as<true>() : take_as<false>(); }

  template <bool kHeaders>
  bool take_as() {
    const uint64_t tail = s->tail.value.load(std::memory_order_acquire);
    if (tail == head) {
      for (unsigned i = 0; i < rest; i++) bench::relax();
      return false;
    }
    for (; head != tail; head++) {
      netmap_slot slot;
      std::memcpy(&slot, &s->slots[head % kSlots], sizeof slot);
      bytes += slot.len;
      if (kHeaders) seen += bench::sum_of_header(s->target[slot.buf_idx - 2]);
    }
    s->head.value.store(head, std::memory_order_release);
    s->received.value.store(head, std::memory_order_relaxed);
    s->bytes.value.store(bytes, std::memory_order_relaxed);
    if (kHeaders) s->seen.value.store(seen, std::memory_order_relaxed);
    return true;
  }
};

struct Run {
  unsigned size, chunk;
  double seconds;
  Consumer* inline_consumer;  // one core: consumes after every chunk; else nullptr
  pid_t peer;                 // two cores: the consumer's process; else 0
};

// Returns what the consumer received in the window.
template <unsigned kSize>
uint64_t produce(Producer* producer, const Run& run, bench::Window* window) {
  const std::atomic<uint64_t>& received = producer->s->received.value;
  const uint64_t start = bench::now_ns() + bench::kWarmUp;
  const uint64_t end = start + static_cast<uint64_t>(run.seconds * 1e9);
  uint64_t before = 0;
  // The clock is read every 4096 frames, or as many looks at a ring that stays full.
  for (unsigned looks = 0;; looks += run.chunk) {
    if (looks >= 4096) {
      looks = 0;
      const uint64_t now = bench::now_ns();
      if (!window->opened() && now >= start) {
        before = received.load(std::memory_order_relaxed);
        window->open(run.peer);
      }
      if (now >= end || bench::stopped()) {
        window->close();
        return received.load(std::memory_order_relaxed) - before;
      }
    }
    if (!producer->room(run.chunk)) {
      producer->head = producer->s->head.value.load(std::memory_order_acquire);
      if (!producer->room(run.chunk)) continue;
    }
    producer->publish<kSize>(run.chunk, run.size);
    if (run.inline_consumer != nullptr) run.inline_consumer->take();
  }
}

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  const unsigned size = args.whole("size", 60, 1, kStride);
  const unsigned chunk = args.whole("chunk", 64, 1, kSlots / 2);
  const double seconds = args.number("seconds", 0.4, 0.01, 60);
  const unsigned rest = args.whole("rest", 20, 0, 100000);
  const bool one_core = args.flag("one-core");
  const bool headers = args.flag("headers");
  args.done();
  bench::stop_on_signals();

  Shared* s = bench::shared<Shared>();
  std::memset(s->source, 0x5a, sizeof s->source);
  Producer producer{s};
  Consumer consumer{s, headers, rest};
  const auto produced = [&](pid_t peer, bench::Window* window) {
    const Run run = {size, chunk, seconds, peer == 0 ? &consumer : nullptr, peer};
    return size == 60 ? produce<60>(&producer, run, window) : produce<0>(&producer, run, window);
  };

  bench::Json json;
  json.text("tool", "spsc").whole("size", size).whole("cores", one_core ? 1 : 2);
  bench::Window window;
  if (one_core) {
    bench::pin(0);
    json.rate(produced(0, &window), size, window).print();
    return 0;
  }

  const pid_t child = bench::fork_peer();
  if (child == 0) {
    bench::answer_round_trips(&s->turn);
    while (consumer.take() || s->end.value.load(std::memory_order_acquire) == 0) {
      if (bench::stopped()) _exit(0);
    }
    bench::answer_round_trips(&s->turn);
    _exit(0);
  }
  const double before = bench::round_trip(&s->turn);
  const uint64_t frames = produced(child, &window);
  s->end.value.store(1, std::memory_order_release);
  const double after = bench::round_trip(&s->turn);
  bench::join_peer(child);
  if (s->bytes.value.load() != s->received.value.load() * size) bench::die(1, "slots were lost");
  json.rate(frames, size, window)
      .real("roundTripBefore", before)
      .real("roundTripAfter", after)
      .print();
}
