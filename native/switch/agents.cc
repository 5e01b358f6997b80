// SPDX-License-Identifier: BSD-2-Clause
#include "switch/agents.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cstring>

#include "shm/machine_clock.h"

namespace vale {
namespace {

constexpr uint32_t kMostDead = 64;                                              // records
constexpr size_t kMostRequest = 16 * 1024;                                      // bytes
constexpr uint64_t kSecond = 1'000'000'000, kMs = 1'000'000, kTick = 64 * kMs;  // ns

uint64_t wall_clock() {
  timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  return static_cast<uint64_t>(ts.tv_sec);
}

uint32_t ticks() { return static_cast<uint32_t>(machine_ns() / kTick); }

bool is_open(const AgentRec& a, const AgentWish& wish) {
  return wish.what != AgentWish::What::nothing && wish.gen == static_cast<uint16_t>(a.gen) &&
         wish.until > ticks();
}

uint64_t pid_namespace() {
  struct stat st;
  return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

AgentFile file(char kind, uint32_t slot, uint32_t gen) {
  AgentFile f;
  std::snprintf(f.text, sizeof f.text, "%c%u.%u", kind, slot, gen);
  return f;
}

bool active(const AgentRec& a) {
  const State s = a.state.load(std::memory_order_acquire);
  return s == State::live || s == State::creating;
}

template <class Match>
int32_t find(const Control& c, Match&& match) {
  const uint32_t count = c.agents();
  for (uint32_t i = 0; i < count; i++) {
    if (match(c.agent(i))) return static_cast<int32_t>(i);
  }
  return -1;
}

void forget_dead(Runtime& rt, const std::string& port) {
  for (int32_t i; (i = agent_find_dead(rt.control(), port)) >= 0;)
    agent_destroy(rt, static_cast<uint32_t>(i));
}

AgentFile request_file(uint32_t slot, uint32_t gen, uint32_t number) {
  AgentFile f;
  std::snprintf(f.text, sizeof f.text, "w%u.%u.%u", slot, gen, number);
  return f;
}

}  // namespace

AgentFile agent_doorbell(uint32_t slot, uint32_t gen) { return file('a', slot, gen); }
AgentFile agent_log(uint32_t slot, uint32_t gen) { return file('l', slot, gen); }
AgentFile agent_older_log(uint32_t slot, uint32_t gen) { return file('o', slot, gen); }

int32_t agent_find(const Control& c, const std::string& port) {
  return find(c, [&](const AgentRec& a) { return active(a) && port == a.port; });
}

int32_t agent_serving(const Control& c, uint64_t netns_inode, uint32_t interface_index) {
  return find(c, [&](const AgentRec& a) {
    return active(a) && a.netns_inode == netns_inode && a.interface_index == interface_index;
  });
}

int32_t agent_named(const Control& c, const std::string& name) {
  return find(c, [&](const AgentRec& a) { return active(a) && name == a.name; });
}

int32_t agent_find_dead(const Control& c, const std::string& port) {
  int32_t last = -1;
  const uint32_t count = c.agents();
  for (uint32_t i = 0; i < count; i++) {
    const AgentRec& a = c.agent(i);
    if (a.state.load(std::memory_order_acquire) != State::dying || port != a.port) continue;
    if (last < 0 || a.ended >= c.agent(static_cast<uint32_t>(last)).ended)
      last = static_cast<int32_t>(i);
  }
  return last;
}

Status agent_create(Runtime& rt, const std::string& port, uint32_t* out, int* doorbell) {
  const Control& c = rt.control();
  forget_dead(rt, port);
  uint32_t slot;
  const auto agent_at = [&](uint32_t i) -> AgentRec& { return c.agent(i); };
  if (Status s = rt.directory.free_record(Directory::Array::agents, c.agents(), agent_at, &slot);
      !s.ok())
    return s;
  AgentRec& a = c.agent(slot);
  std::memset(static_cast<void*>(&a), 0, sizeof a);
  a.gen = c.header().next_gen++;
  a.proc = rt.process.slot();
  a.proc_gen = rt.process.gen();
  a.pid = static_cast<uint32_t>(getpid());
  a.pid_namespace = pid_namespace();
  a.started = wall_clock();
  std::snprintf(a.port, sizeof a.port, "%s", port.c_str());
  a.state.store(State::creating, std::memory_order_release);
  const AgentFile name = agent_doorbell(slot, a.gen);
  Status s = Status::good();
  *doorbell = -1;
  if (mkfifoat(rt.directory.fd(), name.text, rt.directory.file_mode()) == 0)
    *doorbell = rt.directory.open_file(name.text, O_RDWR | O_NONBLOCK);
  if (*doorbell < 0) {
    const int err = errno;
    s = Status::fail(err, "cannot create a FIFO in %s: %s", rt.directory.path().c_str(),
                     Directory::explain(err).c_str());
  } else {
    s = rt.directory.adopt(*doorbell);
  }
  if (!s.ok()) {
    if (*doorbell >= 0) close(*doorbell);
    agent_destroy(rt, slot);
    return s;
  }
  *out = slot;
  return s;
}

void agent_live(Runtime& rt, uint32_t slot) {
  rt.control().agent(slot).state.store(State::live, std::memory_order_release);
}

void agent_destroy(Runtime& rt, uint32_t slot) {
  AgentRec& a = rt.control().agent(slot);
  for (const AgentFile& f :
       {agent_doorbell(slot, a.gen), agent_log(slot, a.gen), agent_older_log(slot, a.gen)})
    rt.directory.unlink(f.text);
  a.state.store(State::free, std::memory_order_release);
}

void agent_end(Runtime& rt, uint32_t slot, const char* why) {
  AgentRec& a = rt.control().agent(slot);
  rt.directory.unlink(agent_doorbell(slot, a.gen).text);
  a.ended = wall_clock();
  std::snprintf(a.why, sizeof a.why, "%s", why);
  a.state.store(State::dying, std::memory_order_release);
}

bool agent_wish(AgentRec& a, uint64_t patience_ms, AgentWish* wish) {
  wish->gen = static_cast<uint16_t>(a.gen);
  wish->until = ticks() + static_cast<uint32_t>(patience_ms * kMs / kTick);
  uint64_t before = a.wish.load(std::memory_order_relaxed);
  return !is_open(a, AgentWish::of(before)) &&
         a.wish.compare_exchange_strong(before, wish->word(), std::memory_order_acq_rel);
}

bool agent_take_back(AgentRec& a, const AgentWish& wish) {
  uint64_t mine = wish.word();
  return a.wish.compare_exchange_strong(mine, 0, std::memory_order_acq_rel);
}

AgentWish agent_take_wish(AgentRec& a) {
  const AgentWish wish = AgentWish::of(a.wish.exchange(0, std::memory_order_acq_rel));
  return is_open(a, wish) ? wish : AgentWish();
}

Status agent_write_request(Runtime& rt, uint32_t slot, const std::vector<std::string>& words,
                           uint32_t* number, int* fd) {
  *number = rt.control().header().next_gen++ & AgentWish::kMostFirst;
  const uint32_t gen = rt.control().agent(slot).gen;
  const AgentFile name = request_file(slot, gen, *number);
  std::string text;
  for (const std::string& word : words) text += word + '\0';
  if (text.size() > kMostRequest) return Status::fail(E2BIG, "a request that is too long");
  if (Status s = rt.directory.create_file(name.text, fd); !s.ok()) return s;
  if (pwrite(*fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()))
    return Status::good();
  const Status s = rt.directory.no_room("a request", text.size());
  rt.directory.unlink(name.text);
  close(*fd);
  return s;
}

void agent_drop_request(Runtime& rt, uint32_t slot, uint32_t gen, uint32_t number) {
  rt.directory.unlink(request_file(slot, gen, number).text);
}

int agent_take_request(Runtime& rt, uint32_t slot, uint32_t number,
                       std::vector<std::string>* words) {
  const AgentFile name = request_file(slot, rt.control().agent(slot).gen, number);
  const int fd = rt.directory.open_file(name.text, O_RDWR | O_NONBLOCK);
  if (fd < 0) return -1;
  rt.directory.unlink(name.text);
  std::string text(kMostRequest, '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  words->clear();
  for (size_t at = 0; n > 0 && at < static_cast<size_t>(n); at += words->back().size() + 1)
    words->emplace_back(text.c_str() + at);
  return fd;
}

void agent_answer_request(int fd, const std::string& line) {
  [[maybe_unused]] const int cut = ftruncate(fd, 0);
  [[maybe_unused]] const ssize_t n = pwrite(fd, line.data(), line.size(), 0);
  close(fd);
}

uint32_t agent_ask(Runtime& rt, uint32_t slot) {
  AgentRec& a = rt.control().agent(slot);
  if (agent_answered(a, a.asked.load(std::memory_order_relaxed)))
    a.asked_at.store(machine_ns(), std::memory_order_relaxed);
  const uint32_t asked = a.asked.fetch_add(1, std::memory_order_acq_rel) + 1;
  const int fd = rt.directory.open_file(agent_doorbell(slot, a.gen).text, O_RDWR | O_NONBLOCK);
  if (fd < 0) return asked;
  const char byte = 1;
  [[maybe_unused]] const ssize_t n = write(fd, &byte, 1);  // full is rung well enough
  close(fd);
  return asked;
}

bool agent_answered(const AgentRec& a, uint32_t asked) {
  return static_cast<int32_t>(a.answered.load(std::memory_order_acquire) - asked) >= 0;
}

void agent_publish(AgentRec& a, const AgentFacts& facts) {
  const uint32_t next = a.sequence.load(std::memory_order_relaxed) + 1;
  std::memcpy(&a.facts[next & 1], &facts, sizeof facts);
  a.sequence.store(next, std::memory_order_release);
}

AgentFacts agent_facts(const AgentRec& a) {
  AgentFacts facts;
  for (uint32_t before = a.sequence.load(std::memory_order_acquire);;) {
    std::memcpy(&facts, &a.facts[before & 1], sizeof facts);
    std::atomic_thread_fence(std::memory_order_acquire);
    const uint32_t after = a.sequence.load(std::memory_order_acquire);
    if (after == before) return facts;  // else the agent may be writing this copy anew
    before = after;
  }
}

bool agent_stopped(const AgentRec& a) {
  if (agent_elsewhere(a)) return false;
  char path[32], text[256];
  std::snprintf(path, sizeof path, "/proc/%u/stat", a.pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (n <= 0) return false;
  text[n] = 0;
  const char* name_end = std::strrchr(text, ')');
  return name_end != nullptr && (name_end[2] == 'T' || name_end[2] == 't');
}

bool agent_overdue(const AgentRec& a) {
  return !agent_answered(a, a.asked.load(std::memory_order_acquire)) &&
         machine_ns() - a.asked_at.load(std::memory_order_relaxed) > kSecond;
}

bool agent_elsewhere(const AgentRec& a) { return a.pid_namespace != pid_namespace(); }

void agents_reap(Runtime& rt) {
  const Control& c = rt.control();
  const uint32_t count = c.agents();
  uint32_t dead = 0;
  for (uint32_t i = 0; i < count; i++) {
    AgentRec& a = c.agent(i);
    if (active(a) && !rt.process.alive(rt.directory, a.proc, a.proc_gen)) {
      // One that never got as far as being attached has told whoever started it.
      if (a.state.load(std::memory_order_relaxed) == State::creating) {
        agent_destroy(rt, i);
        continue;
      }
      agent_end(rt, i, "");
    }
    if (a.state.load(std::memory_order_relaxed) == State::dying) dead++;
  }
  for (; dead > kMostDead; dead--) {
    int32_t oldest = -1;
    for (uint32_t i = 0; i < count; i++) {
      const AgentRec& a = c.agent(i);
      if (a.state.load(std::memory_order_relaxed) == State::dying &&
          (oldest < 0 || a.gen < c.agent(static_cast<uint32_t>(oldest)).gen))
        oldest = static_cast<int32_t>(i);
    }
    agent_destroy(rt, static_cast<uint32_t>(oldest));
  }
}

}  // namespace vale
