// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One destination of bytes: open(), write() as often as needed, close().
// Owns. The descriptor.
// Invariants. write() returns when all is written or nothing more will be. It waits for a full FIFO or
//   socket, until half a second after the engine was asked to stop.
// Not here. What the bytes are (capture_writer.h).
#pragma once

#include <cstdint>
#include <string>

#include "engine/engine.h"
#include "status.h"

namespace vale {

class CaptureOutput {
 public:
  explicit CaptureOutput(Engine& engine) : engine_(engine) {}
  ~CaptureOutput() { close(); }
  CaptureOutput(const CaptureOutput&) = delete;
  CaptureOutput& operator=(const CaptureOutput&) = delete;

  // Before anything is started: why a file of that name cannot be written. Of several files: one in its folder.
  static Status check(const std::string& path, bool several);
  // A path, or "-" for standard output. A FIFO without a reader is waited for.
  Status open(const std::string& path);
  // How many bytes went out; fewer only with an errno in *err: EPIPE, the reader has gone (or, of a
  // FIFO, never came); ETIMEDOUT, it does not read.
  size_t write(const void* bytes, size_t size, int* err);
  // Back to that length, where what is open is a file.
  void cut(uint64_t length);
  bool is_file() const { return kind_ == Kind::file; }
  // Of a FIFO or socket: nobody reads it any more.
  bool abandoned() const;
  // The errno of closing: what a network file system could not write.
  int close();

 private:
  enum class Kind { file, fifo, socket, other };
  int wait_for_room();

  Engine& engine_;
  Kind kind_ = Kind::other;
  int fd_ = -1;
};

}  // namespace vale
