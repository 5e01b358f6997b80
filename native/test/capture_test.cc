// SPDX-License-Identifier: BSD-2-Clause
// The capture's two threads: what a port gets is in the files, whole and in order, and what is not was
// counted.
#include "engine/capture.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "test/support/check.h"
#include "test/support/switch_fixture.h"

using namespace vale;

namespace {

bool soon(const std::function<bool()>& holds) {
  for (int i = 0; i < 5000; i++) {
    if (holds()) return true;
    usleep(1000);
  }
  return false;
}

std::string read_file(const std::string& path) {
  std::string out;
  char part[65536];
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  for (ssize_t n; fd >= 0 && (n = read(fd, part, sizeof part)) > 0;)
    out.append(part, static_cast<size_t>(n));
  if (fd >= 0) close(fd);
  return out;
}

// The frames of a file; a file that is not made of whole blocks fails the test.
std::vector<std::string> frames_of(const std::string& path) {
  const std::string bytes = read_file(path);
  std::vector<std::string> out;
  for (size_t at = 0; at < bytes.size();) {
    const auto* block = reinterpret_cast<const uint8_t*>(bytes.data()) + at;
    uint32_t type, captured;
    std::memcpy(&type, block, 4);
    std::memcpy(&captured, block + 20, 4);
    const uint32_t size = bytes.size() - at < 12 ? 0 : block_size(block);
    if (size < 12 || size % 4 != 0 || size > bytes.size() - at) {
      CHECK(!"a block is cut");
      return out;
    }
    if (type == kPacketBlock) out.push_back(bytes.substr(at + kPacketData, captured));
    at += size;
  }
  return out;
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> out;
  DIR* dir = opendir(folder.c_str());
  while (const dirent* e = dir != nullptr ? readdir(dir) : nullptr) {
    if (e->d_name[0] == 'x') out.push_back(folder + "/" + e->d_name);
  }
  if (dir != nullptr) closedir(dir);
  std::sort(out.begin(), out.end());
  return out;
}

struct Captured : Fixture {
  std::string folder = "/tmp/vale-capture-XXXXXX";
  CaptureConfig config;
  std::unique_ptr<Port> a = open("vale0:a"), b = open("vale0:b");
  std::unique_ptr<Engine> engine;
  Captured() {
    CHECK(mkdtemp(folder.data()) != nullptr);
    config.output = folder + "/x.pcapng";
    config.interface.name = "b";
    // So that no frame of a test has to be dropped.
    config.spin = 0;
  }
  ~Captured() {
    engine.reset();
    const std::string command = "rm -rf " + folder;
    if (std::system(command.c_str()) != 0) std::printf("  cannot remove %s\n", folder.c_str());
  }
  void start() { REQUIRE(start_capture(config, b.get(), nullptr, &engine).ok()); }
  uint64_t received() { return engine->sample()[kLaneReceived].frames; }
  // Frames in portions that the ring has room for.
  std::vector<std::string> send_all(unsigned count) {
    std::vector<std::string> sent;
    for (unsigned i = 0; i < count; i++) {
      sent.push_back(frame(mac(2), mac(1), 60 + i * 37 % 1400, i));
      send(*a, sent.back());
      if (i % 256 == 255) CHECK(soon([&] { return received() >= i; }));
    }
    CHECK(soon([&] { return received() == count; }));
    return sent;
  }
};

}  // namespace

TEST(all_frames_in_order_in_one_file) {
  Captured f;
  f.start();
  const auto sent = f.send_all(3000);
  f.engine->stop();
  CHECK_OK(f.engine->join());
  CHECK_EQ(frames_of(f.config.output) == sent, true);
  const auto lanes = f.engine->sample();
  CHECK_EQ(lanes[kLaneWritten].frames, 3000u);
  CHECK_EQ(lanes[kLaneWritten].bytes, read_file(f.config.output).size());
  CHECK_EQ(lanes[kLaneWritten].events, 1u);
}

TEST(all_frames_in_order_in_many_files) {
  Captured f;
  f.config.next_after_frames = 100;
  f.start();
  const auto sent = f.send_all(1550);
  f.engine->stop();
  CHECK_OK(f.engine->join());
  const auto files = files_in(f.folder);
  CHECK_EQ(files.size(), 16u);
  std::vector<std::string> all;
  for (const std::string& file : files) {
    const auto part = frames_of(file);
    all.insert(all.end(), part.begin(), part.end());
  }
  CHECK_EQ(all == sent, true);
}

TEST(frames_of_many_slots_and_a_header) {
  Captured f;
  CHECK_OK(f.a->set_header_length(12));
  CHECK_OK(f.b->set_header_length(12));
  f.start();
  const std::string whole = std::string(12, '\0') + frame(mac(2), mac(1), 9000, 5);
  f.send(*f.a, whole);
  CHECK(soon([&] { return f.received() == 1; }));
  f.engine->stop();
  CHECK_OK(f.engine->join());
  const auto found = frames_of(f.config.output);
  REQUIRE(found.size() == 1);
  CHECK_EQ(found[0] == whole.substr(12), true);
}

TEST(so_many_frames_and_no_more) {
  Captured f;
  f.config.count = 10;
  f.start();
  for (unsigned i = 0; i < 40; i++) f.send(*f.a, frame(mac(2), mac(1), 60, i));
  CHECK_OK(f.engine->join());
  CHECK_EQ(frames_of(f.config.output).size(), 10u);
}

TEST(nobody_reads_the_fifo) {
  Captured f;
  f.config.output = f.folder + "/fifo";
  f.config.buffer = 1;
  REQUIRE(mkfifo(f.config.output.c_str(), 0600) == 0);
  f.start();
  // Without a reader there is no writing, but reading goes on.
  const auto sent = f.send_all(2000);
  const auto before = f.engine->sample();
  CHECK(before[kLaneKept].frames < before[kLaneReceived].accepted);
  f.engine->stop();
  CHECK_OK(f.engine->join());
  CHECK_EQ(f.engine->sample()[kLaneWritten].frames, 0u);
}
