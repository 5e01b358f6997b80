// SPDX-License-Identifier: BSD-2-Clause
// Several virtual machines that one agent serves.
#include <signal.h>
#include <unistd.h>

#include "test/support/agents.h"
#include "test/support/check.h"
#include "test/support/switch_fixture.h"
#include "test/support/vhost_master.h"

using namespace vale;
using namespace vale::vhost;
using master::Master;

namespace {

struct Together {
  Fixture f;

  ~Together() {
    for (unsigned i = 1; i <= 3; i++) detach(i);
  }
  std::string port(unsigned i) const { return "vale0:vm" + std::to_string(i); }
  std::string path(unsigned i) const { return f.dir + ".sock" + std::to_string(i); }
  Status attach(unsigned i, uint16_t rings = 1) {
    AttachRequest q = agents::request(port(i));
    q.vhost_user = path(i);
    q.agent_name = "vms";
    q.port.tx_rings = q.port.rx_rings = rings;
    uint32_t index;
    return f.device->attach(q, &index);
  }
  Status detach(unsigned i) {
    uint32_t index;
    return f.device->detach(port(i), &index);
  }
  AgentRow row(unsigned i) { return agents::row_of(*f.device, port(i)); }
};

std::string body(const Master& m, const std::string& received) {
  return received.size() < m.header_bytes() ? "" : received.substr(m.header_bytes());
}

// Both know where the other is.
void introduce(Master& a, Master& b) {
  a.refill();
  b.refill();
  CHECK(a.send(frame(mac(2), mac(1), 60, 0)));
  CHECK(body(b, b.receive()) == frame(mac(2), mac(1), 60, 0));
  CHECK(b.send(frame(mac(1), mac(2), 60, 1)));
  CHECK(body(a, a.receive()) == frame(mac(1), mac(2), 60, 1));
}

}  // namespace

TEST(one_process_serves_all_that_name_it_and_ends_with_the_last) {
  Together t;
  for (unsigned i = 1; i <= 3; i++) CHECK_OK(t.attach(i));
  const pid_t pid = static_cast<pid_t>(t.row(1).pid);
  for (unsigned i = 1; i <= 3; i++) {
    CHECK_EQ(t.row(i).pid, static_cast<uint32_t>(pid));
    CHECK_EQ(t.row(i).name, std::string("vms"));
  }
  CHECK_EQ(t.attach(2).err, EBUSY);
  Master a, b;
  REQUIRE(a.meet(t.path(1)));
  REQUIRE(b.meet(t.path(2)));
  introduce(a, b);
  // The first one goes, and comes again, while the others are served.
  a.part();
  CHECK_OK(t.detach(1));
  CHECK(access(t.path(1).c_str(), F_OK) != 0);
  Master c;
  REQUIRE(c.meet(t.path(3)));
  introduce(c, b);
  CHECK_OK(t.attach(1));
  CHECK_EQ(t.row(1).pid, static_cast<uint32_t>(pid));
  Master again;
  REQUIRE(again.meet(t.path(1)));
  introduce(again, b);
  for (unsigned i = 1; i <= 3; i++) CHECK_OK(t.detach(i));
  for (int i = 0; i < 3000 && kill(pid, 0) == 0; i++) usleep(1000);
  CHECK(kill(pid, 0) != 0);
  for (const std::string& file : t.f.files()) CHECK(file[0] != 'a' && file[0] != 'w');
}

TEST(a_name_is_free_again_when_its_process_is_killed) {
  Together t;
  for (unsigned i = 1; i <= 2; i++) CHECK_OK(t.attach(i));
  const pid_t pid = static_cast<pid_t>(t.row(2).pid);
  kill(pid, SIGSTOP);
  const Status stopped = t.attach(3);
  CHECK_EQ(stopped.err, EBUSY);
  CHECK(stopped.text.find("kill -CONT") != std::string::npos);
  kill(pid, SIGKILL);
  while (kill(pid, 0) == 0) usleep(1000);
  for (unsigned i = 1; i <= 3; i++) CHECK_OK(t.attach(i));
  CHECK(t.row(1).pid != static_cast<uint32_t>(pid));
  CHECK_EQ(t.row(1).pid, t.row(3).pid);
  for (const std::string& file : t.f.files()) CHECK(file[0] != 'w');
}

TEST(a_guest_that_breaks_the_rules_leaves_the_others_alone) {
  Together t;
  for (unsigned i = 1; i <= 3; i++) CHECK_OK(t.attach(i));
  Master a, b;
  REQUIRE(a.meet(t.path(1)));
  REQUIRE(b.meet(t.path(2)));
  introduce(a, b);
  {
    Master c;
    REQUIRE(c.meet(t.path(3)));
    c.tx().descriptors[0] = {c.guest(0x800000), 100, kNext, 0};
    c.offer(c.tx(), 0);
    CHECK(c.hung_up());
    CHECK(!t.row(3).state.up);
  }
  {
    Master c;
    REQUIRE(c.meet(t.path(3)));
    c.refill();
    if (ftruncate(c.memory_fd, 0) != 0) CHECK(false);
    CHECK(a.send(frame(kBroadcast, mac(1), 60, 2)));
    CHECK(body(b, b.receive()) == frame(kBroadcast, mac(1), 60, 2));
    CHECK(c.hung_up());
  }
  CHECK(a.send(frame(mac(2), mac(1), 60, 3)));
  CHECK(body(b, b.receive()) == frame(mac(2), mac(1), 60, 3));
  CHECK(t.row(1).state.up && t.row(2).state.up && !t.row(3).state.up);
}
