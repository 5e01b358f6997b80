// SPDX-License-Identifier: BSD-2-Clause
#include "device/look.h"

#include "switch/ports.h"
#include "switch/reap.h"

namespace vale {

Look::Look(Runtime& rt, const char* what) : guard(rt.slow) {
  status = lock.acquire(rt.directory, what);
  if (status.ok()) reap(rt);
}

Status find_switch(const Control& c, const std::string& name, uint32_t* slot) {
  const std::string bare = name.substr(0, name.find(':'));
  const int32_t found = switch_find(c, bare);
  if (found < 0)
    return Status::fail(ENOENT, "%s: no such switch; `vale ctl` lists what is there", bare.c_str());
  *slot = static_cast<uint32_t>(found);
  return Status::good();
}

Status find_port(const Control& c, const std::string& name, uint32_t* slot) {
  int32_t found;
  if (Status s = port_lookup(c, name, ENXIO, &found); !s.ok()) return s;
  if (found < 0)
    return Status::fail(ENXIO, "%s: no such port; `vale ctl` lists what is there", name.c_str());
  *slot = static_cast<uint32_t>(found);
  return Status::good();
}

}  // namespace vale
