// SPDX-License-Identifier: BSD-2-Clause
#include "device/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <vector>

extern char** environ;

namespace vale {
namespace {

constexpr int kAnswerMs = 30'000;

}  // namespace

std::vector<std::string> agent_words(const AttachRequest& q, const std::string& directory) {
  std::vector<std::string> words = {"--directory", directory, "--port", q.port.name};
  const auto number = [&](const char* option, uint64_t value) {
    if (value == 0) return;
    words.emplace_back(option);
    words.push_back(std::to_string(value));
  };
  const auto text = [&](const char* option, const std::string& value) {
    if (value.empty()) return;
    words.emplace_back(option);
    words.push_back(value);
  };
  number("--tx-slots", q.port.tx_slots);
  number("--rx-slots", q.port.rx_slots);
  number("--tx-rings", q.port.tx_rings);
  number("--rx-rings", q.port.rx_rings);
  number("--memory", q.port.mem_id);
  number("--buffer", q.port.buf_size);
  text("--backend", q.backend);
  text("--netns", q.netns);
  text("--vhost-user", q.vhost_user);
  text("--stream", q.stream);
  text("--dgram", q.dgram);
  text("--remote", q.remote);
  text("--name", q.agent_name);
  if (q.client) words.emplace_back("--client");
  if (q.host) words.emplace_back("--host");
  if (q.shared) words.emplace_back("--shared");
  if (q.force) words.emplace_back("--force");
  return words;
}

namespace {

// All of the answer; empty when the agent ended without one.
std::string wait_for_answer(int fd) {
  std::string answer;
  for (;;) {
    pollfd wait{fd, POLLIN, 0};
    int ready;
    while ((ready = poll(&wait, 1, kAnswerMs)) < 0 && errno == EINTR) {
    }
    if (ready <= 0) return answer;
    char part[1024];
    const ssize_t n = read(fd, part, sizeof part);
    if (n <= 0) return answer;
    answer.append(part, static_cast<size_t>(n));
  }
}

Status spawn(const AttachRequest& q, const std::string& directory, int answer_fd, pid_t* pid) {
  std::vector<std::string> words = agent_words(q, directory);
  words.insert(words.begin(), q.agent);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawn_file_actions_adddup2(&files, answer_fd, kAnswerFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  // A terminal's Ctrl-C is for the caller, who waits for the answer all the same.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
  const int err = posix_spawn(pid, argv[0], &files, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (err == 0) return Status::good();
  return Status::fail(err, "cannot run %s: %s; install this package again", argv[0],
                      std::strerror(err));
}

}  // namespace

Status launch_agent(const AttachRequest& q, const std::string& directory, uint32_t* port_index,
                    std::string* warning) {
  const char* port = q.port.name.c_str();
  int answer[2];
  if (pipe2(answer, O_CLOEXEC) != 0)
    return Status::fail(errno, "cannot make a pipe: %s", std::strerror(errno));
  // dup2 onto the same number would leave it close-on-exec.
  if (answer[1] == kAnswerFd) {
    const int moved = fcntl(answer[1], F_DUPFD_CLOEXEC, kAnswerFd + 1);
    close(answer[1]);
    answer[1] = moved;
  }
  pid_t pid = -1;
  const Status spawned = spawn(q, directory, answer[1], &pid);
  close(answer[1]);
  std::string line;
  if (spawned.ok()) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    line = wait_for_answer(answer[0]);
  }
  close(answer[0]);
  if (!spawned.ok()) return spawned;
  return read_answer(std::move(line), port, port_index, warning);
}

std::string answer_line(const Status& status, uint32_t port_index, const std::string& warning) {
  if (!status.ok()) return std::to_string(status.err) + " " + status.text + "\n";
  return "0 " + std::to_string(port_index) + (warning.empty() ? "" : " " + warning) + "\n";
}

Status read_answer(std::string line, const char* port, uint32_t* port_index, std::string* warning) {
  char* rest = nullptr;
  const long err = std::strtol(line.c_str(), &rest, 10);
  if (rest == line.c_str() || line.back() != '\n') {
    return Status::fail(EIO, "%s: its agent ended or hung before it had attached; try again", port);
  }
  line.pop_back();
  rest += *rest == ' ';
  if (err == 0) {
    *port_index = static_cast<uint32_t>(std::strtoul(rest, &rest, 10));
    *warning = rest + (*rest == ' ');
    return Status::good();
  }
  return {static_cast<int>(err), rest};
}

}  // namespace vale
