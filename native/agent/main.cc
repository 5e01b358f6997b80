// SPDX-License-Identifier: BSD-2-Clause
// vale-agent: what device/launch.cc runs. Leaves its parent, attaches, answers, serves.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "agent/service.h"
#include "device/launch.h"
#include "nic/in_use.h"

namespace vale {
namespace {

// What the caller had open is not the agent's to keep open: a lock, a pipe that somebody reads to its end.
void close_inherited() {
  if (syscall(SYS_close_range, kAnswerFd + 1, ~0u, 0) == 0) return;
  const long limit = sysconf(_SC_OPEN_MAX);  // Linux before 5.9
  for (int fd = kAnswerFd + 1; fd < limit; fd++) close(fd);
}

// Nobody's child, in a session of its own: no terminal, no zombie, no signals of others.
bool leave_parent() {
  const pid_t pid = fork();
  if (pid > 0) _exit(0);
  return pid == 0 && setsid() > 0 && chdir("/") == 0;
}

// Of open files: a virtual machine has up to a hundred descriptors.
void raise_limit() {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// False when nobody listens any more.
bool answer(const std::string& line) {
  const bool told = write(kAnswerFd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  close(kAnswerFd);
  return told;
}

int run(int argc, char** argv) {
  // By default each of them would end it, and its interface would leave the switch.
  for (const int ignored : {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO})
    signal(ignored, SIG_IGN);
  umask(077);
  if (fcntl(kAnswerFd, F_GETFD) < 0) {
    std::fputs(
        "vale-agent serves an attached network interface; it is started by: vale ctl attach\n",
        stderr);
    return 2;
  }
  close_inherited();
  // Once it is nobody's child there is nobody left to ask.
  if (const std::string login = login_connection(); !login.empty())
    setenv(kLoginVariable, login.c_str(), 1);
  AgentOptions options;
  Status status = parse_agent_options(argc, argv, &options);
  if (!leave_parent() && status.ok()) status = Status::fail(errno, "cannot run in the background");
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGQUIT);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  const int signal_fd = signalfd(-1, &ends, SFD_CLOEXEC);
  raise_limit();
  Service service;
  uint32_t index = 0;
  std::string warning;
  if (status.ok()) status = service.attach(options, &index, &warning);
  if (answer(answer_line(status, index, warning)) && status.ok()) service.serve(signal_fd);
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace vale

int main(int argc, char** argv) { return vale::run(argc, argv); }
