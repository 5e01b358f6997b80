// SPDX-License-Identifier: BSD-2-Clause
// What can be wrong with a runtime directory, made to order; and what the user is told then.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#include <functional>

#include "check.h"
#include "shm/directory.h"
#include "switch_fixture.h"

using namespace vale;

inline uint64_t now_ms() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1000 + static_cast<uint64_t>(ts.tv_nsec) / 1000000;
}

inline constexpr int kNotPermitted = 77;

// Runs `body` in a process of its own. A crash is a failed check; kNotPermitted is returned.
inline int in_child(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    check::state().failed = false;
    body();
    std::fflush(nullptr);
    _exit(check::state().failed ? 1 : 0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) CHECK_EQ(strsignal(WTERMSIG(status)), "no signal");
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotPermitted) return kNotPermitted;
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return 0;
}

inline bool write_text(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY);
  const bool good =
      fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) close(fd);
  return good;
}

// A tmpfs with these options at `path`, in namespaces of this process alone.
inline void mount_tmpfs(const std::string& path, const char* options) {
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(kNotPermitted);
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
  write_text("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(kNotPermitted);
  if (mount("tmpfs", path.c_str(), "tmpfs", 0, options) != 0) _exit(kNotPermitted);
  chmod(path.c_str(), 0700);
}

struct Folder {  // an empty directory, gone at the end
  std::string path;
  Folder() {
    char name[] = "/dev/shm/vale-test-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() {
    const std::string command = "rm -rf " + path;
    if (std::system(command.c_str()) != 0) std::printf("  cannot remove %s\n", path.c_str());
  }
  std::string file(const char* name) const { return path + "/" + name; }
};

inline Status use(const std::string& dir, std::unique_ptr<Device>* device) {
  return open_user_device(dir.c_str(), device, nullptr);
}

// Opens the directory and two ports in it, and sends a frame between them.
inline Status try_everything(const std::string& dir, uint32_t slots = 0) {
  const Status foretold = Directory().would_open(dir.c_str());
  std::unique_ptr<Device> device;
  const Status used = use(dir, &device);
  // Room is all that may be missing of what looks usable.
  if (!foretold.ok() || (used.err != ENOMEM && used.err != ENOSPC))
    CHECK_EQ(foretold.err, used.err);
  if (!used.ok()) return used;
  std::unique_ptr<Port> a, b;
  OpenRequest q;
  q.tx_slots = q.rx_slots = slots;
  q.name = "vale0:a";
  if (Status s = device->open(q, &a); !s.ok()) return s;
  q.name = "vale0:b";
  if (Status s = device->open(q, &b); !s.ok()) return s;
  netmap_ring* t = a->tx_ring(0);
  const std::string s = frame(kBroadcast, mac(1), 60, 1);
  std::memcpy(NETMAP_BUF(t, t->slot[0].buf_idx), s.data(), s.size());
  t->slot[0].len = 60;
  t->head = t->cur = 1;
  a->txsync();
  b->rxsync();
  std::vector<PortRow> ports;
  std::vector<SwitchRow> switches;
  if (Status e = device->list(&ports); !e.ok()) return e;
  return device->switches(&switches);
}

// One line that names the directory and says what to do.
inline void check_line(const Status& s, int err, const std::string& dir, const char* advice) {
  CHECK_EQ(s.err, err);
  CHECK(s.text.find(dir) != std::string::npos);
  CHECK(s.text.find('\n') == std::string::npos);
  CHECK(s.text.find(advice) != std::string::npos);
  if (check::state().failed) std::printf("  said: %s\n", s.text.c_str());
}

inline void set_byte(const std::string& file, off_t at,
                     const std::function<unsigned char(unsigned char)>& change) {
  const int fd = open(file.c_str(), O_RDWR);
  unsigned char c = 0;
  if (pread(fd, &c, 1, at) != 1) c = 0;
  c = change(c);
  CHECK(pwrite(fd, &c, 1, at) == 1);
  close(fd);
}
