// SPDX-License-Identifier: BSD-2-Clause
#include "agent/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace vale {

AgentLog::~AgentLog() {
  if (fd_ >= 0) close(fd_);
}

Status AgentLog::open(const Directory& directory, std::string name, std::string older) {
  directory_ = &directory;
  name_ = std::move(name);
  older_ = std::move(older);
  return start();
}

Status AgentLog::start() {
  int fd;
  if (Status s = directory_->create_file(name_.c_str(), &fd); !s.ok()) return s;
  fcntl(fd, F_SETFL, O_APPEND);
  dup2(fd, 1);
  dup2(fd, 2);
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
  return Status::good();
}

void AgentLog::say(const char* format, ...) {
  if (fd_ < 0) return;
  char line[1024];
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts;
  localtime_r(&now.tv_sec, &parts);
  size_t n = strftime(line, sizeof line, "%Y-%m-%d %H:%M:%S", &parts);
  n += static_cast<size_t>(
      std::snprintf(line + n, sizeof line - n, ".%03ld ", now.tv_nsec / 1'000'000));
  va_list ap;
  va_start(ap, format);
  const int text = std::vsnprintf(line + n, sizeof line - n, format, ap);
  va_end(ap);
  const size_t end = std::min(n + static_cast<size_t>(std::max(text, 0)), sizeof line - 2);
  // A line stays one, whatever is in the names that it tells of.
  std::replace_if(
      line + n, line + end, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }, '?');
  n = end;
  line[n++] = '\n';
  struct stat st;
  // Half full with this line: kept as the older half, the one before goes.
  if (fstat(fd_, &st) == 0 && static_cast<uint64_t>(st.st_size) + n > kLogBytes / 2 &&
      renameat(directory_->fd(), name_.c_str(), directory_->fd(), older_.c_str()) == 0) {
    if (!start().ok()) return;
  }
  [[maybe_unused]] const ssize_t written = write(fd_, line, n);
}

}  // namespace vale
