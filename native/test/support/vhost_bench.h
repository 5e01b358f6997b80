// SPDX-License-Identifier: BSD-2-Clause
// A port of a switch of one's own at which a real agent serves a virtual machine.
#pragma once

#include <unistd.h>

#include <string>
#include <vector>

#include "device/wait.h"
#include "test/support/agents.h"
#include "test/support/check.h"
#include "test/support/switch_fixture.h"
#include "test/support/vhost_master.h"

struct Bench {
  Fixture f;
  std::string path = f.dir + ".sock";
  std::vector<std::string> waiting;
  ~Bench() { detach(); }

  vale::Status attach(uint16_t rings = 1, uint32_t slots = 0) {
    vale::AttachRequest q = agents::request("vale0:vm1");
    q.vhost_user = path;
    q.port.tx_rings = q.port.rx_rings = rings;
    q.port.tx_slots = slots;
    uint32_t index;
    return f.device->attach(q, &index);
  }
  void detach() {
    uint32_t index;
    f.device->detach("vale0:vm1", &index);
  }
  // The next frame that the port receives; empty after a second.
  std::string next(vale::Port& port) {
    for (int turn = 0; turn < 200 && waiting.empty(); turn++) {
      waiting = f.receive(port);
      vale::PortWait wait = {&port, POLLIN};
      if (waiting.empty()) wait_ports(&wait, 1, 5, 0, -1);
    }
    if (waiting.empty()) return {};
    const std::string first = waiting.front();
    waiting.erase(waiting.begin());
    return first;
  }
  vale::AgentRow row() { return agents::row_of(*f.device, "vale0:vm1"); }
  // Whether the agent's row comes to be so within three seconds; it writes it in its own time.
  template <class Wanted>
  bool comes_to(Wanted&& wanted) {
    for (int turn = 0; turn < 600; turn++) {
      if (wanted(row())) return true;
      usleep(5000);
    }
    return false;
  }
};

// What a driver can, as tests go through it.
struct DriverKind {
  const char* what;
  uint64_t features;
  bool indirect;
  uint32_t piece, rx_buffer;
  uint32_t queue_size = 256;

  master::Options options() const {
    master::Options o;
    o.features = features;
    o.indirect = indirect;
    o.piece = piece;
    o.rx_buffer = rx_buffer;
    o.queue_size = queue_size;
    return o;
  }
};

// A frame as the machine got it, without the header in front.
inline std::string body(const master::Master& m, const std::string& received) {
  return received.size() < m.header_bytes() ? "" : received.substr(m.header_bytes());
}
