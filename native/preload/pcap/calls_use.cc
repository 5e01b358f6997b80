// SPDX-License-Identifier: BSD-2-Clause
// libpcap's functions that use a handle: reading, writing, filters, and what is asked about it.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "preload/pcap/handle.h"
#include "preload/pcap/library.h"
#include "preload/real.h"

namespace vale::preload {
namespace {

struct Program {  // bpf_program
  unsigned count;
  BpfInstruction* code;
};

// What is the same for every handle of ours.
int constant(void* p, int ours, const char* name) {
  const Handle* h = handle_of(p);
  if (h != nullptr) return h->active() ? ours : kPcapNotActivated;
  using Ask = int (*)(void*);
  return reinterpret_cast<Ask>(next_pcap(name))(p);
}

void* open_dump(void* p, const char* name, const void* target) {
  using Open = void* (*)(void*, const void*);
  const auto open = reinterpret_cast<Open>(next_pcap(name));
  Handle* h = handle_of(p);
  if (h == nullptr) return open(p, target);
  void* dead = h->dead();
  void* dump = dead != nullptr ? open(dead, target) : nullptr;
  if (dump == nullptr && dead != nullptr) {
    using Error = char* (*)(void*);
    h->fail(kPcapError, reinterpret_cast<Error>(next_pcap("pcap_geterr"))(dead));
  }
  return dump;
}

}  // namespace

EXPORT(int, pcap_loop, (void* p, int count, PcapCallback callback, unsigned char* user)) {
  Handle* h = handle_of(p);
  if (h == nullptr) {
    NEXT(int (*)(void*, int, PcapCallback, unsigned char*), "pcap_loop");
    return next(p, count, callback, user);
  }
  for (int left = count;;) {
    const int n = h->read(count > 0 ? left : 0, true, callback, user);
    if (n < 0) return n;
    if (count > 0 && (left -= n) <= 0) return 0;
  }
}

EXPORT(int, pcap_dispatch, (void* p, int count, PcapCallback callback, unsigned char* user)) {
  if (Handle* h = handle_of(p)) return h->read(count, true, callback, user);
  NEXT(int (*)(void*, int, PcapCallback, unsigned char*), "pcap_dispatch");
  return next(p, count, callback, user);
}

EXPORT(int, pcap_next_ex, (void* p, PcapHeader** header, const unsigned char** data)) {
  if (Handle* h = handle_of(p)) return h->next(header, data);
  NEXT(int (*)(void*, PcapHeader**, const unsigned char**), "pcap_next_ex");
  return next(p, header, data);
}

EXPORT(const unsigned char*, pcap_next, (void* p, PcapHeader* header)) {
  Handle* h = handle_of(p);
  if (h == nullptr) {
    NEXT(const unsigned char* (*)(void*, PcapHeader*), "pcap_next");
    return next(p, header);
  }
  PcapHeader* own;
  const unsigned char* data;
  if (h->next(&own, &data) != 1) return nullptr;
  *header = *own;
  return data;
}

EXPORT(void, pcap_breakloop, (void* p)) {
  if (Handle* h = handle_of(p)) return h->break_loop();
  NEXT(void (*)(void*), "pcap_breakloop");
  next(p);
}

EXPORT(int, pcap_inject, (void* p, const void* frame, size_t size)) {
  if (Handle* h = handle_of(p)) return h->inject(frame, size);
  NEXT(int (*)(void*, const void*, size_t), "pcap_inject");
  return next(p, frame, size);
}

EXPORT(int, pcap_sendpacket, (void* p, const unsigned char* frame, int size)) {
  if (Handle* h = handle_of(p))
    return h->inject(frame, static_cast<size_t>(size < 0 ? 0 : size)) < 0 ? -1 : 0;
  NEXT(int (*)(void*, const unsigned char*, int), "pcap_sendpacket");
  return next(p, frame, size);
}

EXPORT(int, pcap_stats, (void* p, PcapStat* out)) {
  if (Handle* h = handle_of(p)) return h->stats(out);
  NEXT(int (*)(void*, PcapStat*), "pcap_stats");
  return next(p, out);
}

EXPORT(int, pcap_compile,
       (void* p, Program* program, const char* text, int optimize, uint32_t netmask)) {
  NEXT(int (*)(void*, Program*, const char*, int, uint32_t), "pcap_compile");
  Handle* h = handle_of(p);
  if (h == nullptr) return next(p, program, text, optimize, netmask);
  void* dead = h->dead();
  if (dead == nullptr) return h->fail(kPcapError, "libpcap is not there");
  const int result = next(dead, program, text, optimize, netmask);
  using Error = char* (*)(void*);
  if (result != 0) h->fail(result, reinterpret_cast<Error>(next_pcap("pcap_geterr"))(dead));
  return result;
}

EXPORT(int, pcap_setfilter, (void* p, Program* program)) {
  if (Handle* h = handle_of(p)) {
    if (program != nullptr && h->filter.set(program->code, program->count)) return 0;
    return h->fail(kPcapError, "the filter is not a valid program");
  }
  NEXT(int (*)(void*, Program*), "pcap_setfilter");
  return next(p, program);
}

EXPORT(int, pcap_setdirection, (void* p, int direction)) {
  if (Handle* h = handle_of(p)) {
    h->direction = direction;
    return 0;
  }
  NEXT(int (*)(void*, int), "pcap_setdirection");
  return next(p, direction);
}

EXPORT(int, pcap_setnonblock, (void* p, int on, char* error)) {
  if (Handle* h = handle_of(p)) {
    h->nonblock = on != 0;
    return 0;
  }
  NEXT(int (*)(void*, int, char*), "pcap_setnonblock");
  return next(p, on, error);
}

EXPORT(int, pcap_getnonblock, (void* p, char* error)) {
  if (const Handle* h = handle_of(p)) return h->nonblock;
  NEXT(int (*)(void*, char*), "pcap_getnonblock");
  return next(p, error);
}

EXPORT(char*, pcap_geterr, (void* p)) {
  if (Handle* h = handle_of(p)) return h->error;
  NEXT(char* (*)(void*), "pcap_geterr");
  return next(p);
}

EXPORT(void, pcap_perror, (void* p, const char* prefix)) {
  if (const Handle* h = handle_of(p)) {
    std::fprintf(stderr, "%s: %s\n", prefix, h->error);
    return;
  }
  NEXT(void (*)(void*, const char*), "pcap_perror");
  next(p, prefix);
}

EXPORT(int, pcap_snapshot, (void* p)) {
  const Handle* h = handle_of(p);
  return constant(p, h != nullptr ? h->snaplen : 0, "pcap_snapshot");
}
EXPORT(int, pcap_datalink, (void* p)) { return constant(p, kEthernet, "pcap_datalink"); }
EXPORT(int, pcap_datalink_ext, (void* p)) { return constant(p, kEthernet, "pcap_datalink_ext"); }
EXPORT(int, pcap_is_swapped, (void* p)) { return constant(p, 0, "pcap_is_swapped"); }
EXPORT(int, pcap_major_version, (void* p)) { return constant(p, 2, "pcap_major_version"); }
EXPORT(int, pcap_minor_version, (void* p)) { return constant(p, 4, "pcap_minor_version"); }
EXPORT(int, pcap_bufsize, (void* p)) { return constant(p, 65536, "pcap_bufsize"); }

EXPORT(int, pcap_set_datalink, (void* p, int type)) {
  if (Handle* h = handle_of(p))
    return type == kEthernet ? 0 : h->fail(kPcapError, "a port carries Ethernet frames only");
  NEXT(int (*)(void*, int), "pcap_set_datalink");
  return next(p, type);
}

EXPORT(int, pcap_list_datalinks, (void* p, int** list)) {
  const Handle* h = handle_of(p);
  if (h == nullptr) {
    NEXT(int (*)(void*, int**), "pcap_list_datalinks");
    return next(p, list);
  }
  if (!h->active()) return kPcapNotActivated;
  *list = static_cast<int*>(std::malloc(sizeof(int)));  // for pcap_free_datalinks()
  if (*list == nullptr) return kPcapError;
  **list = kEthernet;
  return 1;
}

EXPORT(int, pcap_fileno, (void* p)) {
  if (const Handle* h = handle_of(p)) return h->fd();
  NEXT(int (*)(void*), "pcap_fileno");
  return next(p);
}
EXPORT(int, pcap_get_selectable_fd, (void* p)) {
  if (const Handle* h = handle_of(p)) return h->fd();
  NEXT(int (*)(void*), "pcap_get_selectable_fd");
  return next(p);
}
EXPORT(const void*, pcap_get_required_select_timeout, (void* p)) {
  if (handle_of(p) != nullptr) return nullptr;
  NEXT(const void* (*)(void*), "pcap_get_required_select_timeout");
  return next(p);
}
EXPORT(void*, pcap_file, (void* p)) {
  if (handle_of(p) != nullptr) return nullptr;
  NEXT(void* (*)(void*), "pcap_file");
  return next(p);
}

EXPORT(void*, pcap_dump_open, (void* p, const char* file)) {
  return open_dump(p, "pcap_dump_open", file);
}
EXPORT(void*, pcap_dump_open_append, (void* p, const char* file)) {
  return open_dump(p, "pcap_dump_open_append", file);
}
EXPORT(void*, pcap_dump_fopen, (void* p, void* file)) {
  return open_dump(p, "pcap_dump_fopen", file);
}

}  // namespace vale::preload
