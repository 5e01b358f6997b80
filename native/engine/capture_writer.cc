// SPDX-License-Identifier: BSD-2-Clause
#include "engine/capture_writer.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>

#include "engine/capture_output.h"

namespace vale {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kLook = kSecond / 5;  // how long without a look at the clock and the reader
// Frames of that age may still come; an idle file ends so much later than its time.
constexpr uint64_t kLate = kSecond / 4;

// "DIR/NAME_00001_20261126120000.pcapng" of "DIR/NAME.pcapng", as dumpcap names files.
std::string numbered(const std::string& output, uint64_t number, uint64_t start) {
  const size_t slash = output.rfind('/');
  size_t dot = output.rfind('.');
  if (dot == std::string::npos || (slash != std::string::npos && dot < slash) ||
      dot == (slash == std::string::npos ? 0 : slash + 1))
    dot = output.size();
  const auto seconds = static_cast<time_t>(start / kSecond);
  tm local{};
  localtime_r(&seconds, &local);
  char middle[64];
  std::snprintf(middle, sizeof middle, "_%05llu_%04d%02d%02d%02d%02d%02d",
                static_cast<unsigned long long>(number % 100000), local.tm_year + 1900,
                local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
  return output.substr(0, dot) + middle + output.substr(dot);
}

class Writer {
 public:
  Writer(const CaptureConfig& config, Engine& engine, Port& port, uint64_t drops_before,
         CaptureChunks& chunks)
      : config_(config),
        engine_(engine),
        lane_(engine.lane(kLaneWritten)),
        port_(port),
        drops_before_(drops_before),
        chunks_(chunks),
        output_(engine),
        start_(real_ns()),
        limited_(config.several_files() || config.stop_after_bytes != 0) {}

  Status run() {
    Status status = begin(start_);
    for (bool ended = false; status.ok() && !ended && !finished_;) {
      Chunk* chunk = chunks_.next(kLook, &ended);
      if (chunk != nullptr) {
        status =
            limited_ ? write_parts(*chunk) : write(chunk->bytes.get(), chunk->used, chunk->frames);
        chunks_.give_back(chunk);
      } else if (!ended) {
        status = look();
      }
    }
    engine_.stop();
    if (status.ok() && !gone_) status = end();
    output_.close();
    return gone_ ? Status::good() : status;
  }

 private:
  Status begin(uint64_t time) {
    if (config_.several_files()) {
      name_ = numbered(config_.output, ++number_, time);
    } else {
      name_ = config_.output;
    }
    bytes_ = frames_ = 0;
    set_next_time(time);
    if (Status s = output_.open(name_); !s.ok()) {
      gone_ = s.err == EPIPE;
      finished_ = gone_;
      return gone_ ? Status::good() : s;
    }
    if (config_.several_files()) {
      engine_.say(true, name_);
      names_.push_back(name_);
      if (config_.keep_files != 0 && names_.size() > config_.keep_files) {
        unlink(names_.front().c_str());
        names_.pop_front();
      }
    }
    lane_.add_event();
    const std::string head = pcapng_begin(config_.interface);
    return write(reinterpret_cast<const uint8_t*>(head.data()), head.size(), 0);
  }

  void set_next_time(uint64_t time) {
    next_time_ = ~uint64_t{0};
    if (config_.next_after_seconds > 0)
      next_time_ = time + static_cast<uint64_t>(config_.next_after_seconds * 1e9);
    if (config_.next_every_seconds > 0) {
      const uint64_t every =
          std::max<uint64_t>(1, static_cast<uint64_t>(config_.next_every_seconds * 1e9));
      next_time_ = std::min(next_time_, (time / every + 1) * every);
    }
  }

  bool full(uint64_t bytes, uint64_t frames) const {
    return (config_.next_after_bytes != 0 && bytes >= config_.next_after_bytes) ||
           (config_.stop_after_bytes != 0 && bytes >= config_.stop_after_bytes) ||
           (config_.next_after_frames != 0 && frames >= config_.next_after_frames);
  }

  Status write_parts(const Chunk& chunk) {
    const uint8_t* at = chunk.bytes.get();
    const uint8_t* const last = at + chunk.used;
    while (at < last) {
      const uint64_t time = packet_time(at);
      if (time >= next_time_ || full(bytes_, frames_)) {
        if (Status s = next_file(time); !s.ok() || finished_) return s;
      }
      const uint8_t* const from = at;
      uint64_t frames = 0;
      do {
        at += block_size(at);
        frames++;
      } while (at < last && packet_time(at) < next_time_ &&
               !full(bytes_ + static_cast<uint64_t>(at - from), frames_ + frames));
      if (Status s = write(from, static_cast<size_t>(at - from), frames); !s.ok()) return s;
      if (finished_) return Status::good();
      const bool last_file = config_.stop_after_bytes != 0 ||
                             (config_.stop_after_files != 0 && number_ == config_.stop_after_files);
      finished_ = last_file && full(bytes_, frames_);
      if (finished_) return Status::good();
    }
    return Status::good();
  }

  Status next_file(uint64_t time) {
    if (config_.stop_after_files != 0 && number_ == config_.stop_after_files) {
      finished_ = true;
      return Status::good();
    }
    if (Status s = end(); !s.ok()) return s;
    return begin(time);
  }

  // Nothing came for a while.
  Status look() {
    if (output_.abandoned()) {
      gone_ = finished_ = true;
      return Status::good();
    }
    const uint64_t now = real_ns();
    if (next_time_ != ~uint64_t{0} && now >= next_time_ + kLate) return next_file(now);
    return Status::good();
  }

  CaptureStatistics statistics() const {
    CaptureStatistics s;
    s.start = start_;
    s.end = real_ns();
    s.received = engine_.lane(kLaneReceived).frames();
    s.passed = engine_.lane(kLaneReceived).accepted();
    s.delivered = lane_.frames();
    s.dropped_here = s.passed - std::min(s.passed, engine_.lane(kLaneKept).frames());
    s.dropped_by_port = destination_drops(port_.counters()) - drops_before_;
    return s;
  }

  Status end() {
    const std::string tail = pcapng_end(statistics());
    if (Status s = write(reinterpret_cast<const uint8_t*>(tail.data()), tail.size(), 0); !s.ok())
      return s;
    const int err = output_.close();
    return err == 0 ? Status::good() : failed(err);
  }

  // Whole blocks, that many frames.
  Status write(const uint8_t* from, size_t size, uint64_t frames) {
    int err = 0;
    const size_t done = output_.write(from, size, &err);
    if (done == size) {
      bytes_ += size;
      frames_ += frames;
      lane_.add(frames, size, frames);
      return Status::good();
    }
    if (err == EPIPE) {
      gone_ = finished_ = true;
      return Status::good();
    }
    mend(from, frames == 0 ? 0 : done);
    return failed(err);
  }

  // A file that got only so much of these blocks ends with the last whole one, and the statistics if
  // there is room for them.
  void mend(const uint8_t* from, size_t done) {
    if (!output_.is_file()) return;
    const std::string tail = pcapng_end(statistics());
    size_t whole = 0;
    uint64_t frames = 0;
    while (done - whole >= 12) {
      const size_t size = block_size(from + whole);
      if (whole + size + tail.size() > done) break;
      whole += size;
      frames++;
    }
    output_.cut(bytes_ + whole);
    lane_.add(frames, whole, frames);
    bytes_ += whole;
    frames_ += frames;
    int err = 0;
    if (output_.write(tail.data(), tail.size(), &err) != tail.size()) output_.cut(bytes_);
  }

  Status failed(int err) const {
    const char* name = name_ == "-" ? "standard output" : name_.c_str();
    if (err == ENOSPC || err == EDQUOT || err == EFBIG)
      return Status::fail(err,
                          "%s: %s after %llu frames, %llu bytes, which are in it; make room, or "
                          "keep a few files only with -b filesize:KB -b files:N",
                          name, std::strerror(err), static_cast<unsigned long long>(frames_),
                          static_cast<unsigned long long>(bytes_));
    if (err == ETIMEDOUT)
      return Status::fail(err, "%s: its reader does not read, what was left for it is lost", name);
    return Status::fail(err, "%s: cannot be written: %s", name, std::strerror(err));
  }

  const CaptureConfig& config_;
  Engine& engine_;
  Lane& lane_;
  Port& port_;
  const uint64_t drops_before_;
  CaptureChunks& chunks_;
  CaptureOutput output_;
  const uint64_t start_;
  const bool limited_;
  std::string name_;
  std::deque<std::string> names_;
  uint64_t number_ = 0;
  uint64_t bytes_ = 0, frames_ = 0;  // of the file that is open
  uint64_t next_time_ = ~uint64_t{0};
  bool finished_ = false;
  bool gone_ = false;  // the reader has
};

}  // namespace

Status write_capture(const CaptureConfig& config, Engine& engine, Port& port, uint64_t drops_before,
                     CaptureChunks& chunks) {
  return Writer(config, engine, port, drops_before, chunks).run();
}

uint64_t real_ns() {
  timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * kSecond + static_cast<uint64_t>(ts.tv_nsec);
}

}  // namespace vale
