// SPDX-License-Identifier: BSD-2-Clause
// What a frame costs the generator of `vale pkt-gen -f tx`: its engine on one processor, alone on a
// switch. Nobody is there to receive, so the switch discards each frame after a look (--bare measures
// that look: the same ring sent again and again by a loop that writes nothing).
#include "bench/ports.h"
#include "engine/pktgen.h"

namespace {

constexpr const char* kKinds[] = {"fixed", "range", "random-fields", "random-sizes", "pcap"};

vale::PktGenConfig configuration(const std::string& kind, unsigned size, const char* capture) {
  vale::PktGenConfig config;
  config.function = vale::PktGenFunction::tx;
  config.size = size;
  config.busy = true;
  config.seed = 1;
  config.source.start = config.source.end = {10, 0, 0, 1};
  config.destination.start = config.destination.end = {10, 1, 0, 1};
  config.source_mac.start = config.source_mac.end = {2, 0, 0, 0, 0, 1};
  config.destination_mac.start = config.destination_mac.end = {2, 0, 0, 0, 0, 2};
  if (kind == "range") {
    config.source.end = {10, 0, 255, 255};
    config.source.port_end = 2233;
    config.destination.end = {10, 1, 255, 255};
  } else if (kind == "random-fields") {
    config.random_source = config.random_destination = true;
  } else if (kind == "random-sizes") {
    config.size = 1514;
    config.size_min = 60;
  } else if (kind == "pcap") {
    config.pcap_file = capture;
  }
  return config;
}

// Classic pcap, microseconds, Ethernet: 1024 frames that all differ.
void write_capture(const char* path, unsigned size) {
  FILE* file = std::fopen(path, "wb");
  if (file == nullptr) bench::die(1, "%s: %s", path, std::strerror(errno));
  const uint32_t header[6] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, 1};
  std::fwrite(header, sizeof header, 1, file);
  std::vector<char> frame(size);
  for (uint32_t i = 0; i < 1024; i++) {
    const uint32_t record[4] = {i / 1000, i % 1000, size, size};
    bench::write_frame(frame.data(), 0, size);
    std::memcpy(&frame[14], &i, sizeof i);
    std::fwrite(record, sizeof record, 1, file);
    std::fwrite(frame.data(), size, 1, file);
  }
  if (std::fclose(file) != 0) bench::die(1, "%s: %s", path, std::strerror(errno));
}

}  // namespace

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  const std::string kind = args.word("kind", "fixed");
  const unsigned size = args.whole("size", 60, 60, 1514);
  const double seconds = args.number("seconds", 0.4, 0.01, 60);
  args.done();
  const bool bare = kind == "bare";
  if (!bare &&
      std::none_of(std::begin(kKinds), std::end(kKinds), [&](auto k) { return kind == k; }))
    bench::die(2, "--kind %s: fixed, range, random-fields, random-sizes, pcap or bare",
               kind.c_str());
  bench::stop_on_signals();
  bench::pin(0);

  bench::End end;
  end.open("valebench:gen");
  uint64_t frames = 0, bytes = 0;
  bench::Window window;
  const auto nap = [](double s) { usleep(static_cast<useconds_t>(s * 1e6)); };
  if (bare) {
    bench::Sender sender(end, 0, size);
    for (const uint64_t warm = bench::now_ns() + bench::kWarmUp; bench::now_ns() < warm;)
      sender.send(512);
    window.open(0);
    const uint64_t stop = bench::now_ns() + static_cast<uint64_t>(seconds * 1e9);
    while (bench::now_ns() < stop && !bench::stopped()) frames += sender.send(512);
    window.close();
    bytes = frames * size;
  } else {
    char capture[] = "/tmp/vale-bench-XXXXXX";
    if (kind == "pcap") {
      const int fd = mkstemp(capture);
      if (fd < 0) bench::die(1, "%s: %s", capture, std::strerror(errno));
      close(fd);
      write_capture(capture, size);
    }
    std::unique_ptr<vale::Engine> engine;
    const vale::Status status =
        vale::start_pktgen(configuration(kind, size, capture), {end.port.get()}, nullptr, &engine);
    if (kind == "pcap") unlink(capture);
    if (!status.ok()) bench::die(1, "%s", status.text.c_str());
    nap(0.05);
    // This thread sleeps, so the processor is the engine's.
    const vale::EngineSample first = engine->sample().front();
    window.open(0);
    nap(seconds);
    const vale::EngineSample last = engine->sample().front();
    window.close();
    engine->stop();
    if (const vale::Status ended = engine->join(); !ended.ok())
      bench::die(1, "%s", ended.text.c_str());
    frames = last.accepted - first.accepted;
    bytes = last.bytes - first.bytes;
  }
  if (frames == 0) bench::die(1, "no frame was sent");
  const double average = static_cast<double>(bytes) / static_cast<double>(frames);
  bench::Json()
      .text("tool", "generate")
      .text("kind", kind)
      .rate(frames, static_cast<unsigned>(average), window)
      .real("perFrame", window.seconds() / static_cast<double>(frames))
      .print();
}
