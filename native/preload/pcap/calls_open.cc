// SPDX-License-Identifier: BSD-2-Clause
// libpcap's functions that make, set up and end a handle, and that list devices.
#include <cstdlib>
#include <cstring>

#include "preload/pcap/calls_packet.h"
#include "preload/pcap/device_name.h"
#include "preload/pcap/handle.h"
#include "preload/pcap/library.h"
#include "preload/real.h"

namespace vale::preload {
namespace {

struct Address {
  Address* next;
};
struct Interface {  // pcap_if_t
  Interface* next;
  char* name;
  char* description;
  Address* addresses;
  uint32_t flags;
};
constexpr uint32_t kUp = 0x2, kRunning = 0x4, kConnected = 0x10;

Interface* make_interface(const std::string& name, const std::string& description) {
  auto* i = static_cast<Interface*>(std::calloc(1, sizeof(Interface)));
  if (i == nullptr) return nullptr;
  i->name = strdup(name.c_str());
  i->description = strdup(description.c_str());
  i->flags = kUp | kRunning | kConnected;
  return i;
}

// The list's end, where each new interface goes.
struct Tail {
  Interface** end;
  bool add(const std::string& name, const std::string& description) {
    *end = make_interface(name, description);
    if (*end == nullptr) return false;
    end = &(*end)->next;
    return true;
  }
};

// What there is on our switches now, behind the interfaces of the machine; freed by pcap_freealldevs().
void append_ports(Interface** list) {
  Guard table(g_table_lock);
  int err;
  Device* device = table.held ? device_of(nullptr, &err) : nullptr;
  std::vector<PortRow> rows;
  if (device == nullptr || !device->list(&rows).ok()) return;
  Tail tail{list};
  while (*tail.end != nullptr) tail.end = &(*tail.end)->next;
  for (const PortRow& row : rows) {
    if (std::strcmp(row.kind, "port") != 0) continue;
    // A persistent port is an interface under its bare name.
    if (row.persistent && !tail.add(bare_name(row.name), "persistent port " + row.name)) return;
    if (row.attached && !tail.add(row.name, "port of a switch; who opens it too shares its rings"))
      return;
    // Who is open can be watched.
    if (row.registrations != 0 && row.attached &&
        !tail.add(row.name + "/rt", "what " + row.name + " sends and receives"))
      return;
  }
}

int set_int(void* p, int value, const char* name, int Handle::*member) {
  if (Handle* h = handle_of(p)) {
    if (h->active()) return kPcapActivated;
    h->*member = value;
    return 0;
  }
  using Set = int (*)(void*, int);
  return reinterpret_cast<Set>(next_pcap(name))(p, value);
}

// A setting that means nothing to a port.
int ignore_int(void* p, int value, const char* name) {
  if (Handle* h = handle_of(p)) return h->active() ? kPcapActivated : 0;
  using Set = int (*)(void*, int);
  return reinterpret_cast<Set>(next_pcap(name))(p, value);
}

}  // namespace

EXPORT(void*, pcap_create, (const char* device, char* error)) {
  if (!is_our_device(device)) {
    NEXT(void* (*)(const char*, char*), "pcap_create");
    return next(device, error);
  }
  Handle* h = make_handle(device);
  if (h == nullptr) std::snprintf(error, kPcapErrorSize, "too many handles");
  return h;
}

EXPORT(int, pcap_activate, (void* p)) {
  if (Handle* h = handle_of(p)) return h->activate();
  NEXT(int (*)(void*), "pcap_activate");
  NoStandIn received_on;
  return next(p);
}

EXPORT(void*, pcap_open_live, (const char* device, int snaplen, int promisc, int ms, char* error)) {
  if (!is_our_device(device)) {
    NEXT(void* (*)(const char*, int, int, int, char*), "pcap_open_live");
    NoStandIn received_on;
    return next(device, snaplen, promisc, ms, error);
  }
  Handle* h = make_handle(device);
  if (h == nullptr) return nullptr;
  h->snaplen = snaplen;
  h->timeout_ms = ms;
  if (h->activate() == 0) return h;
  std::snprintf(error, kPcapErrorSize, "%.60s: %.190s", device, h->error);
  drop_handle(h);
  return nullptr;
}

EXPORT(void, pcap_close, (void* p)) {
  if (Handle* h = handle_of(p)) return drop_handle(h);
  NEXT(void (*)(void*), "pcap_close");
  next(p);
}

EXPORT(int, pcap_set_snaplen, (void* p, int n)) {
  return set_int(p, n, "pcap_set_snaplen", &Handle::snaplen);
}
EXPORT(int, pcap_set_timeout, (void* p, int ms)) {
  return set_int(p, ms, "pcap_set_timeout", &Handle::timeout_ms);
}
EXPORT(int, pcap_set_tstamp_precision, (void* p, int precision)) {
  if (handle_of(p) != nullptr && precision != 0 && precision != 1) return -12;
  return set_int(p, precision, "pcap_set_tstamp_precision", &Handle::nanoseconds);
}
EXPORT(int, pcap_get_tstamp_precision, (void* p)) {
  if (const Handle* h = handle_of(p)) return h->nanoseconds;
  NEXT(int (*)(void*), "pcap_get_tstamp_precision");
  return next(p);
}
// A port has every frame that comes, at once, in a buffer of its rings' size.
EXPORT(int, pcap_set_promisc, (void* p, int on)) { return ignore_int(p, on, "pcap_set_promisc"); }
EXPORT(int, pcap_set_immediate_mode, (void* p, int on)) {
  return ignore_int(p, on, "pcap_set_immediate_mode");
}
EXPORT(int, pcap_set_buffer_size, (void* p, int n)) {
  return ignore_int(p, n, "pcap_set_buffer_size");
}
EXPORT(int, pcap_set_protocol_linux, (void* p, int n)) {
  return ignore_int(p, n, "pcap_set_protocol_linux");
}
EXPORT(int, pcap_set_rfmon, (void* p, int on)) {
  if (handle_of(p) != nullptr && on != 0) return -6;  // PCAP_ERROR_RFMON_NOTSUP
  return ignore_int(p, on, "pcap_set_rfmon");
}
EXPORT(int, pcap_set_tstamp_type, (void* p, int type)) {
  if (handle_of(p) != nullptr && type != 0) return 3;  // PCAP_WARNING_TSTAMP_TYPE_NOTSUP
  return ignore_int(p, type, "pcap_set_tstamp_type");
}
EXPORT(int, pcap_can_set_rfmon, (void* p)) {
  if (handle_of(p) != nullptr) return 0;
  NEXT(int (*)(void*), "pcap_can_set_rfmon");
  return next(p);
}
EXPORT(int, pcap_list_tstamp_types, (void* p, int** types)) {
  if (handle_of(p) != nullptr) {
    *types = nullptr;
    return 0;
  }
  NEXT(int (*)(void*, int**), "pcap_list_tstamp_types");
  return next(p, types);
}

EXPORT(int, pcap_findalldevs, (Interface * *list, char* error)) {
  NEXT(int (*)(Interface**, char*), "pcap_findalldevs");
  const int result = next(list, error);
  if (result == 0) append_ports(list);
  return result;
}

EXPORT(int, pcap_lookupnet, (const char* device, uint32_t* net, uint32_t* mask, char* error)) {
  if (is_our_device(device)) {
    *net = *mask = 0;
    return 0;
  }
  NEXT(int (*)(const char*, uint32_t*, uint32_t*, char*), "pcap_lookupnet");
  return next(device, net, mask, error);
}

}  // namespace vale::preload
