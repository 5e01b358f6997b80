// SPDX-License-Identifier: BSD-2-Clause
#include "addon/engine_config.h"

#include <iterator>
#include <string>

#include "addon/convert.h"

namespace vale::addon {
namespace {

void read_range(Fields& config, const char* name, unsigned family, AddressRange* out) {
  if (!config.has(name)) return;
  Fields range(config.env(), config.child(name), name);
  const size_t length = family == 6 ? 16 : 4;
  range.bytes("start", out->start.data(), length);
  out->end = out->start;
  range.bytes("end", out->end.data(), length);
  range.number("portStart", &out->port_start);
  out->port_end = out->port_start;
  range.number("portEnd", &out->port_end);
  if (!range.ok()) config.abandon();
}

void read_range(Fields& config, const char* name, MacRange* out) {
  if (!config.has(name)) return;
  Fields range(config.env(), config.child(name), name);
  range.mac("start", out->start.data());
  out->end = out->start;
  range.mac("end", out->end.data());
  if (!range.ok()) config.abandon();
}

void read_function(Fields& config, PktGenFunction* out) {
  constexpr const char* names[] = {"tx", "rx", "ping", "pong", "txseq", "rxseq"};
  std::string text = "rx";
  config.string("function", &text);
  if (!config.ok()) return;
  for (size_t i = 0; i < std::size(names); i++) {
    if (text == names[i]) {
      *out = static_cast<PktGenFunction>(i);
      return;
    }
  }
  config.reject("function", "tx, rx, ping, pong, txseq or rxseq");
}

}  // namespace

bool read_config(Napi::Env env, Napi::Value value, PktGenConfig* out) {
  Fields config(env, value, "config");
  read_function(config, &out->function);
  config.number("count", &out->count);
  config.number("size", &out->size);
  config.number("sizeMin", &out->size_min);
  config.number("burst", &out->burst);
  config.number("family", &out->family);
  if (config.ok() && out->family != 4 && out->family != 6) config.reject("family", "4 or 6");
  read_range(config, "source", out->family, &out->source);
  read_range(config, "destination", out->family, &out->destination);
  read_range(config, "sourceMac", &out->source_mac);
  read_range(config, "destinationMac", &out->destination_mac);
  config.number("affinity", &out->affinity);
  config.number("cpus", &out->cpus);
  config.real("rate", &out->rate);
  config.boolean("dump", &out->dump);
  config.number("headerLength", &out->header_length);
  config.string("pcapFile", &out->pcap_file);
  config.boolean("randomSource", &out->random_source);
  config.boolean("randomDestination", &out->random_destination);
  config.number("fragments", &out->fragments);
  config.number("maxFragment", &out->max_fragment);
  config.boolean("indirect", &out->indirect);
  config.boolean("waitOnce", &out->wait_once);
  config.number("verbose", &out->verbose);
  config.boolean("rubbish", &out->rubbish);
  config.number("options", &out->options);
  config.boolean("busy", &out->busy);
  config.number("spin", &out->spin);
  config.number("seed", &out->seed);
  config.real("duration", &out->duration);
  return config.ok();
}

bool read_config(Napi::Env env, Napi::Value value, BridgeConfig* out) {
  Fields config(env, value, "config");
  config.number("burst", &out->burst);
  config.boolean("zeroCopy", &out->zero_copy);
  config.boolean("loopback", &out->one_way);
  config.boolean("busy", &out->busy);
  config.number("spin", &out->spin);
  config.number("verbose", &out->verbose);
  config.number("affinity", &out->affinity);
  return config.ok();
}

bool read_config(Napi::Env env, Napi::Value value, CaptureConfig* out) {
  Fields config(env, value, "config");
  config.string("output", &out->output);
  config.string("name", &out->interface.name);
  config.string("description", &out->interface.description);
  config.string("filter", &out->interface.filter);
  config.string("application", &out->interface.application);
  config.string("os", &out->interface.os);
  config.string("hardware", &out->interface.hardware);
  config.number("snaplen", &out->interface.snaplen);
  config.number("count", &out->count);
  config.real("duration", &out->duration);
  config.number("buffer", &out->buffer);
  config.number("nextAfterBytes", &out->next_after_bytes);
  config.number("nextAfterFrames", &out->next_after_frames);
  config.real("nextAfterSeconds", &out->next_after_seconds);
  config.real("nextEverySeconds", &out->next_every_seconds);
  config.number("keepFiles", &out->keep_files);
  config.number("stopAfterBytes", &out->stop_after_bytes);
  config.number("stopAfterFiles", &out->stop_after_files);
  config.boolean("busy", &out->busy);
  config.number("spin", &out->spin);
  return config.ok();
}

}  // namespace vale::addon
