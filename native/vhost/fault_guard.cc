// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/fault_guard.h"

#include <signal.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <mutex>

namespace vale::vhost {
namespace {

struct Guarded {
  std::atomic<uintptr_t> start{0};  // 0 = free; written last
  std::atomic<size_t> bytes{0};
  std::atomic<std::atomic<bool>*> lost{nullptr};
};
Guarded guarded[kMaxGuarded];
std::mutex changing;
bool installed = false;

void on_fault(int signal_number, siginfo_t* info, void*) {
  const int err = errno;
  const uintptr_t at = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Guarded& one : guarded) {
    const uintptr_t start = one.start.load(std::memory_order_acquire);
    const size_t bytes = one.bytes.load(std::memory_order_relaxed);
    if (start == 0 || at < start || at - start >= bytes) continue;
    one.lost.load(std::memory_order_relaxed)->store(true, std::memory_order_release);
    if (mmap(reinterpret_cast<void*>(start), bytes, PROT_READ | PROT_WRITE,
             MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
      break;
    errno = err;
    return;
  }
  signal(signal_number, SIG_DFL);  // the instruction is tried again, and ends the process
  errno = err;
}

void install() {
  if (installed) return;
  installed = true;
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace

bool guard_memory(char* start, size_t bytes, std::atomic<bool>* lost) {
  const std::lock_guard<std::mutex> hold(changing);
  install();
  for (Guarded& one : guarded) {
    if (one.start.load(std::memory_order_relaxed) != 0) continue;
    one.bytes.store(bytes, std::memory_order_relaxed);
    one.lost.store(lost, std::memory_order_relaxed);
    one.start.store(reinterpret_cast<uintptr_t>(start), std::memory_order_release);
    return true;
  }
  return false;
}

void unguard_memory(char* start) {
  const std::lock_guard<std::mutex> hold(changing);
  for (Guarded& one : guarded) {
    if (one.start.load(std::memory_order_relaxed) == reinterpret_cast<uintptr_t>(start))
      one.start.store(0, std::memory_order_release);
  }
}

}  // namespace vale::vhost
