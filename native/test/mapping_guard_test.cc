// SPDX-License-Identifier: BSD-2-Clause
// Files that are cut short while they are mapped: the process goes on, or ends with its last words.
#include "shm/mapping_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "support/check.h"

using namespace vale;

namespace {

constexpr size_t kBytes = 64 * 1024;

// Before anything is guarded.
[[maybe_unused]] const bool theirs = [] {
  struct sigaction action = {};
  action.sa_handler = [](int) { _exit(42); };
  return sigaction(SIGBUS, &action, nullptr) == 0;
}();

struct Mapping {
  Mapping() {
    fd = memfd_create("guarded", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, kBytes) != 0) std::abort();
    base = static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    base[0] = base[kBytes - 1] = 7;
  }
  ~Mapping() {
    unguard_mapping(base);
    munmap(base, kBytes);
    close(fd);
  }
  void cut(off_t bytes) const {
    if (ftruncate(fd, bytes) != 0) std::abort();
  }
  char at(size_t i) const { return static_cast<volatile char*>(base)[i]; }

  int fd;
  char* base;
};

// How a child ends that runs `body`, and what it writes to standard error.
struct End {
  int code = -1, signal = 0;
  std::string said;
};
template <typename Body>
End child(Body body) {
  int pipe_fds[2];
  if (pipe(pipe_fds) != 0) std::abort();
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(pipe_fds[1], STDERR_FILENO);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    body();
    _exit(0);
  }
  close(pipe_fds[1]);
  End end;
  char text[256];
  for (ssize_t n; (n = read(pipe_fds[0], text, sizeof text)) > 0;)
    end.said.append(text, static_cast<size_t>(n));
  close(pipe_fds[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFEXITED(status)) end.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  return end;
}

}  // namespace

TEST(a_page_that_is_gone_becomes_zeros_of_our_own) {
  Mapping one, other;
  guard_mapping(one.base, kBytes);
  guard_mapping(other.base, kBytes);
  CHECK(!guard_lost(one.base));
  one.cut(4096);
  CHECK_EQ(int{one.at(0)}, 7);  // still there: nothing was missed so far
  CHECK(!guard_lost(one.base));
  CHECK_EQ(int{one.at(kBytes - 1)}, 0);
  CHECK(guard_lost(one.base));
  CHECK_EQ(int{one.at(0)}, 0);  // all of it, so that no half of an old state is seen
  one.base[kBytes - 1] = 5;
  CHECK_EQ(int{one.at(kBytes - 1)}, 5);
  CHECK(!guard_lost(other.base));
  CHECK_EQ(int{other.at(kBytes - 1)}, 7);
}

TEST(a_place_is_guarded_anew_when_it_is_used_again) {
  Mapping one;
  guard_mapping(one.base, kBytes);
  one.cut(0);
  CHECK_EQ(int{one.at(0)}, 0);
  unguard_mapping(one.base);
  CHECK(!guard_lost(one.base));
  guard_mapping(one.base, kBytes);
  CHECK(!guard_lost(one.base));
}

TEST(whoever_looks_often_is_told) {
  Mapping ours, guests;
  std::atomic<bool> told{false};
  CHECK(guard_mapping(ours.base, kBytes));
  CHECK(guard_mapping(guests.base, kBytes, nullptr, &told));
  guests.cut(0);
  ours.cut(0);
  CHECK(!told);
  CHECK_EQ(int{guests.at(0)}, 0);
  CHECK(told && guard_lost(guests.base));
  CHECK(!guard_lost(ours.base));
  CHECK_EQ(int{ours.at(0)}, 0);
  CHECK(guard_lost(ours.base));
}

TEST(what_nothing_goes_on_without_ends_in_one_line) {
  const End end = child([] {
    Mapping one;
    guard_mapping(one.base, kBytes, "vale: it was cut short\n");
    one.cut(0);
    one.at(0);
  });
  CHECK_EQ(end.code, 1);
  CHECK_EQ(end.said, std::string("vale: it was cut short\n"));
}

TEST(faults_elsewhere_go_to_whoever_had_the_signal_before) {
  Mapping guarded;
  guard_mapping(guarded.base, kBytes);
  const End end = child([] {
    Mapping other;
    other.cut(0);
    other.at(0);
  });
  CHECK_EQ(end.code, 42);
}
