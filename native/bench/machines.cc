// SPDX-License-Identifier: BSD-2-Clause
// Virtual machines that do nothing, without a machine: one behind each of --sockets, with commas. Prints a
// line when all are connected and their queues run, and ends with its input.
#include <memory>

#include "bench/measure.h"
#include "test/support/vhost_master.h"

int main(int argc, char** argv) {
  bench::Args args(argc, argv);
  const std::string sockets = args.word("sockets", "");
  args.done();
  std::vector<std::unique_ptr<master::Master>> all;
  for (size_t at = 0, comma; at < sockets.size(); at = comma + 1) {
    comma = std::min(sockets.find(',', at), sockets.size());
    const std::string one = sockets.substr(at, comma - at);
    master::Options options;
    options.memory = 2 << 20;
    auto machine = std::make_unique<master::Master>(options);
    if (!machine->meet(one)) bench::die(1, "%s: nobody serves this socket", one.c_str());
    machine->refill();
    all.push_back(std::move(machine));
  }
  if (all.empty()) bench::die(2, "--sockets: sockets with commas");
  bench::Json json;
  json.text("tool", "machines").whole("machines", all.size()).print();
  std::fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}
