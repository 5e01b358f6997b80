// SPDX-License-Identifier: BSD-2-Clause
#include "preload/table.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace vale::preload {

std::atomic<Kind> g_kinds[kMaxFd];
std::atomic<Object*> g_objects[kMaxFd];
OwnedLock g_table_lock;
std::atomic<unsigned> g_devices{0};
pid_t g_pid = 0;

bool borrowed_memory() { return g_pid != 0 && syscall(SYS_getpid) != g_pid; }

void mark_internal(int fd) {
  if (fd >= 0 && fd < kMaxFd) g_kinds[fd].store(Kind::internal, std::memory_order_relaxed);
}

void unmark_internal(int fd) {
  if (kind_of(fd) == Kind::internal) g_kinds[fd].store(Kind::other, std::memory_order_relaxed);
}

bool add(int fd, Object* object) {
  if (fd < 0 || fd >= kMaxFd) return false;
  object->numbers.push_back(fd);
  g_objects[fd].store(object, std::memory_order_release);
  g_kinds[fd].store(object->kind, std::memory_order_release);
  if (object->kind == Kind::device) g_devices.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void remove(int fd) {
  Object* object = object_of(fd);
  if (object == nullptr) return;
  if (object->kind == Kind::device) g_devices.fetch_sub(1, std::memory_order_relaxed);
  g_kinds[fd].store(Kind::other, std::memory_order_release);
  g_objects[fd].store(nullptr, std::memory_order_release);
  auto& n = object->numbers;
  n.erase(std::remove(n.begin(), n.end(), fd), n.end());
}

void end_if_unused(Object* object) {
  if (object != nullptr && object->numbers.empty()) object->ended();
}

}  // namespace vale::preload
