// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/bell.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace vale::vhost {

Bell::Bell() : nowhere_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {
  if (!nowhere_.valid() || syscall(SYS_io_setup, 1, &queue_) != 0) queue_ = 0;
}

Bell::~Bell() {
  if (queue_ != 0) syscall(SYS_io_destroy, queue_);
}

int Bell::submit(int fd, unsigned short what) {
  iocb request = {};
  request.aio_fildes = static_cast<uint32_t>(nowhere_.fd());
  request.aio_lio_opcode = what;
  request.aio_flags = IOCB_FLAG_RESFD;
  request.aio_resfd = static_cast<uint32_t>(fd);
  iocb* const one = &request;
  if (syscall(SYS_io_submit, queue_, 1, &one) == 1) return 0;
  if (errno != EAGAIN) return errno;
  // No room for one more that is done.
  io_event done[64];
  timespec none = {};
  syscall(SYS_io_getevents, queue_, 0, 64, done, &none);
  return syscall(SYS_io_submit, queue_, 1, &one) == 1 ? 0 : errno;
}

// Looked at first is what is to be rung, EINVAL; then that one may not write there, EBADF, so that nothing is done.
bool Bell::fits(int fd) { return queue_ == 0 || submit(fd, IOCB_CMD_PWRITE) == EBADF; }

void Bell::ring(int fd) {
  if (queue_ != 0) {
    submit(fd, IOCB_CMD_PREAD);
    return;
  }
  // A kernel without that, or none is left (fs.aio-max-nr): the next best.
  const uint64_t one = 1;
  pollfd room = {fd, POLLOUT, 0};
  fcntl(fd, F_SETFL, O_NONBLOCK);
  if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0) {
    [[maybe_unused]] const ssize_t n = write(fd, &one, sizeof one);
  }
}

}  // namespace vale::vhost
