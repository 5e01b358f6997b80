// SPDX-License-Identifier: BSD-2-Clause
#include "addon/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "addon/convert.h"

namespace vale::addon {
namespace {

std::vector<std::string> strings(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> out(array.Length());
  for (uint32_t i = 0; i < out.size(); i++) out[i] = array.Get(i).ToString().Utf8Value();
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// Node changes these for itself: it ignores SIGPIPE, takes the standard streams for its own, and raises the limit of descriptors, which
// programs that close all of them would spend their time on.
void undo_what_node_did() {
  for (int s = 1; s < NSIG; s++) {
    if (s != SIGKILL && s != SIGSTOP) signal(s, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  for (int fd = 0; fd <= 2; fd++) {
    fcntl(fd, F_SETFD, 0);
    if (const int flags = fcntl(fd, F_GETFL); flags >= 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  }
  rlimit own, shell;
  if (getrlimit(RLIMIT_NOFILE, &own) == 0 &&
      prlimit(getppid(), RLIMIT_NOFILE, nullptr, &shell) == 0 && shell.rlim_cur < own.rlim_cur) {
    own.rlim_cur = shell.rlim_cur;
    setrlimit(RLIMIT_NOFILE, &own);
  }
}

}  // namespace

Napi::Value execute(const Napi::CallbackInfo& call) {
  const std::string path = call[0].ToString().Utf8Value();
  std::vector<std::string> arguments = strings(call[1]), environment = strings(call[2]);
  const std::vector<char*> argv = pointers(arguments), envp = pointers(environment);
  undo_what_node_did();
  execve(path.c_str(), argv.data(), envp.data());
  const int err = errno;
  return fail(call.Env(), Status::fail(err, "%s: %s", path.c_str(), strerror(err)));
}

Napi::Value reader_gone(const Napi::CallbackInfo& call) {
  pollfd output = {static_cast<int>(call[0].ToNumber().Int32Value()), 0, 0};
  const bool gone = poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLHUP)) != 0;
  return Napi::Boolean::New(call.Env(), gone);
}

Napi::Value has_file_capabilities(const Napi::CallbackInfo& call) {
  const std::string path = call[0].ToString().Utf8Value();
  char value[64];
  return Napi::Boolean::New(call.Env(),
                            getxattr(path.c_str(), "security.capability", value, sizeof value) > 0);
}

}  // namespace vale::addon
