// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Which descriptor numbers of this process are something to this library:
//   1. Every interposed call asks kind_of(fd): one load. `other` goes to libc untouched.
//   2. open(), dup(), recvmsg() and the like add() a number to an Object; close() remove()s it; the
//      last number ends the object.
//   3. Descriptors of the core itself are `internal`: the program can neither close nor replace them.
//
// Owns. The array of kinds, the array of objects, the lock that whatever opens or closes holds.
//
// Invariants. An Object's memory is never given back, so that a thread that looked it up may still lock
//   it and find it ended. Order of locks: the table's, then one object's. A thread that holds a lock
//   and asks for it again (a signal handler) is refused, never stuck.
//
// Not here. What an object does (file.h, epoll.h).
#pragma once

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <vector>

namespace vale::preload {

constexpr int kMaxFd = 65536;

enum class Kind : uint8_t { other, device, epoll, packet, internal };

// Held for microseconds; never across anything that sleeps, other than opening and closing ports.
class OwnedLock {
 public:
  // false: this thread has it already.
  bool lock() {
    const uintptr_t me = static_cast<uintptr_t>(pthread_self());
    for (unsigned tries = 0;; tries++) {
      uintptr_t owner = 0;
      if (owner_.compare_exchange_weak(owner, me, std::memory_order_acquire)) return true;
      if (owner == me) return false;
      if (tries > 200) sched_yield();
    }
  }
  bool try_lock() {
    uintptr_t owner = 0;
    return owner_.compare_exchange_strong(owner, static_cast<uintptr_t>(pthread_self()),
                                          std::memory_order_acquire);
  }
  void unlock() { owner_.store(0, std::memory_order_release); }

 private:
  std::atomic<uintptr_t> owner_{0};
};

// Locks for a scope; `held` is false when this thread had the lock already.
struct Guard {
  OwnedLock& lock;
  bool held;
  explicit Guard(OwnedLock& l) : lock(l), held(l.lock()) {}
  ~Guard() {
    if (held) lock.unlock();
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
};

// One open file description as this process knows it.
struct Object {
  explicit Object(Kind k) : kind(k) {}
  // Its last number of this process was closed; called with the table's lock.
  virtual void ended() = 0;

  const Kind kind;
  OwnedLock lock;
  std::vector<int> numbers;  // under the table's lock

 protected:
  ~Object() = default;  // never
};

extern std::atomic<Kind> g_kinds[kMaxFd];
extern std::atomic<Object*> g_objects[kMaxFd];
extern OwnedLock g_table_lock;
extern std::atomic<unsigned> g_devices;  // numbers of kind `device`
extern pid_t g_pid;                      // of the process that the table describes

inline Kind kind_of(int fd) {
  return static_cast<unsigned>(fd) < static_cast<unsigned>(kMaxFd)
             ? g_kinds[fd].load(std::memory_order_relaxed)
             : Kind::other;
}
inline Object* object_of(int fd) { return g_objects[fd].load(std::memory_order_acquire); }

// Whether this is a child of vfork(2), whose memory is its parent's: it must not touch the table.
bool borrowed_memory();

void mark_internal(int fd);
void unmark_internal(int fd);

// All under the table's lock. add() says false when the number is too high to be kept.
bool add(int fd, Object* object);
void remove(int fd);  // before the number is closed or replaced; any kind of ours
void end_if_unused(Object* object);

}  // namespace vale::preload
