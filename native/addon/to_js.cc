// SPDX-License-Identifier: BSD-2-Clause
// What the core says, as JavaScript sees it: objects of src/native-types.ts.
#include <cstdio>

#include "addon/convert.h"

namespace vale::addon {

std::string format_mac(const uint8_t mac[6]) {
  char text[18];
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                mac[4], mac[5]);
  return text;
}

Napi::Object to_js(Napi::Env env, const PortInfo& info) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", info.name);
  object.Set("device", info.device);
  object.Set("memsize", big(env, info.memsize));
  object.Set("offset", big(env, info.offset));
  object.Set("txSlots", info.tx_slots);
  object.Set("rxSlots", info.rx_slots);
  object.Set("txRings", info.tx_rings);
  object.Set("rxRings", info.rx_rings);
  object.Set("hostTxRings", info.host_tx_rings);
  object.Set("hostRxRings", info.host_rx_rings);
  object.Set("memId", info.mem_id);
  object.Set("extraBufs", info.extra_bufs);
  object.Set("bufSize", info.buf_size);
  object.Set("mtu", info.mtu);
  object.Set("mac", format_mac(info.mac));
  return object;
}

Napi::Object to_js(Napi::Env env, const PortCounters& counters) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("txFrames", big(env, counters.tx_frames));
  object.Set("txBytes", big(env, counters.tx_bytes));
  object.Set("txCopies", big(env, counters.tx_copies));
  object.Set("txDelivered", big(env, counters.tx_delivered));
  object.Set("rxFrames", big(env, counters.rx_frames));
  object.Set("rxBytes", big(env, counters.rx_bytes));
  object.Set("rxRead", big(env, counters.rx_read));
  object.Set("rxGone", big(env, counters.rx_gone));
  Napi::Object drops = Napi::Object::New(env);
  for (unsigned i = 0; i < kDropReasons; i++) drops.Set(kDropNames[i], big(env, counters.drops[i]));
  object.Set("drops", drops);
  return object;
}

Napi::Object to_js(Napi::Env env, const WireState& state) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("interface", state.interface);
  object.Set("backend", state.backend);
  object.Set("takeOver", state.take_over);
  object.Set("warning", state.warning);
  object.Set("host", state.host);
  object.Set("removed", state.removed);
  object.Set("up", state.up);
  object.Set("link", state.link);
  object.Set("linkDowns", big(env, state.link_downs));
  object.Set("speed", state.speed_mbps);
  object.Set("mtu", state.mtu);
  object.Set("mac", format_mac(state.mac));
  object.Set("promiscuous", state.promiscuous);
  object.Set("unservedQueues", state.unserved_queues);
  object.Set("unreachable", state.unreachable);
  object.Set("anotherWaits", state.another_waits);
  object.Set("kernelDrops", big(env, state.kernel_drops));
  object.Set("nicRxDropped", big(env, state.nic_rx_dropped));
  object.Set("nicTxDropped", big(env, state.nic_tx_dropped));
  return object;
}

Napi::Object to_js(Napi::Env env, const PortRow& row) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", row.name);
  object.Set("kind", row.kind);
  object.Set("switchIndex", row.switch_index);
  object.Set("portIndex", row.port_index);
  object.Set("attached", row.attached);
  object.Set("headerLength", row.header_length);
  object.Set("info", to_js(env, row.info));
  if (!row.counted) return object;
  object.Set("persistent", row.persistent);
  object.Set("registrations", row.registrations);
  object.Set("counters", to_js(env, row.counters));
  return object;
}

Napi::Object to_js(Napi::Env env, const SwitchRow& row) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", row.name);
  object.Set("index", row.index);
  object.Set("ports", row.ports);
  if (!row.counted) return object;
  object.Set("fdbEntries", row.fdb_entries);
  object.Set("ageing", row.ageing_s);
  object.Set("totals", to_js(env, row.totals));
  return object;
}

Napi::Object to_js(Napi::Env env, const AgentRow& row) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("port", row.port);
  object.Set("interface", row.interface);
  object.Set("netns", row.netns);
  object.Set("socket", row.socket);
  object.Set("name", row.name);
  object.Set("netnsInode", static_cast<double>(row.netns_inode));
  object.Set("alive", row.alive);
  object.Set("told", row.told);
  object.Set("stalled", row.stalled);
  object.Set("host", row.host);
  object.Set("state", to_js(env, row.state));
  object.Set("pid", row.pid);
  object.Set("pollCores", row.poll_cores);
  object.Set("pollFirst", row.poll_first);
  object.Set("started", static_cast<double>(row.started));
  object.Set("ended", static_cast<double>(row.ended));
  object.Set("why", row.why);
  object.Set("olderLog", row.older_log);
  object.Set("log", row.log);
  object.Set("wire", to_js(env, row.wire));
  object.Set("hostSide", to_js(env, row.host_side));
  return object;
}

Napi::Object to_js(Napi::Env env, const FdbRow& row) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("mac", format_mac(row.mac));
  object.Set("portIndex", row.port_index);
  object.Set("port", row.port);
  object.Set("isStatic", row.is_static);
  object.Set("age", row.age_s);
  return object;
}

}  // namespace vale::addon
