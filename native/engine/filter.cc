// SPDX-License-Identifier: BSD-2-Clause
#include "engine/filter.h"

#include <dlfcn.h>

namespace vale {
namespace {

constexpr int kEthernet = 1;  // DLT_EN10MB
constexpr uint32_t kNetmaskUnknown = 0xffffffff;

struct Program {  // bpf_program
  unsigned count;
  BpfInstruction* code;
};

struct Libpcap {
  void* (*open_dead)(int, int);
  int (*compile)(void*, Program*, const char*, int, uint32_t);
  void (*freecode)(Program*);
  char* (*geterr)(void*);
  void (*close)(void*);
};

template <typename F>
bool find(void* library, const char* name, F* out) {
  *out = reinterpret_cast<F>(dlsym(library, name));
  return *out != nullptr;
}

bool load(Libpcap* out) {
  void* library = nullptr;
  for (const char* name : {"libpcap.so.0.8", "libpcap.so.1", "libpcap.so.8", "libpcap.so"}) {
    if (library == nullptr) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  return library != nullptr && find(library, "pcap_open_dead", &out->open_dead) &&
         find(library, "pcap_compile", &out->compile) &&
         find(library, "pcap_freecode", &out->freecode) &&
         find(library, "pcap_geterr", &out->geterr) && find(library, "pcap_close", &out->close);
}

}  // namespace

Status compile_filter(const std::string& text, uint32_t snaplen, Filter* out) {
  if (text.empty()) return Status::good();
  Libpcap pcap;
  if (!load(&pcap)) {
    return Status::fail(ENOENT,
                        "filter '%s': libpcap, which compiles filters, is not on this machine: "
                        "install it (apt-get install libpcap0.8), or capture without a filter",
                        text.c_str());
  }
  void* dead = pcap.open_dead(kEthernet, static_cast<int>(snaplen));
  if (dead == nullptr) return Status::fail(ENOMEM, "filter '%s': out of memory", text.c_str());
  Program program{};
  Status status;
  if (pcap.compile(dead, &program, text.c_str(), 1, kNetmaskUnknown) != 0) {
    status = Status::fail(EINVAL, "filter '%s': %s; see pcap-filter(7)", text.c_str(),
                          pcap.geterr(dead));
  } else {
    if (!out->set(program.code, program.count))
      status =
          Status::fail(EINVAL, "filter '%s': libpcap made no valid program of it", text.c_str());
    pcap.freecode(&program);
  }
  pcap.close(dead);
  return status;
}

}  // namespace vale
