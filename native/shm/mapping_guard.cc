// SPDX-License-Identifier: BSD-2-Clause
#include "shm/mapping_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>

namespace vale {
namespace {

struct Guard {
  std::atomic<uintptr_t> base;  // 0: unused; written last
  std::atomic<size_t> size;
  std::atomic<const char*> last_words;
  std::atomic<bool> lost;
  std::atomic<std::atomic<bool>*> told;
};
Guard guards[kGuards];
std::atomic<uint32_t> used;  // no guard at or beyond this was ever used
std::mutex change;
bool installed;
struct sigaction before;

[[noreturn]] void say_and_exit(const char* words) {
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, words, std::strlen(words));
  _exit(1);
}

// Whether there is memory at the address now.
bool mend(uintptr_t address) {
  const uint32_t count = used.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; i++) {
    Guard& g = guards[i];
    const uintptr_t base = g.base.load(std::memory_order_acquire);
    const size_t size = g.size.load(std::memory_order_relaxed);
    if (base == 0 || address < base || address - base >= size) continue;
    if (const char* words = g.last_words.load(std::memory_order_relaxed)) say_and_exit(words);
    // Not mmap(): in a program that preloads us that is our own.
    const long at = syscall(SYS_mmap, base, size, PROT_READ | PROT_WRITE,
                            MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == -1) return false;
    g.lost.store(true, std::memory_order_release);
    if (std::atomic<bool>* told = g.told.load(std::memory_order_relaxed))
      told->store(true, std::memory_order_release);
    return true;
  }
  return false;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int err = errno;
  const bool mended =
      info->si_code == BUS_ADRERR && mend(reinterpret_cast<uintptr_t>(info->si_addr));
  errno = err;
  if (mended) return;
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {
    sigaction(signal, &before, nullptr);  // it happens again, and does what it would have done
  }
}

Guard* find(const void* base) {
  const uint32_t count = used.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; i++) {
    if (guards[i].base.load(std::memory_order_acquire) == reinterpret_cast<uintptr_t>(base))
      return &guards[i];
  }
  return nullptr;
}

void install() {
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  installed = sigaction(SIGBUS, &action, &before) == 0;
}

}  // namespace

bool guard_mapping(void* base, size_t size, const char* last_words, std::atomic<bool>* told) {
  const std::lock_guard<std::mutex> hold(change);
  if (!installed) install();
  for (uint32_t i = 0; i < kGuards; i++) {
    Guard& g = guards[i];
    if (g.base.load(std::memory_order_relaxed) != 0) continue;
    g.size.store(size, std::memory_order_relaxed);
    g.last_words.store(last_words, std::memory_order_relaxed);
    g.told.store(told, std::memory_order_relaxed);
    g.lost.store(false, std::memory_order_relaxed);
    g.base.store(reinterpret_cast<uintptr_t>(base), std::memory_order_release);
    if (i >= used.load(std::memory_order_relaxed)) used.store(i + 1, std::memory_order_release);
    return true;
  }
  return false;
}

void unguard_mapping(const void* base) {
  const std::lock_guard<std::mutex> hold(change);
  if (Guard* g = find(base)) g->base.store(0, std::memory_order_release);
}

bool guard_lost(const void* base) {
  const Guard* g = find(base);
  return g != nullptr && g->lost.load(std::memory_order_acquire);
}

}  // namespace vale
