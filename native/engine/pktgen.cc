// SPDX-License-Identifier: BSD-2-Clause
#include "engine/pktgen.h"

#include <algorithm>
#include <cstring>

#include "engine/frame.h"
#include "engine/loops.h"

namespace vale {
namespace {

constexpr uint32_t kMaxSlots = NETMAP_MAX_FRAGS;

const char* name_of(PktGenFunction function) {
  switch (function) {
    case PktGenFunction::tx:
      return "tx";
    case PktGenFunction::rx:
      return "rx";
    case PktGenFunction::ping:
      return "ping";
    case PktGenFunction::pong:
      return "pong";
    case PktGenFunction::txseq:
      return "txseq";
    case PktGenFunction::rxseq:
      return "rxseq";
  }
  return "?";
}

bool sends(PktGenFunction f) { return f != PktGenFunction::rx && f != PktGenFunction::rxseq; }
bool receives(PktGenFunction f) { return f != PktGenFunction::tx && f != PktGenFunction::txseq; }

bool backwards(const AddressRange& range) {
  return range.end < range.start || range.port_end < range.port_start;
}

void apply_options(PktGenConfig& config) {
  config.indirect |= (config.options & kOptIndirect) != 0;
  config.dump |= (config.options & kOptDump) != 0;
  config.rubbish |= (config.options & kOptRubbish) != 0;
  config.random_source |= (config.options & kOptRandomSrc) != 0;
  config.random_destination |= (config.options & kOptRandomDst) != 0;
}

// What does not depend on the ports.
Status check(const PktGenConfig& config) {
  const char* function = name_of(config.function);
  if (config.family != 4 && config.family != 6) {
    return Status::fail(EINVAL, "address family %u: only 4 and 6 exist", config.family);
  }
  if (config.size < kMinFrame || config.size > kMaxFrame) {
    return Status::fail(EINVAL, "frame size %u is not within %u..%u bytes", config.size, kMinFrame,
                        kMaxFrame);
  }
  if (config.size_min != 0 && (config.size_min < kMinFrame || config.size_min >= config.size)) {
    return Status::fail(EINVAL, "random frame sizes need %u <= minimum < %u, the minimum is %u",
                        kMinFrame, config.size, config.size_min);
  }
  if (config.burst == 0) return Status::fail(EINVAL, "a burst of 0 frames never sends anything");
  if (config.fragments == 0 || config.fragments >= kMaxSlots) {
    return Status::fail(EINVAL, "%u fragments a frame is not within 1..%u", config.fragments,
                        kMaxSlots - 1);
  }
  const uint32_t headers = config.header_length + kEthernetBytes;
  if (config.max_fragment != 0 && config.max_fragment < headers) {
    return Status::fail(EINVAL, "fragments of at most %u bytes cannot hold the %u bytes of headers",
                        config.max_fragment, headers);
  }
  if (config.header_length != 0 && config.header_length != 10 && config.header_length != 12) {
    return Status::fail(EINVAL, "virtio-net header length %u: 0, 10 or 12 are possible",
                        config.header_length);
  }
  if (backwards(config.source) || backwards(config.destination) ||
      config.source_mac.end < config.source_mac.start ||
      config.destination_mac.end < config.destination_mac.start) {
    return Status::fail(EINVAL, "a range ends before it starts");
  }
  if (!(config.rate >= 0) || !(config.duration >= 0)) {
    return Status::fail(EINVAL, "a rate or duration below 0");
  }
  if (!config.pcap_file.empty() && config.function != PktGenFunction::tx) {
    return Status::fail(EINVAL, "%s: a capture is played by function tx, not by %s",
                        config.pcap_file.c_str(), function);
  }
  const uint32_t payload = config.family == 6 ? 62 : 42;
  const uint32_t fields = config.function == PktGenFunction::txseq  ? 4
                          : config.function == PktGenFunction::ping ? Frame::kPayloadFields
                                                                    : 0;
  const uint32_t least = config.size_min != 0 ? config.size_min : config.size;
  if (fields != 0 && least < payload + fields) {
    return Status::fail(EINVAL, "%s needs frames of at least %u bytes, not %u", function,
                        payload + fields, least);
  }
  return Status::good();
}

// Frames of a capture that were cut when they were captured: those who look at them should know.
void say_cut(Engine& engine, const std::string& file, const Capture& capture) {
  const auto cut =
      std::count_if(capture.frames.begin(), capture.frames.end(),
                    [](const CapturedFrame& frame) { return frame.bytes < frame.whole; });
  if (cut == 0) return;
  engine.say(true, file + ": " + std::to_string(cut) + " of " +
                       std::to_string(capture.frames.size()) +
                       " frames were not captured whole; what is there of them is sent");
}

Status check_port(const PktGenRun& run, const Port& port, uint32_t longest) {
  const PktGenConfig& config = run.config;
  const char* name = port.info().name.c_str();
  const char* function = name_of(config.function);
  if (sends(config.function) && port.first_tx() == port.last_tx()) {
    return Status::fail(EINVAL, "%s: %s needs a tx ring, the port was opened without", name,
                        function);
  }
  if (receives(config.function) && port.first_rx() == port.last_rx()) {
    return Status::fail(EINVAL, "%s: %s needs an rx ring, the port was opened without", name,
                        function);
  }
  if (!sends(config.function) || config.function == PktGenFunction::pong) return Status::good();
  if (longest > port.info().mtu) {
    return Status::fail(EMSGSIZE, "%s carries frames of at most %u bytes, not %u", name,
                        port.info().mtu, longest);
  }
  for (unsigned i = port.first_tx(); i < port.last_tx(); i++) {
    const RingView& ring = port.tx_view(i);
    const uint32_t slots = run.plan.cut(longest + config.header_length, ring.buf_size()).slots;
    const uint32_t most = std::min(kMaxSlots, ring.slots() - 1);
    if (slots > most) {
      return Status::fail(
          EMSGSIZE,
          "%s: a frame of %u bytes takes %u slots of a tx ring in which %u can be "
          "used; send shorter frames or longer fragments, or open it with more slots",
          name, longest, slots, most);
    }
  }
  return Status::good();
}

}  // namespace

Status port_gone(const Port& port, int err) {
  const char* name = port.info().name.c_str();
  switch (err) {
    case ENXIO:
      return Status::fail(err, "%s was detached while it was in use", name);
    case EPIPE:
      return Status::fail(err, "%s: what it watches has closed", name);
    case EIO:
      return Status::fail(
          err, "%s is lost: somebody cut the file of its memory short; open it again", name);
    case ENODEV:
      return Status::fail(err, "%s is gone: its runtime directory or interface was removed", name);
    default:
      return Status::fail(err, "%s: sync failed: %s", name, std::strerror(err));
  }
}

Status start_pktgen(PktGenConfig config, std::vector<Port*> ports, std::function<void()> on_done,
                    std::unique_ptr<Engine>* out) {
  auto run = std::make_shared<PktGenRun>();
  apply_options(config);
  run->config = std::move(config);
  run->ports = std::move(ports);
  const PktGenConfig& c = run->config;
  if (Status bad = check(c); !bad.ok()) return bad;
  if (run->ports.empty()) return Status::fail(EINVAL, "no port to run on");
  if (c.function == PktGenFunction::ping && run->ports.size() != 1) {
    return Status::fail(EINVAL, "ping needs 1 thread, not %zu", run->ports.size());
  }

  uint32_t longest = c.size;
  if (!c.pcap_file.empty()) {
    if (Status bad = load_capture(c.pcap_file, &run->capture); !bad.ok()) return bad;
    longest = 0;
    for (const CapturedFrame& frame : run->capture.frames) longest = std::max(longest, frame.bytes);
  }
  run->plan.fragments = c.fragments;
  run->plan.max_fragment = c.max_fragment;
  run->plan.first_bytes = c.header_length + kEthernetBytes;
  run->plan.indirect = c.indirect;
  run->plan.rubbish = c.rubbish;
  run->plan.rewrite = (c.options & (kOptCopy | kOptMemcpy)) != 0;
  for (const Port* port : run->ports) {
    if (Status bad = check_port(*run, *port, longest); !bad.ok()) return bad;
  }

  Engine::Options options;
  options.threads = options.lanes = static_cast<unsigned>(run->ports.size());
  options.duration = c.duration;
  options.affinity = c.affinity;
  options.cpus = c.cpus;
  options.on_done = std::move(on_done);
  auto engine = std::make_unique<Engine>();
  const Status status = engine->start(std::move(options), [run](Engine& self, unsigned thread) {
    switch (run->config.function) {
      case PktGenFunction::tx:
      case PktGenFunction::txseq:
        return run_tx(*run, self, thread);
      case PktGenFunction::rx:
      case PktGenFunction::rxseq:
        return run_rx(*run, self, thread);
      case PktGenFunction::ping:
        return run_ping(*run, self, thread);
      case PktGenFunction::pong:
        return run_pong(*run, self, thread);
    }
    return Status::fail(EINVAL, "unknown function");
  });
  if (!status.ok()) return status;
  say_cut(*engine, c.pcap_file, run->capture);
  *out = std::move(engine);
  return status;
}

}  // namespace vale
