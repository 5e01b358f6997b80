// SPDX-License-Identifier: BSD-2-Clause
#include "preload/pcap/library.h"

#include <dlfcn.h>

#include <atomic>
#include <cstring>

#include "preload/real.h"

namespace vale::preload {
namespace {

using Lookup = void* (*)(void*, const char*);

std::atomic<void*> g_library{nullptr};  // the libpcap that the program opened

// libc's own, by the versions in which glibc has it.
Lookup libc_dlsym() {
  static const auto found = [] {
    for (const char* version : {"GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.27"}) {
      if (void* f = dlvsym(RTLD_NEXT, "dlsym", version)) return reinterpret_cast<Lookup>(f);
    }
    std::abort();  // no glibc: nothing of this library would work
  }();
  return found;
}

bool is_libpcap(const char* path) {
  const char* slash = path != nullptr ? std::strrchr(path, '/') : nullptr;
  const char* file = slash != nullptr ? slash + 1 : path;
  return file != nullptr && std::strncmp(file, "libpcap.so", 10) == 0;
}

// What we answer instead of libpcap's function `theirs`; nullptr: nothing.
void* ours(const char* name, void* theirs) {
  Dl_info of_theirs, of_ours, self;
  if (theirs == nullptr || dladdr(theirs, &of_theirs) == 0 || !is_libpcap(of_theirs.dli_fname))
    return nullptr;
  void* found = libc_dlsym()(RTLD_DEFAULT, name);
  if (found == nullptr || dladdr(found, &of_ours) == 0 ||
      dladdr(reinterpret_cast<void*>(&next_pcap), &self) == 0 ||
      of_ours.dli_fbase != self.dli_fbase)
    return nullptr;
  void* none = nullptr;
  void* library = dlopen(of_theirs.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (library != nullptr && !g_library.compare_exchange_strong(none, library)) dlclose(library);
  return found;
}

}  // namespace

void* next_pcap(const char* name) {
  if (void* found = libc_dlsym()(RTLD_NEXT, name)) return found;
  void* library = g_library.load();
  if (library == nullptr) library = dlopen("libpcap.so.0.8", RTLD_LAZY | RTLD_NOLOAD);
  return library != nullptr ? libc_dlsym()(library, name) : nullptr;
}

// libc's looks at who called it, so it is jumped to and not called: the way back leads to the program.
// Compilers do that to a call that ends a function, with optimisation.
EXPORT(void*, dlsym, (void* library, const char* name)) {
  if (library != RTLD_NEXT && library != RTLD_DEFAULT && name != nullptr &&
      std::strncmp(name, "pcap_", 5) == 0) {
    if (void* mine = ours(name, libc_dlsym()(library, name))) return mine;
  }
  return libc_dlsym()(library, name);
}

}  // namespace vale::preload
