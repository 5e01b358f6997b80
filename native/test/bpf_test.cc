// SPDX-License-Identifier: BSD-2-Clause
// Filters of libpcap's making, run by our own interpreter; and programs that no compiler made.
#include "engine/bpf.h"

#include <cstring>

#include "test/support/check.h"

using namespace vale;

namespace {

// `tcpdump -y EN10MB -ddd 'udp port 53'`
const BpfInstruction kUdpPort53[] = {
    {40, 0, 0, 12},  {21, 0, 6, 34525}, {48, 0, 0, 20},   {21, 0, 15, 17},   {40, 0, 0, 54},
    {21, 12, 0, 53}, {40, 0, 0, 56},    {21, 10, 11, 53}, {21, 0, 10, 2048}, {48, 0, 0, 23},
    {21, 0, 8, 17},  {40, 0, 0, 20},    {69, 6, 0, 8191}, {177, 0, 0, 14},   {72, 0, 0, 14},
    {21, 2, 0, 53},  {72, 0, 0, 16},    {21, 0, 1, 53},   {6, 0, 0, 262144}, {6, 0, 0, 0}};
constexpr unsigned kCount = sizeof kUdpPort53 / sizeof *kUdpPort53;

struct Udp {
  uint8_t bytes[60] = {};
  Udp(uint16_t from, uint16_t to) {
    bytes[12] = 8;     // IPv4
    bytes[14] = 0x45;  // a header of 20 bytes
    bytes[23] = 17;    // UDP
    bytes[34] = static_cast<uint8_t>(from >> 8);
    bytes[35] = static_cast<uint8_t>(from);
    bytes[36] = static_cast<uint8_t>(to >> 8);
    bytes[37] = static_cast<uint8_t>(to);
  }
};

}  // namespace

TEST(udp_port_53) {
  Filter filter;
  REQUIRE(filter.set(kUdpPort53, kCount));
  CHECK_EQ(filter.run(Udp(53, 9).bytes, 60, 60), 262144u);
  CHECK_EQ(filter.run(Udp(9, 53).bytes, 60, 60), 262144u);
  CHECK_EQ(filter.run(Udp(9, 54).bytes, 60, 60), 0u);
  Udp fragment(53, 53);
  fragment.bytes[21] = 1;  // not the first: has no ports
  CHECK_EQ(filter.run(fragment.bytes, 60, 60), 0u);
  Udp tcp(53, 53);
  tcp.bytes[23] = 6;
  CHECK_EQ(filter.run(tcp.bytes, 60, 60), 0u);
}

TEST(what_is_not_there_matches_nothing) {
  Filter filter;
  REQUIRE(filter.set(kUdpPort53, kCount));
  const Udp frame(9, 53);
  for (uint32_t length = 0; length < 38; length++) {
    // Exactly so many bytes exist: a sanitizer sees any more being read.
    const std::vector<uint8_t> part(frame.bytes, frame.bytes + length);
    CHECK_EQ(filter.run(part.data(), 60, length), 0u);
  }
}

TEST(programs_that_no_compiler_made) {
  Filter filter;
  CHECK(filter.set(nullptr, 0));
  CHECK_EQ(filter.run(nullptr, 0, 0), ~0u);  // no filter keeps all
  const BpfInstruction endless[] = {{5, 0, 0, ~0u}, {6, 0, 0, 1}};
  CHECK(!filter.set(endless, 2));
  const BpfInstruction beyond[] = {{21, 5, 0, 0}, {6, 0, 0, 1}};
  CHECK(!filter.set(beyond, 2));
  const BpfInstruction no_end[] = {{0, 0, 0, 1}};
  CHECK(!filter.set(no_end, 1));
  const BpfInstruction by_zero[] = {{0x34, 0, 0, 0}, {6, 0, 0, 1}};
  CHECK(!filter.set(by_zero, 2));
  const BpfInstruction memory[] = {{2, 0, 0, 16}, {6, 0, 0, 1}};
  CHECK(!filter.set(memory, 2));
  const BpfInstruction x_by_zero[] = {{0x3c, 0, 0, 0}, {6, 0, 0, 1}};
  REQUIRE(filter.set(x_by_zero, 2));
  CHECK_EQ(filter.run(nullptr, 0, 0), 0u);
  const BpfInstruction far[] = {{1, 0, 0, ~0u}, {0x40, 0, 0, ~0u}, {6, 0, 0, 1}};
  REQUIRE(filter.set(far, 3));
  CHECK_EQ(filter.run(Udp(1, 2).bytes, 60, 60), 0u);
}
