// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Memory between the thread that captures and the one that writes:
//   1. The first takes a chunk, fills it with whole blocks, hands it over with put().
//   2. The second waits in next(), writes what is in it, and gives it back.
//   3. end() once: next() then says so when nothing is left.
//
// Owns. The chunks, made when they are needed and kept. What was given back last is taken first: it is
//   still in the processor's cache.
//
// Invariants. take() never waits: without a chunk it says nullptr. One thread on each side.
// Not here. What the blocks are (pcapng.h).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace vale {

constexpr uint32_t kChunkBytes = 256 * 1024;

struct Chunk {
  std::unique_ptr<uint8_t[]> bytes;
  uint32_t used = 0;
  uint32_t frames = 0;
};

class CaptureChunks {
 public:
  explicit CaptureChunks(size_t most) : most_(most) {}
  CaptureChunks(const CaptureChunks&) = delete;
  CaptureChunks& operator=(const CaptureChunks&) = delete;

  // Empty; nullptr when all wait to be written, or there is no more memory.
  Chunk* take() {
    const std::lock_guard<std::mutex> hold(lock_);
    if (!free_.empty()) {
      Chunk* chunk = free_.back();
      free_.pop_back();
      return chunk;
    }
    if (all_.size() == most_) return nullptr;
    std::unique_ptr<Chunk> chunk(new (std::nothrow) Chunk);
    if (chunk == nullptr) return nullptr;
    chunk->bytes.reset(new (std::nothrow) uint8_t[kChunkBytes]);
    if (chunk->bytes == nullptr) return nullptr;
    all_.push_back(std::move(chunk));
    return all_.back().get();
  }

  void put(Chunk* chunk) {
    {
      const std::lock_guard<std::mutex> hold(lock_);
      full_.push_back(chunk);
    }
    filled_.notify_one();
  }

  void end() {
    {
      const std::lock_guard<std::mutex> hold(lock_);
      ended_ = true;
    }
    filled_.notify_one();
  }

  // nullptr after `ns`, or with *ended when there will be no more.
  Chunk* next(uint64_t ns, bool* ended) {
    std::unique_lock<std::mutex> hold(lock_);
    filled_.wait_for(hold, std::chrono::nanoseconds(ns),
                     [this] { return ended_ || !full_.empty(); });
    *ended = ended_ && full_.empty();
    if (full_.empty()) return nullptr;
    Chunk* chunk = full_.front();
    full_.pop_front();
    return chunk;
  }

  void give_back(Chunk* chunk) {
    chunk->used = chunk->frames = 0;
    const std::lock_guard<std::mutex> hold(lock_);
    free_.push_back(chunk);
  }

 private:
  const size_t most_;
  std::mutex lock_;
  std::condition_variable filled_;
  std::vector<std::unique_ptr<Chunk>> all_;
  std::vector<Chunk*> free_;
  std::deque<Chunk*> full_;
  bool ended_ = false;
};

}  // namespace vale
