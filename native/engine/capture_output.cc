// SPDX-License-Identifier: BSD-2-Clause
#include "engine/capture_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vale {
namespace {

constexpr uint64_t kPatience = 500'000'000;  // ns, with a reader that does not read, once stopping
constexpr uint64_t kOpenAgain = 20'000'000;  // ns between two looks for a FIFO's reader
constexpr mode_t kMode = 0600;               // what others said is nobody else's business

Status cannot_open(const std::string& path, int err) {
  return Status::fail(err, "%s: cannot be opened for writing: %s", path.c_str(),
                      std::strerror(err));
}

}  // namespace

Status CaptureOutput::check(const std::string& path, bool several) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  struct stat st;
  const bool there = !several && stat(path.c_str(), &st) == 0;
  int err = 0;
  if (there && S_ISDIR(st.st_mode)) err = EISDIR;
  if (err == 0 && faccessat(AT_FDCWD, there ? path.c_str() : folder.c_str(), W_OK, AT_EACCESS) != 0)
    err = errno;
  return err == 0 || path == "-" ? Status::good() : cannot_open(path, err);
}

Status CaptureOutput::open(const std::string& path) {
  const char* name = path.c_str();
  struct stat st;
  if (path == "-") {
    if (fstat(STDOUT_FILENO, &st) != 0)
      return Status::fail(errno, "standard output cannot be written: %s", std::strerror(errno));
    // A description of its own: not blocking, for nobody else who has this pipe.
    if (S_ISFIFO(st.st_mode)) fd_ = ::open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd_ < 0) fd_ = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  } else if (stat(name, &st) == 0 && S_ISFIFO(st.st_mode)) {
    while ((fd_ = ::open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 && errno == ENXIO &&
           !engine_.sleep(kOpenAgain)) {
    }
    if (fd_ < 0 && errno == ENXIO) return Status::fail(EPIPE, "%s: nobody has read it", name);
  } else {
    fd_ = ::open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode);
  }
  if (fd_ < 0) return cannot_open(path, errno);
  fstat(fd_, &st);
  kind_ = S_ISREG(st.st_mode)    ? Kind::file
          : S_ISFIFO(st.st_mode) ? Kind::fifo
          : S_ISSOCK(st.st_mode) ? Kind::socket
                                 : Kind::other;
  return Status::good();
}

int CaptureOutput::wait_for_room() {
  pollfd fds[2] = {{fd_, POLLOUT, 0}, {engine_.stop_fd(), POLLIN, 0}};
  if (!engine_.stopping()) poll(fds, 2, 1000);
  if (!engine_.stopping()) return 0;
  const uint64_t end = monotonic_ns() + kPatience;
  for (uint64_t now; (now = monotonic_ns()) < end;) {
    if (poll(fds, 1, static_cast<int>((end - now) / 1'000'000 + 1)) > 0) return 0;
  }
  return ETIMEDOUT;
}

size_t CaptureOutput::write(const void* bytes, size_t size, int* err) {
  const char* from = static_cast<const char*>(bytes);
  size_t done = 0;
  while (done < size) {
    const ssize_t n = kind_ == Kind::socket
                          ? send(fd_, from + done, size - done, MSG_DONTWAIT | MSG_NOSIGNAL)
                          : ::write(fd_, from + done, size - done);
    if (n >= 0) {
      done += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      if ((*err = wait_for_room()) != 0) return done;
    } else if (errno != EINTR) {
      *err = errno == ECONNRESET ? EPIPE : errno;
      return done;
    }
  }
  return done;
}

void CaptureOutput::cut(uint64_t length) {
  if (kind_ == Kind::file && ftruncate(fd_, static_cast<off_t>(length)) == 0)
    lseek(fd_, static_cast<off_t>(length), SEEK_SET);
}

bool CaptureOutput::abandoned() const {
  if (kind_ != Kind::fifo && kind_ != Kind::socket) return false;
  pollfd p{fd_, 0, 0};
  return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0;
}

int CaptureOutput::close() {
  if (fd_ < 0) return 0;
  const int err = ::close(fd_) == 0 ? 0 : errno;
  fd_ = -1;
  return err;
}

}  // namespace vale
