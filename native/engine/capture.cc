// SPDX-License-Identifier: BSD-2-Clause
#include "engine/capture.h"

#include <algorithm>
#include <cstring>

#include "device/wait.h"
#include "engine/ahead.h"
#include "engine/capture_output.h"
#include "engine/capture_writer.h"
#include "engine/filter.h"
#include "engine/receive_loop.h"

namespace vale {
namespace {

constexpr int kWaitMs = 1000;
// Slots read before they go back to the switch.
constexpr uint32_t kBurst = 256;
// Frames are with the writer that long after they arrived, at most.
constexpr uint64_t kFlushNs = 100'000'000;

class Reader {
 public:
  Reader(const CaptureConfig& config, const Filter& filter, Engine& engine, Port& port,
         CaptureChunks& chunks)
      : config_(config),
        filter_(filter),
        engine_(engine),
        port_(port),
        chunks_(chunks),
        received_(engine.lane(kLaneReceived)),
        kept_(engine.lane(kLaneKept)),
        ahead_(port.last_rx() - port.first_rx()) {}

  Status run() {
    const Status status = receive_loop(*this, engine_, port_);
    engine_.stop();  // the writer too
    flush();
    chunks_.end();
    return status;
  }

  bool finished() const { return finished_; }

  // A burst from each ring; whether there was anything.
  bool receive() {
    Batch batch;
    batch.time = real_ns();
    header_ = port_.header_length();
    bool any = false;
    for (unsigned i = port_.first_rx(); i < port_.last_rx() && !finished_; i++) {
      const RingView& ring = port_.rx_view(i);
      const uint32_t tail = ring.tail();
      uint32_t at = ring.head();
      if (at == tail) continue;
      any = true;
      for (uint32_t n = 0; n < kBurst && at != tail && !finished_; n++) {
        ahead_[i - port_.first_rx()].look(ring, at, tail);
        at = frame(ring, at, tail, &batch);
      }
      ring.release(at);
    }
    if (!any) return false;
    received_.add(batch.frames, batch.bytes, batch.passed);
    received_.add_event();
    kept_.add(batch.kept, batch.kept_bytes, batch.kept);
    if (chunk_ != nullptr && chunk_->used != 0 && monotonic_ns() - since_ >= kFlushNs) flush();
    if (finished_) engine_.stop();
    return true;
  }

