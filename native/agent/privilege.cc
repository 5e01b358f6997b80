// SPDX-License-Identifier: BSD-2-Clause
#include "agent/privilege.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace vale {
namespace {

bool digits(const std::string& s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

int open_namespace(const std::string& path) { return open(path.c_str(), O_RDONLY | O_CLOEXEC); }

bool join(int fd, int kind) { return fd >= 0 && setns(fd, kind) == 0; }

#ifndef CAP_BPF
#define CAP_BPF 39
#endif
// What opening takes: packet sockets, programs at the interface, netfilter tables, TAP devices; memory
// that AF_XDP locks, of which most limits leave room for one interface only.
constexpr int kOpening[] = {CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF, CAP_IPC_LOCK};

__user_cap_header_struct version() { return {_LINUX_CAPABILITY_VERSION_3, 0}; }

// Of those that are permitted now, only `kept`, in effect.
bool keep_capabilities(const int* kept, size_t count) {
  __user_cap_header_struct header = version();
  __user_cap_data_struct now[2] = {}, next[2] = {};
  if (syscall(SYS_capget, &header, now) != 0) return false;
  for (size_t i = 0; i < count; i++) {
    const int word = kept[i] / 32;
    next[word].permitted |= now[word].permitted & (1u << kept[i] % 32);
  }
  for (auto& word : next) word.effective = word.permitted;
  header = version();
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  return syscall(SYS_capset, &header, next) == 0;
}

Status cannot_drop() {
  return Status::fail(errno, "cannot give up capabilities: %s", std::strerror(errno));
}

}  // namespace

Status enter_network(const std::string& name) {
  const char* n = name.c_str();
  const bool process = digits(name);
  const std::string path = process                               ? "/proc/" + name + "/ns/net"
                           : name.find('/') != std::string::npos ? name
                                                                 : "/run/netns/" + name;
  const int net = open_namespace(path);
  if (net < 0 && (errno == ENOENT || errno == ENOTDIR)) {
    return Status::fail(EINVAL,
                        process ? "--netns %s: no process has this id"
                                : "--netns %s: no network namespace has this name; `ip "
                                  "netns` lists them, a process id works too",
                        n);
  }
  bool done = join(net, CLONE_NEWNET);
  int err = errno;
  if (!done && err == EPERM && process) {
    // A container without root has a user namespace of its own, in which its owner may do all.
    const int user = open_namespace("/proc/" + name + "/ns/user");
    done = join(user, CLONE_NEWUSER) && join(net, CLONE_NEWNET);
    if (user >= 0) close(user);
  }
  if (net >= 0) close(net);
  if (done) return Status::good();
  if (err == EPERM || err == EACCES) {
    return Status::fail(
        EPERM, "--netns %s: not yours to enter; run as root, or as the user who made it", n);
  }
  return Status::fail(EINVAL, "--netns %s: not a network namespace: %s", n, std::strerror(err));
}

Status become_owner(const std::string& directory) {
  struct stat st;
  if (lstat(directory.c_str(), &st) != 0) {
    return Status::fail(errno, "cannot look at the runtime directory %s: %s", directory.c_str(),
                        std::strerror(errno));
  }
  if (geteuid() == 0 && st.st_uid != 0) {
    // Not permitted in most user namespaces; there the groups are the invoking user's anyway.
    [[maybe_unused]] const int groups = setgroups(0, nullptr);
    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 ||
        setresuid(st.st_uid, st.st_uid, st.st_uid) != 0) {
      return Status::fail(errno, "cannot become user %u, whose %s is: %s", st.st_uid,
                          directory.c_str(), std::strerror(errno));
    }
  }
  if (!keep_capabilities(kOpening, sizeof kOpening / sizeof *kOpening)) return cannot_drop();
  return Status::good();
}

Status drop_privilege() {
  if (!keep_capabilities(nullptr, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return cannot_drop();
  return Status::good();
}

}  // namespace vale
