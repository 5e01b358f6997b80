// SPDX-License-Identifier: BSD-2-Clause
#include "switch/resolve.h"

#include <net/if.h>

#include "switch/monitor.h"
#include "switch/null.h"
#include "switch/pipe.h"
#include "switch/ports.h"

namespace vale {

Status resolve(Runtime& rt, const OpenRequest& q, uint32_t* port) {
  if (q.mode == NR_REG_NULL) return null_open(rt, q, port);
  if (q.flags & (NR_MONITOR_TX | NR_MONITOR_RX | NR_ZCOPY_MON)) return monitor_open(rt, q, port);
  return is_pipe(q.name) ? pipe_open(rt, q, port) : resolve_port(rt, q, port);
}

Status resolve_port(Runtime& rt, const OpenRequest& q, uint32_t* slot) {
  const Control& c = rt.control();
  SplitName name;
  if (Status s = split_name(q.name, ENOMEM, &name); !s.ok()) return s;
  const int32_t found = port_find(c, name);
  // The memory of an interface's pipes is not the interface.
  const bool hidden = found >= 0 && c.port(static_cast<uint32_t>(found)).hidden != 0;
  if (found >= 0 && !(hidden && if_nametoindex(name.port.c_str()) != 0)) {
    *slot = static_cast<uint32_t>(found);
    if (c.port(*slot).agent != q.agent) {
      return Status::fail(EBUSY,
                          "%s is attached, and served by its agent; open another "
                          "port of %s",
                          q.name.c_str(), name.sw.c_str());
    }
    return Status::good();
  }
  if (name.sw.empty()) {
    return Status::fail(ENXIO,
                        "%s: no such port or interface; `vale ctl -n %s` creates a persistent port",
                        q.name.c_str(), q.name.c_str());
  }
  if (persistent_find(c, name.port) >= 0) {
    return Status::fail(EINVAL,
                        "%s: the persistent port %s is not attached to %s; run: vale ctl -a %s",
                        q.name.c_str(), name.port.c_str(), name.sw.c_str(), q.name.c_str());
  }
  if (q.agent == 0 && if_nametoindex(name.port.c_str()) != 0) {
    return Status::fail(EINVAL,
                        "%s: the network interface %s is not attached to %s; run: vale ctl -a %s",
                        q.name.c_str(), name.port.c_str(), name.sw.c_str(), q.name.c_str());
  }
  if (Status s = port_create(rt, name.port, q, false, slot); !s.ok()) return s;
  if (Status s = port_attach(rt, *slot, name.sw); !s.ok()) {
    port_destroy(rt, *slot);
    return s;
  }
  c.port(*slot).agent = q.agent;
  c.port(*slot).state.store(State::live, std::memory_order_release);
  return Status::good();
}

}  // namespace vale
