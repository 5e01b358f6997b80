// SPDX-License-Identifier: BSD-2-Clause
#include "agent/service.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "device/launch.h"
#include "switch/agents.h"

namespace vale {
namespace {

constexpr int kLookMs = 1000;

}  // namespace

Service::Service()
    : woken_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), machines_([this] { wake(); }) {}

Service::~Service() {
  machines_.stop();
  agents_.clear();
  if (woken_ >= 0) close(woken_);
}

void Service::wake() const {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(woken_, &one, sizeof one);
}

Status Service::attach(const AgentOptions& options, uint32_t* port_index, std::string* warning) {
  auto agent = std::make_unique<Agent>(
      options, [this] { wake(); }, &machines_);
  auto rt = agents_.empty() ? nullptr : agents_.front()->runtime();
  Status status = agent->attach(std::move(rt), port_index, warning);
  if (status.ok()) agents_.push_back(std::move(agent));
  return status;
}

void Service::serve(int signal_fd) {
  while (!agents_.empty()) {
    if (wait(signal_fd)) {
      machines_.stop();
      for (auto& agent : agents_) agent->say_signalled();
      return;
    }
    // By number: what is asked for may be one more of them.
    for (size_t i = 0; i < agents_.size();) {
      uint32_t request;
      const Agent::Turn turn = agents_[i]->look(&request);
      if (turn == Agent::Turn::over) {
        agents_.erase(agents_.begin() + static_cast<long>(i));
        continue;
      }
      if (turn == Agent::Turn::asked) {
        serve_too(*agents_[i], request);
        agents_[i]->answered();
      }
      i++;
    }
  }
}

bool Service::wait(int signal_fd) const {
  std::vector<pollfd> waits = {{signal_fd, POLLIN, 0}, {woken_, POLLIN, 0}};
  for (const auto& agent : agents_) waits.push_back({agent->doorbell(), POLLIN, 0});
  poll(waits.data(), waits.size(), kLookMs);
  uint64_t count;
  [[maybe_unused]] const ssize_t n = read(woken_, &count, sizeof count);
  return waits[0].revents != 0;
}

void Service::serve_too(const Agent& asked, uint32_t number) {
  std::vector<std::string> words;
  const int file = agent_take_request(*asked.runtime(), asked.slot(), number, &words);
  if (file < 0) return;
  std::vector<char*> argv = {nullptr};
  for (std::string& word : words) argv.push_back(word.data());
  AgentOptions options;
  Status status = parse_agent_options(static_cast<int>(argv.size()), argv.data(), &options);
  uint32_t index = 0;
  std::string warning;
  if (status.ok() && options.attach.machine().empty())
    status = Status::fail(EINVAL, "%s: an agent serves virtual machines together, no interfaces",
                          options.attach.port.name.c_str());
  if (status.ok()) status = attach(options, &index, &warning);
  agent_answer_request(file, answer_line(status, index, warning));
}

}  // namespace vale
