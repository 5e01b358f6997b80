// SPDX-License-Identifier: BSD-2-Clause
// The limit of copying: how many frames a second one core moves between 1024 + 1024 buffers with
// memcpy and nothing else.
#include "bench/measure.h"

namespace {

struct Buffers {
  alignas(4096) char source[bench::kSlots][bench::kStride];
  alignas(4096) char target[bench::kSlots][bench::kStride];
};

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  const unsigned size = args.whole("size", 1514, 1, bench::kStride);
  const double seconds = args.number("seconds", 0.4, 0.01, 60);
  args.done();
  bench::stop_on_signals();
  bench::pin(0);

  Buffers* buffers = bench::shared<Buffers>();
  std::memset(buffers->source, 0x5a, sizeof buffers->source);
  const auto round = [&] {
    for (unsigned i = 0; i < bench::kSlots; i++) {
      std::memcpy(buffers->target[i], buffers->source[i], size);
      // The compiler must not merge the copies of one buffer over the rounds.
      asm volatile("" ::: "memory");
    }
    return bench::now_ns();
  };
  const uint64_t warm = bench::now_ns() + bench::kWarmUp;
  while (round() < warm) {
  }
  bench::Window window;
  window.open(0);
  const uint64_t end = bench::now_ns() + static_cast<uint64_t>(seconds * 1e9);
  uint64_t frames = 0;
  do frames += bench::kSlots;
  while (round() < end && !bench::stopped());
  window.close();
  bench::Json().text("tool", "memcpy").whole("size", size).rate(frames, size, window).print();
}
