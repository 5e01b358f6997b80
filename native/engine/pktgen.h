// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. start_pktgen() checks a configuration against the ports it is to run on, then starts one
//   thread a port with the function asked for: tx and txseq (tx.cc), rx and rxseq (rx.cc), ping and
//   pong (ping.cc).
// Owns. Nothing: the Engine it hands out owns the threads; the caller keeps the ports.
// Invariants. Payload is written only where a frame differs from what its buffer already holds, and
//   read only when the function or an option asks for it.
// Not here. What frames look like (frame.h), when they may go (pace.h), captures (pcap.h), reports.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device/device.h"
#include "engine/engine.h"
#include "status.h"

namespace vale {

enum class PktGenFunction { tx, rx, ping, pong, txseq, rxseq };

// Addresses in network order, IPv4 in the first four bytes. end = start for a single one.
struct AddressRange {
  std::array<uint8_t, 16> start{};
  std::array<uint8_t, 16> end{};
  uint16_t port_start = 1234;
  uint16_t port_end = 1234;
};

struct MacRange {
  std::array<uint8_t, 6> start{};
  std::array<uint8_t, 6> end{};
};

// The reference's -o bits that change what an engine does; the others belong to the report.
enum PktGenOption : uint32_t {
  kOptPrefetch = 1,     // rx: prefetch payloads
  kOptAccess = 2,       // rx: read payloads
  kOptCopy = 4,         // tx: write each frame anew
  kOptMemcpy = 8,       // the same
  kOptIndirect = 32,    // -I
  kOptDump = 64,        // -X
  kOptRubbish = 256,    // -r
  kOptRandomSrc = 512,  // -z
  kOptRandomDst = 1024  // -Z
};

// Mirrors PktGenConfig of src/native-types.ts.
struct PktGenConfig {
  PktGenFunction function = PktGenFunction::rx;
  uint64_t count = 0;     // frames over all threads, 0 = for ever
  uint32_t size = 60;     // bytes without FCS, 16..65536
  uint32_t size_min = 0;  // > 0: random sizes in [size_min, size)
  uint32_t burst = 512;   // most frames a ring and turn, >= 1
  unsigned family = 4;    // 4 or 6
  AddressRange source, destination;
  MacRange source_mac, destination_mac;
  int affinity = -1;
  unsigned cpus = 0;
  double rate = 0;  // frames per second and thread, 0 = no limit
  bool dump = false;
  uint32_t header_length = 0;  // 0, 10 or 12 bytes of virtio-net header before each frame
  std::string pcap_file;       // empty = the built frame
  bool random_source = false;
  bool random_destination = false;
  uint32_t fragments = 1;     // 1..63 slots a frame; more where a frame does not fit
  uint32_t max_fragment = 0;  // bytes, 0 = the buffer's size
  bool indirect = false;
  bool wait_once = false;
  int verbose = 0;
  bool rubbish = false;
  uint32_t options = 0;
  bool busy = false;
  uint32_t spin = 0;  // µs
  uint64_t seed = 0;
  double duration = 0;  // s, 0 = none
};

// ports[i] belongs to thread i until the engine is done. EINVAL: the configuration contradicts
// itself; EMSGSIZE: frames the ports cannot carry; errors of reading pcap_file.
Status start_pktgen(PktGenConfig config, std::vector<Port*> ports, std::function<void()> on_done,
                    std::unique_ptr<Engine>* out);

}  // namespace vale
