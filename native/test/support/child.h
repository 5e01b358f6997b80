// SPDX-License-Identifier: BSD-2-Clause
// Processes that a test makes in order to kill them.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

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
