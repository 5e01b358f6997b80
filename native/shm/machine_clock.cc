// SPDX-License-Identifier: BSD-2-Clause
#include "shm/machine_clock.h"

#include <sys/stat.h>
#include <time.h>

#include <cstdio>

#include "shm/monotonic.h"

namespace vale {
namespace {

struct Ahead {
  int64_t s = 0, ns = 0;
};

// What the file tells are the offsets of children, which are this process's as well unless it has just made that
// namespace for them (unshare(2)).
Ahead read_ahead() {
  struct stat own, childrens;
  Ahead ahead;
  if (stat("/proc/self/ns/time", &own) != 0 ||
      stat("/proc/self/ns/time_for_children", &childrens) != 0 || own.st_ino != childrens.st_ino)
    return ahead;
  std::FILE* const file = std::fopen("/proc/self/timens_offsets", "re");
  if (file == nullptr) return ahead;
  long long s, ns;
  if (std::fscanf(file, "monotonic %lld %lld", &s, &ns) == 2) ahead = {s, ns};
  std::fclose(file);
  return ahead;
}

const Ahead& ahead() {
  static const Ahead read = read_ahead();
  return read;
}

}  // namespace

uint64_t machine_ns() {
  return monotonic_ns() - static_cast<uint64_t>(ahead().s * 1'000'000'000 + ahead().ns);
}

uint32_t machine_seconds() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
  return static_cast<uint32_t>(ts.tv_sec - ahead().s);
}

}  // namespace vale
