// SPDX-License-Identifier: BSD-2-Clause
// What the process of one machine cannot do to the others that its agent serves.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/support/check.h"
#include "test/support/together.h"
#include "test/support/vhost_master.h"
#include "vhost/endpoint.h"
#include "vhost/guest_port.h"

using namespace vale;

// The flag that lets a write wait is the open file's: a master clears it whenever it likes.
TEST(a_bell_that_is_full_stops_no_other_machine_of_its_agent) {
  Together t;
  CHECK_OK(t.attach(1));
  CHECK_OK(t.attach(2));
  master::Master hostile, b;
  REQUIRE(meet(t, hostile, b));
  master::Driver& q = hostile.tx();
  REQUIRE(hostile.tell(vhost::Request::set_vring_err, uint64_t{q.index}, q.call));
  uint64_t value = 0;
  REQUIRE(hostile.ask(vhost::Request::get_features, &value));
  [[maybe_unused]] const ssize_t drained = read(q.call, &value, sizeof value);
  const uint64_t full = ~uint64_t{0} - 1;
  REQUIRE(write(q.call, &full, sizeof full) == sizeof full);
  REQUIRE(fcntl(q.call, F_SETFL, 0) == 0);
  for (uint32_t n = 0; n < 5; n++) {
    REQUIRE(hostile.send(frame(mac(2), mac(1), 60, n)));  // and asks to be told that it was taken
    CHECK(body(b, b.receive()) == frame(mac(2), mac(1), 60, n));
  }
  hostile.offer(q, 300);  // whoever breaks a rule is told so by the same
  CHECK(hostile.hung_up());
  CHECK(b.ask(vhost::Request::get_features, &value));
  CHECK_OK(t.detach(1));
  CHECK_OK(t.detach(2));
}

TEST(a_master_that_goes_on_talking_leaves_others_their_turn) {
  const std::string path = Fixture().dir + ".sock";
  std::unique_ptr<vhost::GuestLink> port;
  CHECK_OK(vhost::GuestPort::open({path, false, 1}, &port));
  const Handle talks = vhost::connect_to(path, SOCK_STREAM);
  REQUIRE(talks.valid());
  for (unsigned i = 0; i <= 100; i++) {
    const auto what = i < 100 ? vhost::Request::set_owner : vhost::Request::get_features;
    const vhost::Header h = {static_cast<uint32_t>(what), vhost::kVersion, 0};
    REQUIRE(send(talks.fd(), &h, sizeof h, 0) == sizeof h);
  }
  char answer[64];
  unsigned looks = 1;
  for (port->attend(); recv(talks.fd(), answer, sizeof answer, MSG_DONTWAIT) < 0; looks++) {
    REQUIRE(looks < 100);
    CHECK_EQ(port->ready(POLLIN), POLLIN);  // nobody sleeps on the rest
    port->attend();
  }
  CHECK(looks > 1);
  port->attend();
  CHECK_EQ(port->ready(POLLIN), 0);
}
