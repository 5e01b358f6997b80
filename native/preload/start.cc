// SPDX-License-Identifier: BSD-2-Clause
#include "preload/start.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "preload/device_file.h"
#include "preload/real.h"

namespace vale::preload {
namespace {

char* g_path = nullptr;
char* g_directory = nullptr;
bool g_one_processor = false;

constexpr const char* kName = "libvale-preload.so";

// The word of LD_PRELOAD that names this library.
char* word_of_ours(const char* list) {
  const char* at = list != nullptr ? std::strstr(list, kName) : nullptr;
  if (at == nullptr) return nullptr;
  const char* begin = at;
  while (begin > list && begin[-1] != ':' && begin[-1] != ' ') begin--;
  return strndup(begin, static_cast<size_t>(at - begin) + std::strlen(kName));
}

// The program may go elsewhere before it opens the device.
char* absolute(const char* path) {
  if (path == nullptr || *path == 0) return nullptr;
  char* cwd = *path == '/' ? nullptr : getcwd(nullptr, 0);
  char* out = nullptr;
  if (asprintf(&out, "%s%s%s", cwd != nullptr ? cwd : "", cwd != nullptr ? "/" : "", path) < 0)
    out = nullptr;
  free(cwd);
  return out;
}

// What a program that was replaced by this one (exec) left open.
void look_at_inherited() {
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return;
  const int own = dirfd(dir);
  while (const dirent* e = readdir(dir)) {
    const int fd = std::atoi(e->d_name);
    if (e->d_name[0] != '.' && fd != own) recognise(fd);
  }
  real().closedir(dir);
}

[[gnu::constructor]] void begin() {
  find_real();
  g_pid = getpid();
  g_path = word_of_ours(getenv("LD_PRELOAD"));
  g_directory = absolute(getenv("VALE_DIR"));
  cpu_set_t processors;
  g_one_processor =
      sched_getaffinity(0, sizeof processors, &processors) == 0 && CPU_COUNT(&processors) < 2;
  pthread_atfork(
      before_fork, [] { after_fork(false); }, [] { after_fork(true); });
  look_at_inherited();
}

[[gnu::destructor]] void end() {
  if (!borrowed_memory()) close_all_devices();
}

}  // namespace

const char* own_path() { return g_path; }
const char* own_directory() { return g_directory; }
bool began_on_one_processor() { return g_one_processor; }

}  // namespace vale::preload
