// SPDX-License-Identifier: BSD-2-Clause
#include "preload/real.h"

#include <dlfcn.h>

namespace vale::preload {

Real g_real;
std::atomic<bool> g_real_known{false};

void find_real() {
#define FIND(name) g_real.name = reinterpret_cast<decltype(Real::name)>(dlsym(RTLD_NEXT, #name))
  FIND(open);
  FIND(openat);
  FIND(close);
  FIND(close_range);
  FIND(closefrom);
  FIND(dup);
  FIND(dup2);
  FIND(dup3);
  FIND(fcntl);
  FIND(ioctl);
  FIND(mmap);
  FIND(read);
  FIND(write);
  FIND(readv);
  FIND(writev);
  FIND(poll);
  FIND(ppoll);
  FIND(select);
  FIND(pselect);
  FIND(epoll_ctl);
  FIND(epoll_pwait);
  FIND(epoll_pwait2);
  FIND(fstat);
  FIND(stat);
  FIND(lstat);
  FIND(fstatat);
  FIND(statx);
  FIND(access);
  FIND(faccessat);
  FIND(recvmsg);
  FIND(recvmmsg);
  FIND(execve);
  FIND(execvpe);
  FIND(fexecve);
  FIND(posix_spawn);
  FIND(posix_spawnp);
  FIND(socket);
  FIND(bind);
  FIND(getsockname);
  FIND(setsockopt);
  FIND(send);
  FIND(sendto);
  FIND(if_nametoindex);
  FIND(if_indextoname);
  FIND(setuid);
  FIND(setreuid);
  FIND(setresuid);
  FIND(seteuid);
  FIND(closedir);
#undef FIND
  g_real_known.store(true, std::memory_order_release);
}

}  // namespace vale::preload
