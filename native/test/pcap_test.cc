// SPDX-License-Identifier: BSD-2-Clause
// Capture files: every format that is accepted, and one clear line for every one that is not.
#include "engine/pcap.h"

#include <sys/stat.h>
#include <unistd.h>

#include "test/support/check.h"

using namespace vale;

namespace {

// Bytes of a file in one byte order or the other.
struct File {
  bool big = false;
  std::string bytes;

  File& u16(unsigned v) {
    const char b[2] = {static_cast<char>(v), static_cast<char>(v >> 8)};
    for (int i = 0; i < 2; i++) bytes += b[big ? 1 - i : i];
    return *this;
  }
  File& u32(uint32_t v) {
    return big ? u16(v >> 16).u16(v & 0xffff) : u16(v & 0xffff).u16(v >> 16);
  }
  File& text(const std::string& s) {
    bytes += s;
    return *this;
  }

  File& pcap(uint32_t magic = 0xa1b2c3d4, uint32_t link = 1) {
    return u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65535).u32(link);
  }
  File& record(const std::string& frame) {
    return u32(1).u32(2).u32(uint32_t(frame.size())).u32(uint32_t(frame.size())).text(frame);
  }
  File& block(uint32_t type, const std::string& body) {
    const uint32_t length = uint32_t(12 + (body.size() + 3) / 4 * 4);
    u32(type).u32(length).text(body).text(std::string(length - 12 - body.size(), '\0'));
    return u32(length);
  }
  File part() const { return {big, ""}; }
  File& section() {
    return block(0x0a0d0d0a, part().u32(0x1a2b3c4d).u16(1).u16(0).u32(~0u).u32(~0u).bytes);
  }
  File& interface(uint32_t link = 1, uint32_t snap = 0) {
    return block(1, part().u16(link).u16(0).u32(snap).bytes);
  }
  File& enhanced(uint32_t interface, const std::string& frame) {
    return packet(6, part().u32(interface), frame);
  }
  File& obsolete(unsigned interface, const std::string& frame) {
    return packet(2, part().u16(interface).u16(0), frame);
  }
  // A block that begins with its interface, of which the time is 0.
  File& packet(uint32_t type, File head, const std::string& frame) {
    head.u32(0).u32(0).u32(uint32_t(frame.size())).u32(9999).text(frame);
    return block(type, head.bytes);
  }
  File& simple(uint32_t original, const std::string& frame) {
    return block(3, part().u32(original).text(frame).bytes);
  }
};

std::string frame(char fill, size_t bytes = 60) { return std::string(bytes, fill); }

// The frames, joined by commas as "<first byte><length>"; or the error's line.
std::string parse(const File& file) {
  std::vector<CapturedFrame> frames;
  std::string data = file.bytes;
  const Status status =
      parse_capture("f", reinterpret_cast<uint8_t*>(data.data()), data.size(), &frames);
  if (!status.ok()) return status.text;
  std::string out;
  for (const CapturedFrame& f : frames) {
    if (!out.empty()) out += ",";
    out += data[f.offset] + std::to_string(f.bytes);
    if (data.substr(f.offset, f.bytes) != std::string(f.bytes, data[f.offset])) out += "!";
    if (data.substr(f.offset - kFrameHeadroom, kFrameHeadroom) != std::string(kFrameHeadroom, '\0'))
      out += "?";
  }
  return out;
}

}  // namespace

TEST(pcap_of_both_byte_orders_and_resolutions) {
  for (bool big : {false, true}) {
    for (uint32_t magic : {0xa1b2c3d4u, 0xa1b23c4du}) {
      File file{big, ""};
      file.pcap(magic).record(frame('a')).record(frame('b', 1514)).record(frame('c', 14));
      CHECK_EQ(parse(file), "a60,b1514,c14");
    }
  }
}

TEST(pcapng_of_both_byte_orders_and_all_packet_blocks) {
  for (bool big : {false, true}) {
    File file{big, ""};
    file.section().interface().enhanced(0, frame('a', 61)).obsolete(0, frame('b', 62));
    file.simple(63, frame('c', 63)).block(4, "names, skipped").enhanced(0, frame('d'));
    CHECK_EQ(parse(file), "a61,b62,c63,d60");
  }
}

TEST(simple_packets_are_cut_at_the_snap_length) {
  File file;
  file.section().interface(1, 40).simple(1000, frame('a', 40));
  CHECK_EQ(parse(file), "a40");
}

