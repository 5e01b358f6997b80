// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The life of an agent's record, under the directory lock:
//   1. agent_create(): the agent takes a record and makes its doorbell and its log. It opens its ports
//      with OpenRequest::agent, says agent_live(), and works.
//   2. Others make a wish (agent_wish()) and wait; agent_take_wish() is the agent's. An asker that waits no
//      longer takes its wish back, so that what was said to have failed is not done later.
//   3. A process with a name serves several virtual machines, a record each. Who wants it to serve one more
//      writes what it would start an agent with into a file (agent_write_request()), and wishes for that by
//      its number; the agent takes the file away (agent_take_request()) and answers into it.
//   4. agent_destroy(): it has detached its interface and closed its ports; record and files go.
//   5. If it dies instead, the next look finds out: agents_reap() keeps record and log until they have
//      been shown, the port is attached again, or as many newer ones have died as are kept.
//
// Owns. AgentRec, and the files a<slot>.<gen> (doorbell), l<slot>.<gen> and o<slot>.<gen> (its log and
//   the log's older half), w<slot>.<gen>.<number> (a request).
// Invariants. Ports of an agent are ports like others: they go with its registrations.
// Not here. What it does with frames (agent/), starting it (device/launch.h).
#pragma once

#include <string>
#include <vector>

#include "shm/runtime.h"
#include "types.h"

namespace vale {

struct AgentFile {
  char text[32];
};
AgentFile agent_doorbell(uint32_t slot, uint32_t gen);
AgentFile agent_log(uint32_t slot, uint32_t gen);
AgentFile agent_older_log(uint32_t slot, uint32_t gen);

// Its record, live or starting; -1 when there is none. By the full name of the port; by interface.
int32_t agent_find(const Control& c, const std::string& port);
int32_t agent_serving(const Control& c, uint64_t netns_inode, uint32_t interface_index);
// One whose process has this name.
int32_t agent_named(const Control& c, const std::string& name);
// The one that died last of those that served this port; -1.
int32_t agent_find_dead(const Control& c, const std::string& port);

// Takes a record for this process; what died on the same port goes. *doorbell is its FIFO, non-blocking.
Status agent_create(Runtime& rt, const std::string& port, uint32_t* slot, int* doorbell);
void agent_live(Runtime& rt, uint32_t slot);
void agent_destroy(Runtime& rt, uint32_t slot);
// It has to end though nobody asked it to: as if it had died, but known why.
void agent_end(Runtime& rt, uint32_t slot, const char* why);

// What is wanted of an agent, and until when: who asks may have died meanwhile.
struct AgentWish {
  enum class What : uint64_t { nothing, stop, poll, serve };
  static constexpr uint32_t kMostFirst = 0xfff;
  What what = What::nothing;
  uint32_t cores = 0, first = 0;  // to poll on, at most 3 from at most kMostFirst; 0 cores: no more
                                  // of `serve`: 0, and the request's number
  uint16_t gen = 0;               // of the agent's record, its low bits
  uint32_t until = 0;             // 64 ms of machine_clock.h

  uint64_t word() const {
    return static_cast<uint64_t>(what) | uint64_t{cores & 3} << 2 |
           uint64_t{first & kMostFirst} << 4 | uint64_t{gen} << 16 | uint64_t{until} << 32;
  }
  static AgentWish of(uint64_t word) {
    return {static_cast<What>(word & 3), static_cast<uint32_t>(word >> 2 & 3),
            static_cast<uint32_t>(word >> 4 & kMostFirst), static_cast<uint16_t>(word >> 16),
            static_cast<uint32_t>(word >> 32)};
  }
};
// Fills in for whom, and until when. False when somebody else's is still open.
bool agent_wish(AgentRec& a, uint64_t patience_ms, AgentWish* wish);
// False when the agent has it.
bool agent_take_back(AgentRec& a, const AgentWish& wish);
// By the agent: nothing when what was wanted is too late, or was of another that had this record.
AgentWish agent_take_wish(AgentRec& a);

// Under the lock: a request of these words for agent `slot`. *fd: its file, into which the answer comes.
Status agent_write_request(Runtime& rt, uint32_t slot, const std::vector<std::string>& words,
                           uint32_t* number, int* fd);
// By whoever made it, when the agent does not take it.
void agent_drop_request(Runtime& rt, uint32_t slot, uint32_t gen, uint32_t number);
// By the agent: -1 when it is gone; else where to answer.
int agent_take_request(Runtime& rt, uint32_t slot, uint32_t number,
                       std::vector<std::string>* words);
void agent_answer_request(int fd, const std::string& line);

// Without the directory lock: announces what was written into the record. The value that `answered`
// will have reached once the agent has acted on it.
uint32_t agent_ask(Runtime& rt, uint32_t slot);
bool agent_answered(const AgentRec& a, uint32_t asked);

// By the agent, any time; and a consistent copy of the last, for anybody.
void agent_publish(AgentRec& a, const AgentFacts& facts);
AgentFacts agent_facts(const AgentRec& a);

// Whether somebody stopped its process (SIGSTOP, a debugger); false for one in another process namespace.
bool agent_stopped(const AgentRec& a);
// Whether it has owed an answer for more than a second, as one in a frozen container does.
bool agent_overdue(const AgentRec& a);

// Whether its process id is one of another namespace, such as a container's.
bool agent_elsewhere(const AgentRec& a);

void agents_reap(Runtime& rt);

}  // namespace vale