  // Until something may have arrived; whether it is known to be in the rings.
  bool wait() {
    uint64_t left = kWaitMs * uint64_t{1'000'000};
    if (chunk_ != nullptr) {
      const uint64_t age = monotonic_ns() - since_;
      if (age >= kFlushNs) {
        flush();
      } else {
        left = kFlushNs - age;
      }
    }
    if (config_.busy) {
      cpu_relax();
      return false;
    }
    PortWait one{&port_, POLLIN};
    wait_ports(&one, 1, static_cast<int>((left + 999'999) / 1'000'000), config_.spin,
               engine_.stop_fd());
    // With an error, the next sync says which.
    return (one.revents & (POLLIN | POLLERR)) == POLLIN;
  }

 private:
  struct Batch {
    uint64_t time;  // of all its frames, ns since 1970
    uint64_t frames = 0, bytes = 0, passed = 0, kept = 0, kept_bytes = 0;
    bool full = false;  // no memory: asked once a batch
  };

  // The frame at slot `at`, and the slot after it.
  uint32_t frame(const RingView& ring, uint32_t at, uint32_t tail, Batch* batch) {
    const netmap_slot slot = ring.slot(at);
    const auto* data = reinterpret_cast<const uint8_t*>(ring.buffer(slot.buf_idx));
    uint32_t length = slot.len;
    at = ring.after(at);
    if (slot.flags & NS_MOREFRAG) {
      whole_.assign(data, data + length);
      for (bool more = true; more && at != tail; at = ring.after(at)) {
        const netmap_slot part = ring.slot(at);
        const auto* from = reinterpret_cast<const uint8_t*>(ring.buffer(part.buf_idx));
        if (whole_.size() < kMostBytes) whole_.insert(whole_.end(), from, from + part.len);
        more = (part.flags & NS_MOREFRAG) != 0;
      }
      data = whole_.data();
      length = static_cast<uint32_t>(std::min<size_t>(whole_.size(), kMostBytes));
    }
    if (length <= header_) return at;  // padding of a ring, not a frame
    data += header_;
    length -= header_;
    batch->frames++;
    batch->bytes += length;
    const uint32_t keep = filter_.run(data, length, length);
    if (keep == 0) return at;
    batch->passed++;
    passed_++;
    if (config_.count != 0 && passed_ == config_.count) finished_ = true;
    store(data, length, std::min({length, keep, config_.interface.snaplen}),
          slot.flags & NS_TXMON ? Direction::out : Direction::in, batch);
    return at;
  }

  void store(const uint8_t* data, uint32_t length, uint32_t captured, Direction direction,
             Batch* batch) {
    const uint32_t size = pcapng_packet_size(captured);
    if (chunk_ != nullptr && kChunkBytes - chunk_->used < size) flush();
    if (chunk_ == nullptr) {
      if (!batch->full) chunk_ = chunks_.take();
      batch->full = chunk_ == nullptr;
      if (batch->full) return;
    }
    if (chunk_->used == 0) since_ = monotonic_ns();
    uint8_t* block = chunk_->bytes.get() + chunk_->used;
    std::memcpy(block + kPacketData, data, captured);
    pcapng_packet(block, batch->time, captured, length, direction);
    chunk_->used += size;
    chunk_->frames++;
    batch->kept++;
    batch->kept_bytes += captured;
  }

  void flush() {
    if (chunk_ == nullptr) return;
    if (chunk_->used != 0) {
      chunks_.put(chunk_);
    } else {
      chunks_.give_back(chunk_);
    }
    chunk_ = nullptr;
  }

  static constexpr size_t kMostBytes = 65536 + 12;

  const CaptureConfig& config_;
  const Filter& filter_;
  Engine& engine_;
  Port& port_;
  CaptureChunks& chunks_;
  Lane& received_;
  Lane& kept_;
  std::vector<Ahead> ahead_;  // by rx ring
  Chunk* chunk_ = nullptr;
  uint64_t since_ = 0;  // the chunk's first frame came, CLOCK_MONOTONIC
  uint64_t passed_ = 0;
  uint32_t header_ = 0;
  bool finished_ = false;
  std::vector<uint8_t> whole_;  // a frame of several slots
};

// What both threads need as long as one of them runs.
struct Shared {
  explicit Shared(const CaptureConfig& c)
      : config(c), chunks(size_t{c.buffer} * 1024 * 1024 / kChunkBytes) {}
  CaptureConfig config;
  Filter filter;
  CaptureChunks chunks;
};

}  // namespace

Status start_capture(const CaptureConfig& config, Port* port, std::function<void()> on_done,
                     std::unique_ptr<Engine>* out) {
  if (port->first_rx() >= port->last_rx())
    return Status::fail(EINVAL, "%s: opened without receive rings, there is nothing to capture",
                        port->info().name.c_str());
  if (config.buffer == 0) return Status::fail(EINVAL, "a buffer of 0 MiB holds no frames");
  auto shared = std::make_shared<Shared>(config);
  if (Status s = compile_filter(config.interface.filter, config.interface.snaplen, &shared->filter);
      !s.ok())
    return s;
  if (Status s = CaptureOutput::check(config.output, config.several_files()); !s.ok()) return s;
  const uint64_t before = destination_drops(port->counters());
  std::unique_ptr<Engine> engine(new Engine);
  Engine::Options options;
  options.threads = 2;
  options.lanes = kCaptureLanes;
  options.duration = config.duration;
  options.on_done = std::move(on_done);
  const Status status =
      engine->start(std::move(options), [shared, port, before](Engine& self, unsigned thread) {
        Shared& c = *shared;
        if (thread == 0) return Reader(c.config, c.filter, self, *port, c.chunks).run();
        return write_capture(c.config, self, *port, before, c.chunks);
      });
  if (!status.ok()) return status;
  *out = std::move(engine);
  return Status::good();
}

}  // namespace vale
