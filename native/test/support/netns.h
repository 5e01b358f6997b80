// SPDX-License-Identifier: BSD-2-Clause
// Network namespaces for tests of wires: a namespace of the test program's own, others held by
// child processes, veth pairs between them. No privilege needed where user namespaces are allowed.
#pragma once

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace netns {

inline bool write_file(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return done;
}

inline bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// Moves the program into a network namespace of its own, once, keeping root's privileges over the
// kernel. Null when it is there, else why it is not.
inline const char* enter_as_root() {
  static const char* const answer = []() -> const char* {
    if (!run("command -v ip")) return "needs the tool \"ip\" (package iproute2)";
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) return "needs root";
    if (!run("ip link set lo up && ip link add probe0 type veth peer name probe1")) {
      return "the kernel has no veth interfaces here";
    }
    run("ip link del probe0");
    return nullptr;
  }();
  return answer;
}

// Moves the program into user and network namespaces of its own, once. Null when it is there, else
// why it is not.
inline const char* enter() {
  static const char* const answer = []() -> const char* {
    const std::string uid = std::to_string(getuid()), gid = std::to_string(getgid());
    if (!run("command -v ip")) return "needs the tool \"ip\" (package iproute2)";
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
      return errno == EINVAL ? "a sanitizer's thread keeps the program from entering a namespace"
                             : "user namespaces are not permitted here";
    }
    write_file("/proc/self/setgroups", "deny");
    if (!write_file("/proc/self/uid_map", "0 " + uid + " 1") ||
        !write_file("/proc/self/gid_map", "0 " + gid + " 1")) {
      return "user namespaces are not permitted here";
    }
    if (!run("ip link set lo up && ip link add probe0 type veth peer name probe1")) {
      return "the kernel has no veth interfaces here";
    }
    run("ip link del probe0");
    return nullptr;
  }();
  return answer;
}

// Another network namespace, for as long as this lives. inside() runs something of this thread there.
class Other {
 public:
  Other() {
    int pipe_fds[2];
    if (pipe(pipe_fds) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const char ready = unshare(CLONE_NEWNET) == 0 ? 1 : 0;
      if (write(pipe_fds[1], &ready, 1) == 1) pause();
      _exit(0);
    }
    char ready = 0;
    close(pipe_fds[1]);
    if (read(pipe_fds[0], &ready, 1) != 1) ready = 0;
    close(pipe_fds[0]);
    const std::string path = "/proc/" + std::to_string(pid_) + "/ns/net";
    if (ready != 0) there_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    here_ = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  }
  ~Other() {
    if (here_ >= 0) close(here_);
    if (there_ >= 0) close(there_);
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  Other(const Other&) = delete;
  Other& operator=(const Other&) = delete;

  std::string pid() const { return std::to_string(pid_); }
  template <typename F>
  auto inside(F body) {
    if (setns(there_, CLONE_NEWNET) != 0) std::abort();
    auto result = body();
    if (setns(here_, CLONE_NEWNET) != 0) std::abort();
    return result;
  }

 private:
  pid_t pid_ = -1;
  int here_ = -1, there_ = -1;
};

}  // namespace netns
