// SPDX-License-Identifier: BSD-2-Clause
// Ports of a switch of one's own at which one agent serves several virtual machines, or (apart) each has its own.
#pragma once

#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "shm/runtime.h"
#include "test/support/agents.h"
#include "test/support/check.h"
#include "test/support/switch_fixture.h"
#include "test/support/vhost_bench.h"

struct Together {
  Fixture f;
  const bool apart = false;

  explicit Together(bool each_its_own = false) : apart(each_its_own) {}
  ~Together() {
    for (unsigned i = 1; i <= 3; i++) detach(i);
  }
  std::string port(unsigned i) const { return "vale0:vm" + std::to_string(i); }
  std::string path(unsigned i) const { return f.dir + ".sock" + std::to_string(i); }
  vale::Status attach(unsigned i) {
    vale::AttachRequest q = agents::request(port(i));
    q.vhost_user = path(i);
    if (!apart) q.agent_name = "vms";
    uint32_t index;
    return f.device->attach(q, &index);
  }
  // After its process was killed, which takes a moment to be gone.
  bool attach_again(unsigned i) {
    vale::Status status;
    for (int turn = 0; turn < 3000; turn++) {
      status = attach(i);
      if (status.ok()) return true;
      usleep(1000);
    }
    std::printf("  %s\n", status.text.c_str());
    return false;
  }
  vale::Status detach(unsigned i) {
    uint32_t index;
    return f.device->detach(port(i), &index);
  }
  vale::AgentRow row(unsigned i) { return agents::row_of(*f.device, port(i)); }
  // Whether it is told of as broken within three seconds.
  bool comes_down(unsigned i) {
    for (int turn = 0; turn < 3000 && row(i).state.up; turn++) usleep(1000);
    return !row(i).state.up;
  }
  vale::PortCounters counters(unsigned i) {
    std::vector<vale::PortRow> ports;
    CHECK_OK(f.device->list(&ports));
    for (const vale::PortRow& p : ports) {
      if (p.name == port(i)) return p.counters;
    }
    return {};
  }
  // Slots that frames for the port have ever been put into, modulo its ring.
  uint32_t tail(unsigned i) {
    std::shared_ptr<vale::Runtime> rt;
    CHECK_OK(vale::Runtime::join(f.dir.c_str(), &rt));
    const vale::Control& c = rt->control();
    for (uint32_t p = 0; p < c.ports(); p++) {
      if (c.port(p).state.load() == vale::State::live &&
          "vale0:" + std::string(c.port(p).name) == port(i))
        return vale::word_position(c.rx(c.port(p).rx_base).tail.load());
    }
    return ~0u;
  }
};

inline uint64_t drops(const vale::PortCounters& c) {
  uint64_t sum = 0;
  for (const uint64_t one : c.drops) sum += one;
  return sum;
}

// Both know where the other is, at these addresses.
inline void introduce(master::Master& a, master::Master& b, const std::string& at_a = mac(1),
                      const std::string& at_b = mac(2)) {
  a.refill();
  b.refill();
  CHECK(a.send(frame(at_b, at_a, 60, 0)));
  CHECK(body(b, b.receive()) == frame(at_b, at_a, 60, 0));
  CHECK(b.send(frame(at_a, at_b, 60, 1)));
  CHECK(body(a, a.receive()) == frame(at_a, at_b, 60, 1));
}

// The first two ports' machines come, and know each other.
inline bool meet(const Together& t, master::Master& a, master::Master& b,
                 const std::string& at_a = mac(1), const std::string& at_b = mac(2)) {
  if (!a.meet(t.path(1)) || !b.meet(t.path(2))) return false;
  introduce(a, b, at_a, at_b);
  return true;
}

// The same, but the second has no receive buffers yet, and only the first knows where the other is.
inline bool meet_without_buffers(const Together& t, master::Master& a, master::Master& b) {
  if (!a.meet(t.path(1)) || !b.meet(t.path(2))) return false;
  a.refill();
  CHECK(b.send(frame(mac(1), mac(2), 60, 1)));
  CHECK(body(a, a.receive()) == frame(mac(1), mac(2), 60, 1));
  return true;
}
