// SPDX-License-Identifier: BSD-2-Clause
// Attached interfaces from the core's side: a real agent, its record, its log.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>

#include "agent/log.h"
#include "agent/options.h"
#include "device/user.h"
#include "test/support/agents.h"
#include "test/support/check.h"
#include "test/support/switch_fixture.h"
#include "test/support/wire.h"

using namespace vale;

namespace {

#define NEED_NETWORK()                           \
  do {                                           \
    const char* const why_not = agents::enter(); \
    if (why_not != nullptr) SKIP(why_not);       \
  } while (0)

// The next frame that the switch port receives of the test's own type; empty after a second.
std::string next(Fixture& f, Port& port) {
  for (int turn = 0; turn < 200; turn++) {
    for (const std::string& s : f.receive(port)) {
      if (s.size() > 14 && static_cast<uint8_t>(s[12]) == wire::kTestType >> 8 &&
          static_cast<uint8_t>(s[13]) == (wire::kTestType & 0xff))
        return s;
    }
    PortWait wait = {&port, POLLIN};
    wait_ports(&wait, 1, 5, 0, -1);
  }
  return {};
}

}  // namespace

TEST(an_attached_interface_carries_frames_both_ways_until_it_is_detached) {
  NEED_NETWORK();
  Fixture f;
  wire::Veth veth;
  CHECK(veth.ok);
  const auto before = f.files();
  uint32_t index = 99;
  CHECK_OK(f.device->attach(agents::request("vale0:v0"), &index));
  CHECK_EQ(index, 0u);
  CHECK_EQ(f.device->attach(agents::request("vale0:v0"), &index).err, EBUSY);
  CHECK_EQ(f.device->attach(agents::request("vale1:v0"), &index).err, EBUSY);
  CHECK_EQ(f.device->attach(agents::request("vale0:v9"), &index).err, EINVAL);
  {
    auto x = f.open("vale0:x");
    auto far = wire::open("v1");
    CHECK(far != nullptr);
    for (uint32_t i = 0; i < 100; i++) {
      const wire::Frame sent = wire::make_frame(60 + i * 14, i);
      CHECK(wire::put(*far, sent));
      far->txsync();
      const std::string got = next(f, *x);
      CHECK(got == std::string(sent.begin(), sent.end()));
      f.send(*x, std::string(sent.begin(), sent.end()));
      CHECK(wire::next(*far) == sent);
    }
    const AgentRow row = agents::row_of(*f.device, "vale0:v0");
    CHECK(row.alive && row.state.up && row.state.link);
    CHECK_EQ(row.state.mtu, 1500u);
    CHECK_EQ(row.state.backend, std::string("packet"));
    CHECK(row.wire.rx_frames >= 100 && row.wire.tx_frames >= 100);
    OpenRequest q;
    q.name = "vale0:v0";
    std::unique_ptr<Port> none;
    CHECK_EQ(f.device->open(q, &none).err, EBUSY);
  }
  CHECK_EQ(f.device->polling("vale0:v0", 0, 0).err, EFAULT);
  CHECK_OK(f.device->detach("vale0:v0", &index));
  CHECK_EQ(f.device->detach("vale0:v0", &index).err, ENXIO);
  CHECK(f.files().size() == before.size() + 1);  // this process has a lease by now
}

TEST(a_killed_agent_leaves_its_log_and_no_port) {
  NEED_NETWORK();
  Fixture f;
  wire::Veth veth;
  uint32_t index;
  CHECK_OK(f.device->attach(agents::request("vale0:v0"), &index));
  const auto files = f.files();
  const AgentRow row = agents::row_of(*f.device, "vale0:v0");
  CHECK(row.pid != 0);
  kill(static_cast<pid_t>(row.pid), SIGKILL);
  for (int turn = 0; turn < 500 && agents::row_of(*f.device, "vale0:v0").alive; turn++)
    usleep(10'000);
  const AgentRow dead = agents::row_of(*f.device, "vale0:v0");
  CHECK(!dead.alive && dead.ended != 0);
  CHECK_EQ(dead.told, false);
  std::vector<PortRow> ports;
  CHECK_OK(f.device->list(&ports));
  CHECK(ports.empty());
  CHECK_EQ(access(dead.log.c_str(), R_OK), 0);
  CHECK_OK(f.device->forget_agent("vale0:v0", false));
  CHECK_EQ(agents::row_of(*f.device, "vale0:v0").told, true);
  CHECK_OK(f.device->attach(agents::request("vale0:v0"), &index));
  CHECK_EQ(access(dead.log.c_str(), R_OK), -1);
  CHECK_OK(f.device->detach("vale0:v0", &index));
}

TEST(a_log_is_two_halves_and_never_more_than_its_limit) {
  Fixture f;
  Directory directory;
  CHECK_OK(directory.open(f.dir.c_str()));
  const int out = dup(1), err = dup(2);
  std::fflush(stdout);
  AgentLog log;
  const Status opened = log.open(directory, "l7.7", "o7.7");
  const auto bytes = [&](const char* name) {
    struct stat st;
    return stat((f.dir + "/" + name).c_str(), &st) == 0 ? static_cast<uint64_t>(st.st_size) : 0;
  };
  uint64_t most = 0;
  for (uint32_t i = 0; i < 40'000; i++) {
    log.say("line %06u of many, each with enough text to fill the log several times over", i);
    if (i % 97 == 0) most = std::max(most, bytes("l7.7") + bytes("o7.7"));
  }
  log.say("%s", std::string(5000, 'x').c_str());
  dup2(out, 1);
  dup2(err, 2);
  close(out);
  close(err);
  CHECK_OK(opened);
  CHECK(most <= kLogBytes);
  CHECK(most > kLogBytes / 2);
  std::ifstream older(f.dir + "/o7.7"), newer(f.dir + "/l7.7");
  std::string last, first, line;
  while (std::getline(older, line)) last = line;
  std::getline(newer, first);
  const auto number = [](const std::string& s) {
    return std::atoi(s.substr(s.find("line ") + 5, 6).c_str());
  };
  CHECK_EQ(number(last) + 1, number(first));
}

TEST(options_that_make_no_sense_are_refused) {
  const auto parse = [](std::vector<const char*> words) {
    words.insert(words.begin(), "vale-agent");
    AgentOptions options;
    return parse_agent_options(static_cast<int>(words.size()), const_cast<char**>(words.data()),
                               &options)
        .err;
  };
  CHECK_EQ(parse({"--directory", "/x", "--port", "vale0:em1", "--tx-slots", "64"}), 0);
  CHECK_EQ(parse({}), EINVAL);
  CHECK_EQ(parse({"--directory", "x", "--port", "vale0:em1"}), EINVAL);
  CHECK_EQ(parse({"--directory", "/x", "--port", "em1"}), EINVAL);
  CHECK_EQ(parse({"--directory", "/x", "--port", "vale0:em1", "--memory", "70000"}), EINVAL);
  CHECK_EQ(parse({"--directory", "/x", "--port", "vale0:em1", "--tx-slots", "x"}), EINVAL);
  CHECK_EQ(parse({"--directory", "/x", "--port"}), EINVAL);
  CHECK_EQ(parse({"--frobnicate", "1"}), EINVAL);
}