TEST(sections_have_byte_orders_and_interfaces_of_their_own) {
  File little, big{true, ""};
  little.section().interface().interface().enhanced(1, frame('a'));
  big.section().interface().enhanced(0, frame('b'));
  little.text(big.bytes);
  CHECK_EQ(parse(little), "a60,b60");
  big.enhanced(1, frame('c'));
  CHECK_EQ(parse(big), "f: at byte 140: a frame of interface 1, which is not described");
}

TEST(only_ethernet_is_played) {
  CHECK_EQ(parse(File().pcap(0xa1b2c3d4, 113).record(frame('a'))),
           "f: at byte 20: link type 113; only Ethernet (1) can be played");
  File unused;
  unused.section().interface(113).interface(1).enhanced(1, frame('a'));
  CHECK_EQ(parse(unused), "a60");
  unused.enhanced(0, frame('b'));
  CHECK_EQ(parse(unused), "f: at byte 28: link type 113; only Ethernet (1) can be played");
}

TEST(what_is_wrong_is_said_with_its_place) {
  CHECK_EQ(parse(File()), "f: at byte 0: too short for a capture file");
  CHECK_EQ(parse(File().text("GIF89a and more")), "f: at byte 0: neither pcap nor pcapng");
  CHECK_EQ(parse(File().text("\x1f\x8b\x08\x00")),
           "f: at byte 0: compressed; unpack it with gunzip first");
  CHECK_EQ(parse(File().u32(0xa1b2cd34)),
           "f: at byte 0: the modified pcap format is not supported");
  CHECK_EQ(parse(File().pcap()), "f: holds no frames");
  CHECK_EQ(parse(File().pcap().record(frame('a', 13))),
           "f: at byte 24: a frame of 13 bytes is not within 14..65536");
  CHECK_EQ(parse(File().pcap().record(frame('a', 65537))),
           "f: at byte 24: a frame of 65537 bytes is not within 14..65536");
  CHECK_EQ(parse(File().pcap().record(frame('a')).text("12345678")),
           "f: at byte 100: the last record's header is cut off");
  File cut = File().pcap().record(frame('a'));
  cut.bytes.pop_back();
  CHECK_EQ(parse(cut), "f: at byte 24: a record of 60 bytes, but only 59 are left");
  cut = File().section().interface().enhanced(0, frame('a'));
  cut.bytes.pop_back();
  CHECK_EQ(parse(cut), "f: at byte 48: a block of 92 bytes where 91 are left");
  cut = File().section();
  cut.bytes.back() = 1;
  CHECK_EQ(parse(cut), "f: at byte 0: a block whose two lengths differ (28 and 16777244)");
  CHECK_EQ(parse(File().section().block(6, "short")),
           "f: at byte 28: a block of type 6 with only 8 bytes");
}

TEST(every_truncation_is_refused_or_shorter) {
  File file;
  file.section().interface().enhanced(0, frame('a')).simple(60, frame('b'));
  for (size_t n = 0; n < file.bytes.size(); n++) {
    File cut = file;
    cut.bytes.resize(n);
    const std::string got = parse(cut);
    CHECK(got.starts_with("f: ") || got == "a60");
  }
}

TEST(files_are_read_from_disk) {
  char path[] = "/tmp/vale-pcap-XXXXXX";
  const int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  const std::string bytes = File().pcap().record(frame('a')).record(frame('b', 65536)).bytes;
  CHECK_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  close(fd);
  Capture capture;
  CHECK_OK(load_capture(path, &capture));
  REQUIRE(capture.frames.size() == 2);
  CHECK_EQ(capture.block[capture.frames[1].offset + 65535], 'b');
  unlink(path);
  CHECK_EQ(load_capture(path, &capture).text,
           std::string(path) + ": cannot be opened: No such file or directory");
  CHECK_EQ(load_capture("/tmp", &capture).text, "/tmp: cannot be read: Is a directory");
}

TEST(a_fifo_without_a_writer_is_refused_at_once) {
  char path[] = "/tmp/vale-fifo-XXXXXX";
  REQUIRE(mkdtemp(path) != nullptr);
  const std::string fifo = std::string(path) + "/f";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  Capture capture;
  CHECK_EQ(load_capture(fifo, &capture).text,
           fifo + ": not a regular file; copy what it holds into one first");
  unlink(fifo.c_str());
  rmdir(path);
}
