// SPDX-License-Identifier: BSD-2-Clause
// Numbers come and go: close, dup, fcntl and their relations.
#include <fcntl.h>
#include <linux/close_range.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>

#include "preload/device_file.h"
#include "preload/real.h"

namespace vale::preload {
namespace {

int fail(int err) {
  errno = err;
  return -1;
}

// One more number for whatever `from` is.
int share(int from, int to) {
  const Kind kind = kind_of(from);
  if (to < 0 || kind == Kind::other || kind == Kind::internal || borrowed_memory()) return to;
  Guard table(g_table_lock);
  if (!table.held) return to;
  Object* object = object_of(from);
  if (object == nullptr || add(to, object)) return to;
  real().close(to);
  return fail(EMFILE);
}

int close_ours(int fd) {
  if (borrowed_memory()) return real().close(fd);
  Guard table(g_table_lock);
  Object* object = table.held ? object_of(fd) : nullptr;
  if (object != nullptr) remove(fd);
  const int result = real().close(fd);
  end_if_unused(object);
  return result;
}

// dup2 and dup3 onto a number that is ours, or onto one that the core uses.
template <class Call>
int replace(int from, int to, Call call) {
  const Kind kind = kind_of(to);
  // Where this library keeps its own descriptors: a number that hardly anybody asks for by name.
  if (kind == Kind::internal && from != to) return fail(EBUSY);
  if (kind == Kind::other || from == to || borrowed_memory()) {
    const int result = call();
    return from == to ? result : share(from, result);
  }
  Guard table(g_table_lock);
  const int result = call();
  if (result < 0 || !table.held) return result;
  Object* old = object_of(to);
  remove(to);
  const Kind source = kind_of(from);
  if (source != Kind::other && source != Kind::internal) add(to, object_of(from));
  end_if_unused(old);
  return result;
}

int device_fcntl(int fd, int command, void* argument) {
  switch (command) {
    case F_GETFL:
    case F_SETFL: {
      // The FIFO stays non-blocking whatever the program wants of its descriptor.
      Use use(fd);
      if (use.file() == nullptr) return fail(EBADF);
      if (command == F_GETFL) return use.file()->status_flags;
      const int may = O_NONBLOCK | O_APPEND;
      const int wish = static_cast<int>(reinterpret_cast<intptr_t>(argument));
      use.file()->status_flags = (use.file()->status_flags & ~may) | (wish & may);
      return 0;
    }
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
      return fail(EINVAL);  // the lock on this file says that the port is open
    default:
      return real().fcntl(fd, command, argument);
  }
}

int close_span(unsigned first, unsigned last, int flags) {
  return first > last ? 0 : real().close_range(first, last, flags);
}

}  // namespace

EXPORT(int, close, (int fd)) {
  switch (kind_of(fd)) {
    case Kind::other:
      return real().close(fd);
    case Kind::internal:
      return fail(EBADF);
    default:
      return close_ours(fd);
  }
}

EXPORT(int, close_range, (unsigned first, unsigned last, int flags)) {
  if (first > last) return fail(EINVAL);
  unsigned begin = first;
  const unsigned end = std::min(last, static_cast<unsigned>(kMaxFd - 1));
  for (unsigned fd = first; fd <= end; fd++) {
    const Kind kind = kind_of(static_cast<int>(fd));
    if (kind == Kind::other || (kind != Kind::internal && (flags & CLOSE_RANGE_CLOEXEC))) continue;
    if (begin < fd && close_span(begin, fd - 1, flags) != 0) return -1;
    if (kind != Kind::internal) close_ours(static_cast<int>(fd));
    begin = fd + 1;
  }
  return close_span(begin, last, flags);
}

EXPORT(void, closefrom, (int low)) {
  if (interposed_close_range(static_cast<unsigned>(low < 0 ? 0 : low), ~0u, 0) != 0)
    real().closefrom(low);
}

EXPORT(int, dup, (int fd)) { return share(fd, real().dup(fd)); }

EXPORT(int, dup2, (int from, int to)) {
  return replace(from, to, [&] { return real().dup2(from, to); });
}

EXPORT(int, dup3, (int from, int to, int flags)) {
  return replace(from, to, [&] { return real().dup3(from, to, flags); });
}

EXPORT(int, fcntl, (int fd, int command, ...)) {
  va_list ap;
  va_start(ap, command);
  void* argument = va_arg(ap, void*);
  va_end(ap);
  const Kind kind = kind_of(fd);
  if (kind == Kind::internal) return fail(EBADF);
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
    return share(fd, real().fcntl(fd, command, argument));
  return kind == Kind::device ? device_fcntl(fd, command, argument)
                              : real().fcntl(fd, command, argument);
}

EXPORT(int, fcntl64, (int fd, int command, ...)) {
  va_list ap;
  va_start(ap, command);
  void* argument = va_arg(ap, void*);
  va_end(ap);
  return interposed_fcntl(fd, command, argument);
}

}  // namespace vale::preload
