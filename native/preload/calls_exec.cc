// SPDX-License-Identifier: BSD-2-Clause
// A program that starts another one with an environment of its own making hands on what makes
// /dev/netmap work there too. Where libc takes the process's environment, nothing is added: who took
// LD_PRELOAD out of that meant it.
#include <alloca.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "preload/real.h"
#include "preload/start.h"

namespace vale::preload {
namespace {

const char* value_of(char* const* env, const char* name) {
  const size_t n = std::strlen(name);
  for (; env != nullptr && *env != nullptr; env++) {
    if (std::strncmp(*env, name, n) == 0 && (*env)[n] == '=') return *env + n + 1;
  }
  return nullptr;
}

size_t count(char* const* words) {
  size_t n = 0;
  while (words != nullptr && words[n] != nullptr) n++;
  return n;
}

}  // namespace

// The stack only: this may run in a child of vfork(2). `env` becomes one that has what it needs.
#define WITH_US(env)                                                                            \
  do {                                                                                          \
    const char* us_ = own_path();                                                               \
    const char* theirs_ = value_of(env, "LD_PRELOAD");                                          \
    const bool preload_ = us_ != nullptr && (theirs_ == nullptr || !std::strstr(theirs_, us_)); \
    const bool directory_ =                                                                     \
        us_ != nullptr && own_directory() != nullptr && value_of(env, "VALE_DIR") == nullptr;   \
    if (!preload_ && !directory_) break;                                                        \
    const size_t n_ = count(env);                                                               \
    char** all_ = static_cast<char**>(alloca((n_ + 3) * sizeof(char*)));                        \
    size_t used_ = 0;                                                                           \
    for (size_t i_ = 0; i_ < n_; i_++) {                                                        \
      if (!preload_ || std::strncmp(env[i_], "LD_PRELOAD=", 11) != 0) all_[used_++] = env[i_];  \
    }                                                                                           \
    if (preload_) {                                                                             \
      const size_t size_ = std::strlen(us_) + (theirs_ ? std::strlen(theirs_) : 0) + 14;        \
      all_[used_] = static_cast<char*>(alloca(size_));                                          \
      std::strcpy(all_[used_], "LD_PRELOAD=");                                                  \
      std::strcat(all_[used_], us_);                                                            \
      if (theirs_ != nullptr) std::strcat(std::strcat(all_[used_], ":"), theirs_);              \
      used_++;                                                                                  \
    }                                                                                           \
    if (directory_) {                                                                           \
      all_[used_] = static_cast<char*>(alloca(std::strlen(own_directory()) + 10));              \
      std::strcat(std::strcpy(all_[used_], "VALE_DIR="), own_directory());                      \
      used_++;                                                                                  \
    }                                                                                           \
    all_[used_] = nullptr;                                                                      \
    env = all_;                                                                                 \
  } while (0)

EXPORT(int, execve, (const char* path, char* const* argv, char* const* env)) {
  WITH_US(env);
  return real().execve(path, argv, env);
}

EXPORT(int, execvpe, (const char* file, char* const* argv, char* const* env)) {
  WITH_US(env);
  return real().execvpe(file, argv, env);
}

EXPORT(int, fexecve, (int fd, char* const* argv, char* const* env)) {
  WITH_US(env);
  return real().fexecve(fd, argv, env);
}

EXPORT(int, execle, (const char* path, const char* first, ...)) {
  va_list ap;
  size_t n = 1;
  va_start(ap, first);
  if (first != nullptr) {
    while (va_arg(ap, char*) != nullptr) n++;
  }
  char* const* env = va_arg(ap, char* const*);
  va_end(ap);
  char** argv = static_cast<char**>(alloca((n + 1) * sizeof(char*)));
  argv[0] = const_cast<char*>(first);
  va_start(ap, first);
  for (size_t i = 1; i < n; i++) argv[i] = va_arg(ap, char*);
  va_end(ap);
  argv[n] = nullptr;
  return interposed_execve(path, argv, env);
}

EXPORT(int, posix_spawn,
       (pid_t * pid, const char* path, const posix_spawn_file_actions_t* actions,
        const posix_spawnattr_t* attributes, char* const* argv, char* const* env)) {
  WITH_US(env);
  return real().posix_spawn(pid, path, actions, attributes, argv, env);
}

EXPORT(int, posix_spawnp,
       (pid_t * pid, const char* file, const posix_spawn_file_actions_t* actions,
        const posix_spawnattr_t* attributes, char* const* argv, char* const* env)) {
  WITH_US(env);
  return real().posix_spawnp(pid, file, actions, attributes, argv, env);
}

}  // namespace vale::preload
