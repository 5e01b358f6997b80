// SPDX-License-Identifier: BSD-2-Clause
#include "shm/runtime.h"

#include "shm/machine_clock.h"

namespace vale {
namespace {

void leave(Runtime* rt) {
  if (rt->process.valid() && rt->directory.present().ok()) {
    DirLock lock;
    if (lock.acquire(rt->directory, "leaving").ok()) rt->process.leave(rt->directory);
  }
  delete rt;
}

}  // namespace

Status Runtime::join(const char* path, std::shared_ptr<Runtime>* out) {
  std::shared_ptr<Runtime> rt(new Runtime, leave);
  if (Status s = rt->open(path); !s.ok()) return s;
  machine_seconds();  // a process may give up reading files once its ports are open
  *out = std::move(rt);
  return Status::good();
}

}  // namespace vale
