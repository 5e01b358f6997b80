// SPDX-License-Identifier: BSD-2-Clause
// Processes that a test makes in order to kill them.
#pragma once

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "device/user.h"

// Runs body in a process of its own, which goes with this one at the latest.
template <class F>
pid_t spawn(F&& body) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    body();
    _exit(0);
  }
  return pid;
}

inline void end(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

// Of a process or, in its task directory, a thread: as in /proc/PID/stat. 0: it is gone, 1: not to be told now.
inline char state_of(const std::string& place) {
  FILE* file = std::fopen((place + "/stat").c_str(), "re");
  if (file == nullptr) return 0;
  char line[256] = "";
  const bool whole = std::fgets(line, sizeof line, file) != nullptr;
  std::fclose(file);
  // The name in brackets may hold anything but ends with the last one.
  const char* name_end = std::strrchr(line, ')');
  return whole && name_end != nullptr && name_end[1] == ' ' ? name_end[2] : 1;
}

// Kills a process that is not this one's child, and waits until nothing of it is left but, at most, its
// entry in the process table, which whoever adopted it takes away when it likes.
inline void kill_other(pid_t pid) {
  kill(pid, SIGKILL);
  const std::string place = "/proc/" + std::to_string(pid);
  for (;; usleep(1000)) {
    const char state = state_of(place);
    if (state == 0) return;
    if (state != 'Z') continue;
    // The first thread waits like that for the others: a link for each beside the two of a directory.
    struct stat threads;
    if (stat((place + "/task").c_str(), &threads) != 0 || threads.st_nlink <= 3) return;
  }
}

// Stops a process, all its threads: a signal alone is sent and not yet heeded.
inline void stop_other(pid_t pid) {
  kill(pid, SIGSTOP);
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (bool all = false; !all;) {
    all = true;
    DIR* const dir = opendir(tasks.c_str());
    if (dir == nullptr) return;
    while (const dirent* thread = readdir(dir)) {
      if (thread->d_name[0] == '.') continue;
      const char state = state_of(tasks + "/" + thread->d_name);
      all = all && (state == 'T' || state == 'Z' || state == 0);
    }
    closedir(dir);
    if (!all) usleep(100);
  }
}

// A process that holds what open() gave it, to be ended; 0 when open() says false.
template <class Open>
pid_t spawn_holder(Open&& open) {
  int ready[2];
  if (pipe(ready) != 0) return 0;
  const pid_t pid = spawn([&] {
    open([&](bool good) {
      const char byte = good ? 1 : 0;
      if (write(ready[1], &byte, 1) == 1) pause();
    });
  });
  close(ready[1]);
  char good = 0;
  const bool holds = read(ready[0], &good, 1) == 1 && good == 1;
  close(ready[0]);
  if (holds) return pid;
  end(pid);
  return 0;
}

// In a child: the port, or the end of the child with its reason on stderr.
inline std::unique_ptr<vale::Port> open_in_child(const std::string& dir,
                                                 const vale::OpenRequest& request,
                                                 std::unique_ptr<vale::Device>* device) {
  std::unique_ptr<vale::Port> port;
  if (!vale::open_user_device(dir.c_str(), device, nullptr).ok()) _exit(9);
  if (const vale::Status s = (*device)->open(request, &port); !s.ok()) {
    std::fprintf(stderr, "  %s: %s\n", request.name.c_str(), s.text.c_str());
    _exit(9);
  }
  return port;
}
