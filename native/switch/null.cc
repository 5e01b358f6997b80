// SPDX-License-Identifier: BSD-2-Clause
#include "switch/null.h"

#include "switch/ports.h"

namespace vale {

Status null_open(Runtime& rt, const OpenRequest& q, uint32_t* port) {
  const Control& c = rt.control();
  if (q.mem_id == 0)
    return Status::fail(EINVAL, "%s: a null port uses memory that exists; name it, as in @2",
                        q.name.c_str());
  if (Status s = port_create(rt, q.name, q, false, port); !s.ok()) return s;
  PortRec& p = c.port(*port);
  p.kind = Kind::null;
  if (q.tx_rings == 0) {
    c.tx(p.tx_base).state = State::free;
    p.tx_count = 0;
  }
  if (q.rx_rings == 0) {
    c.rx(p.rx_base).state = State::free;
    p.rx_count = 0;
  }
  p.state.store(State::live, std::memory_order_release);
  return Status::good();
}

}  // namespace vale
