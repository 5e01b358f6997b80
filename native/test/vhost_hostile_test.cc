// SPDX-License-Identifier: BSD-2-Clause
// Guests and their processes that break the rules: each loses its connection, the agent lives on, and the
// next guest gets its frames.
#include <functional>
#include <thread>

#include "device/user.h"
#include "device/wait.h"
#include "test/support/agents.h"
#include "test/support/check.h"
#include "test/support/switch_fixture.h"
#include "test/support/vhost_master.h"

using namespace vale;
using namespace vale::vhost;
using master::Driver;
using master::Master;

namespace {

struct Bench {
  Fixture f;
  std::string path = f.dir + ".sock";
  std::unique_ptr<Port> x;
  uint32_t pid = 0;

  Bench() {
    AttachRequest q = agents::request("vale0:vm1");
    q.vhost_user = path;
    uint32_t index;
    CHECK_OK(f.device->attach(q, &index));
    x = f.open("vale0:x");
    pid = row().pid;
  }
  ~Bench() {
    uint32_t index;
    CHECK_OK(f.device->detach("vale0:vm1", &index));
  }
  AgentRow row() { return agents::row_of(*f.device, "vale0:vm1"); }

  // A guest that keeps to the rules is served.
  void serves() {
    Master m;
    if (!m.meet(path)) return check::fail(__FILE__, __LINE__, "nobody is met any more");
    m.refill();
    const std::string there = frame(mac(2), mac(1), 100, 5);
    CHECK(m.send(there));
    std::string got;
    for (int i = 0; i < 200 && got.empty(); i++) {
      for (const std::string& one : f.receive(*x)) {
        if (one.size() == there.size()) got = one;  // others were sent before the attack
      }
      PortWait wait = {x.get(), POLLIN};
      if (got.empty()) wait_ports(&wait, 1, 5, 0, -1);
    }
    CHECK(got == there);
    f.send(*x, frame(mac(1), mac(2), 200, 6));
    std::string back;
    while (!(back = m.receive()).empty() && back.size() != 212) {
    }
    CHECK(back.size() == 212 && back.substr(12) == frame(mac(1), mac(2), 200, 6));
    const AgentRow now = row();
    CHECK(now.alive && now.pid == pid && now.state.up);
  }
};

using Attack = std::function<void(Master&)>;

void try_each(Bench& bench, const std::vector<std::pair<const char*, Attack>>& attacks,
              bool started, uint64_t features = 0) {
  for (const auto& [what, attack] : attacks) {
    master::Options o;
    o.start = started;
    o.features |= features;
    {
      Master m(o);
      CHECK(m.meet(bench.path));
      attack(m);
      CHECK(m.hung_up());
      for (int i = 0; i < 3000 && bench.row().state.up; i++)
        usleep(1000);  // its row is written in its own time
      CHECK(!bench.row().state.up);
    }
    if (check::state().failed) {
      std::printf("  after: %s\n", what);
      return;
    }
  }
  bench.serves();
}

SplitDescriptor readable(const Master& m, uint32_t bytes = 100, uint16_t flags = 0,
                         uint16_t next = 0) {
  return {m.guest(0x800000), bytes, flags, next};
}

// A chain that the guest sends, of what `fill` makes of its descriptors, beginning with 0.
Attack sends(const std::function<void(Master&, SplitDescriptor*)>& fill, uint16_t head = 0) {
  return [=](Master& m) {
    fill(m, m.tx().descriptors);
    m.offer(m.tx(), head);
    m.kick(m.tx());
  };
}

// A buffer that the guest wants to receive into, and a frame for it.
Attack receives(Bench& bench, const std::function<void(Master&, SplitDescriptor*)>& fill) {
  return [&bench, fill](Master& m) {
    fill(m, m.rx().descriptors);
    m.offer(m.rx(), 0);
    m.kick(m.rx());
    bench.f.send(*bench.x, frame(kBroadcast, mac(9), 500, 1));
  };
}

// Into the first slots of a packed ring; the first one's flags last, since whoever serves it may look at any time.
void publish(Driver& q, const std::vector<PackedDescriptor>& made) {
  for (size_t i = made.size() - 1; i > 0; i--) *q.slot(static_cast<uint32_t>(i)) = made[i];
  PackedDescriptor& first = *q.slot(0);
  first.address = made[0].address;
  first.bytes = made[0].bytes;
  first.id = made[0].id;
  __atomic_store_n(&first.flags, made[0].flags, __ATOMIC_RELEASE);
}

// Slots of a packed ring that the guest sends by, the first `available` of them made so.
Attack sends_packed(uint32_t available,
                    const std::function<void(Master&, PackedDescriptor*)>& fill) {
  return [=](Master& m) {
    Driver& q = m.tx();
    std::vector<PackedDescriptor> made(available);
    for (uint32_t i = 0; i < available; i++)
      made[i] = {m.guest(0x800000), 100, 0, q.marks(i, false)};
    fill(m, made.data());
    publish(q, made);
    m.kick(q);
  };
}

Attack receives_packed(Bench& bench, const std::function<void(Master&, PackedDescriptor*)>& fill) {
  return [&bench, fill](Master& m) {
    Driver& q = m.rx();
    std::vector<PackedDescriptor> made(1);
    made[0] = {m.guest(0x800000), 2000, 0, static_cast<uint16_t>(q.marks(0, false) | kWritable)};
    fill(m, made.data());
    publish(q, made);
    m.kick(q);
    bench.f.send(*bench.x, frame(kBroadcast, mac(9), 500, 1));
  };
}

Attack memory(uint32_t count, const std::function<void(Master&, MemoryRegion*)>& change,
              uint32_t fds = UINT32_MAX) {
  return [=](Master& m) {
    MemoryTable table = {};
    table.count = count;
    for (uint32_t i = 0; i < kMaxMessageFds; i++) {
      table.region[i] = {master::kGuestBase + (uint64_t{i} << 20), 1 << 20,
                         master::kUserBase + (uint64_t{i} << 20), uint64_t{i} << 20};
    }
    change(m, table.region);
    const std::vector<int> all(16, m.memory_fd);
    m.tell(Request::set_mem_table, &table, sizeof table, all.data(),
           fds == UINT32_MAX ? count : fds);
  };
}

Attack ring(const std::function<void(Master&, Driver&)>& change, uint64_t away = 0) {
  return [=](Master& m) {
    m.tell(Request::set_features, m.options.features);
    m.tell_memory();
    Driver q = m.tx();
    change(m, q);
    m.tell(Request::set_vring_num, RingState{q.index, q.size});
    m.tell(Request::set_vring_addr, RingAddress{q.index, 0, m.user(q.descriptors) + away,
                                                m.user(q.used), m.user(q.available), 0});
    m.tell(Request::set_vring_kick, uint64_t{q.index}, q.kick);
  };
}

template <class T>
Attack says(Request request, T payload) {
  return [=](Master& m) { m.tell(request, payload); };
}

}  // namespace

TEST(messages_that_make_no_sense) {
  Bench bench;
  const auto nothing = [](Master&, MemoryRegion*) {};
  try_each(
      bench,
      {
          {"unknown", says(static_cast<Request>(99), uint64_t{0})},
          {"not offered", says(Request::set_features, ~uint64_t{0})},
          {"not offered either", says(Request::set_protocol_features, ~uint64_t{0})},
          {"too short", [](Master& m) { m.tell(Request::set_features, "x", 1); }},
          {"another version",
           [](Master& m) { m.tell(Request::set_owner, nullptr, 0, nullptr, 0, 2); }},
          {"too long",
           [](Master& m) {
             const Header h = {1, kVersion, 0xfffffff0};
             CHECK(send(m.socket_fd, &h, sizeof h, 0) == sizeof h);
           }},
          {"half a message",
           [](Master& m) {
             const Header h = {static_cast<uint32_t>(Request::set_features), kVersion, 8};
             CHECK(send(m.socket_fd, &h, 7, 0) == 7);
             usleep(20'000);
             CHECK(send(m.socket_fd, reinterpret_cast<const char*>(&h) + 7, 5, 0) == 5);
             const uint64_t all = ~uint64_t{0};
             CHECK(send(m.socket_fd, &all, sizeof all, 0) == sizeof all);
           }},
          {"no such queue", says(Request::set_vring_num, RingState{2, 256})},
          {"no such queue at all", says(Request::get_vring_base, RingState{0xffffffff, 0})},
          {"a kick without its descriptor", says(Request::set_vring_kick, uint64_t{0})},
          {"a kick that is a file",
           [](Master& m) { m.tell(Request::set_vring_kick, uint64_t{0}, m.memory_fd); }},
          {"a call that is a socket",
           [](Master& m) { m.tell(Request::set_vring_call, uint64_t{0}, m.socket_fd); }},
          {"an MTU", says(Request::net_set_mtu, uint64_t{3})},
          {"an address that is a group's", says(Request::send_rarp, uint64_t{1})},
          {"many descriptors", memory(8, nothing, 16)},
          {"few descriptors", memory(8, nothing, 3)},
          {"many regions", memory(9, nothing, 8)},
          {"regions that overlap",
           memory(2, [](Master&, MemoryRegion* r) { r[1].guest = r[0].guest + 4096; })},
          {"regions that overlap over there",
           memory(2, [](Master&, MemoryRegion* r) { r[1].user = r[0].user; })},
          {"a region twice", memory(2, [](Master&, MemoryRegion* r) { r[1] = r[0]; })},
          {"an empty region", memory(1, [](Master&, MemoryRegion* r) { r[0].bytes = 0; })},
          {"beyond the file", memory(1, [](Master&, MemoryRegion* r) { r[0].offset = 1 << 30; })},
          {"beyond all files",
           memory(1, [](Master&, MemoryRegion* r) { r[0].offset = ~uint64_t{0}; })},
          {"around the end",
           memory(1, [](Master&, MemoryRegion* r) { r[0].guest = ~uint64_t{0} - 4096; })},
          {"as large as can be",
           memory(1, [](Master&, MemoryRegion* r) { r[0].bytes = ~uint64_t{0}; })},
          {"no file",
           [](Master& m) {
             MemoryTable table = {};
             table.count = 1;
             table.region[0] = {0, 4096, 0, 0};
             m.tell(Request::set_mem_table, &table, sizeof table, &m.socket_fd, 1);
           }},
          {"a ring of 0", ring([](Master&, Driver& q) { q.size = 0; })},
          {"a ring of 3", ring([](Master&, Driver& q) { q.size = 3; })},
          {"a ring of 65536", ring([](Master&, Driver& q) { q.size = 65536; })},
          {"a ring elsewhere", ring([](Master&, Driver&) {}, 1 << 30)},
          {"a ring not aligned", ring([](Master&, Driver&) {}, 8)},
          {"a ring over another", ring([](Master&, Driver& q) {
             q.used = reinterpret_cast<UsedRing*>(reinterpret_cast<char*>(q.available) + 128);
           })},
          {"a ring at the end", ring([](Master& m, Driver& q) {
             q.descriptors =
                 reinterpret_cast<SplitDescriptor*>(m.memory + m.options.memory - 4096 + 16);
           })},
      },
      false);
}

TEST(descriptors_that_lead_nowhere) {
  Bench bench;
  try_each(
      bench,
      {
          {"outside", sends([](Master& m, SplitDescriptor* d) {
             d[0] = readable(m);
             d[0].address = 0x1000;
           })},
          {"at the end", sends([](Master& m, SplitDescriptor* d) {
             d[0] = readable(m);
             d[0].address = m.guest(m.options.memory - 50);
           })},
          {"around the end", sends([](Master& m, SplitDescriptor* d) {
             d[0] = readable(m);
             d[0].address = ~uint64_t{0} - 20;
           })},
          {"a loop", sends([](Master& m, SplitDescriptor* d) {
             d[0] = readable(m, 10, kNext, 1);
             d[1] = readable(m, 10, kNext, 0);
           })},
          {"itself", sends([](Master& m, SplitDescriptor* d) { d[0] = readable(m, 0, kNext, 0); })},
          {"beyond the table",
           sends([](Master& m, SplitDescriptor* d) { d[0] = readable(m, 10, kNext, 256); })},
          {"a head beyond the table", sends([](Master&, SplitDescriptor*) {}, 256)},
          {"as long as can be", sends([](Master& m, SplitDescriptor* d) {
             d[0] = readable(m, 16 << 20, kNext, 1);
             for (uint16_t i = 1; i < 255; i++)
               d[i] = {m.guest(0), 24 << 20, kNext, static_cast<uint16_t>(i + 1)};
             d[255] = {m.guest(0), 0xffffffff, 0, 0};
           })},
          {"to be read after written", sends([](Master& m, SplitDescriptor* d) {
             d[0] = readable(m, 10, kNext | kWritable, 1);
             d[1] = readable(m, 100, 0, 0);
           })},
          {"a table of no size",
           sends([](Master& m, SplitDescriptor* d) { d[0] = readable(m, 0, kIndirectTable, 0); })},
          {"a table of an odd size",
           sends([](Master& m, SplitDescriptor* d) { d[0] = readable(m, 40, kIndirectTable, 0); })},
          {"a table too large", sends([](Master& m, SplitDescriptor* d) {
             d[0] = readable(m, 16 << 16, kIndirectTable, 0);
           })},
          {"a table outside", sends([](Master& m, SplitDescriptor* d) {
             d[0] = readable(m, 160, kIndirectTable, 0);
             d[0].address = 0;
           })},
          {"a table in a chain", sends([](Master& m, SplitDescriptor* d) {
             d[0] = readable(m, 160, kIndirectTable | kNext, 1);
           })},
          {"a table in a table", sends([](Master& m, SplitDescriptor* d) {
             d[0] = readable(m, 32, kIndirectTable, 0);
             SplitDescriptor* t = reinterpret_cast<SplitDescriptor*>(m.memory + 0x800000);
             t[0] = readable(m, 16, kIndirectTable, 0);
           })},
          {"a loop in a table", sends([](Master& m, SplitDescriptor* d) {
             d[0] = readable(m, 32, kIndirectTable, 0);
             SplitDescriptor* t = reinterpret_cast<SplitDescriptor*>(m.memory + 0x800000);
             t[0] = readable(m, 16, kNext, 1);
             t[1] = readable(m, 16, kNext, 0);
           })},
          {"more than there is room for",
           [](Master& m) {
             m.tx().next = static_cast<uint16_t>(m.tx().next + 1000);
             m.offer(m.tx(), 0);
             m.kick(m.tx());
           }},
          {"a buffer to receive into that is to be read",
           receives(bench, [](Master& m, SplitDescriptor* d) { d[0] = readable(m, 2000); })},
          {"one of no size",
           receives(bench,
                    [](Master& m, SplitDescriptor* d) { d[0] = readable(m, 0, kWritable); })},
          {"one without room for a header",
           receives(bench,
                    [](Master& m, SplitDescriptor* d) { d[0] = readable(m, 11, kWritable); })},
          {"one outside", receives(bench,
                                   [](Master& m, SplitDescriptor* d) {
                                     d[0] = readable(m, 2000, kWritable);
                                     d[0].address = m.guest(m.options.memory) - 100;
                                   })},
      },
      true);
}

TEST(packed_descriptors_that_lead_nowhere) {
  Bench bench;
  const auto flags = [](PackedDescriptor& d, uint16_t more) {
    d.flags = static_cast<uint16_t>(d.flags | more);
  };
  try_each(
      bench,
      {
          {"outside", sends_packed(1, [](Master&, PackedDescriptor* d) { d->address = 0x1000; })},
          {"around the end",
           sends_packed(1, [](Master&, PackedDescriptor* d) { d->address = ~uint64_t{0} - 20; })},
          {"longer than its ring", sends_packed(256,
                                                [&](Master&, PackedDescriptor* d) {
                                                  for (int i = 0; i < 256; i++) flags(d[i], kNext);
                                                })},
          {"as long as can be", sends_packed(256,
                                             [&](Master& m, PackedDescriptor* d) {
                                               for (int i = 0; i < 255; i++) {
                                                 flags(d[i], kNext);
                                                 d[i].address = m.guest(0);
                                                 d[i].bytes = 24 << 20;
                                               }
                                             })},
          {"to be read after written",
           sends_packed(2, [&](Master&, PackedDescriptor* d) { flags(d[0], kNext | kWritable); })},
          {"a table of no size", sends_packed(1,
                                              [&](Master&, PackedDescriptor* d) {
                                                flags(d[0], kIndirectTable);
                                                d[0].bytes = 0;
                                              })},
          {"a table of an odd size",
           sends_packed(1, [&](Master&, PackedDescriptor* d) { flags(d[0], kIndirectTable); })},
          {"a table outside", sends_packed(1,
                                           [&](Master&, PackedDescriptor* d) {
                                             flags(d[0], kIndirectTable);
                                             d[0].address = 0;
                                             d[0].bytes = 160;
                                           })},
          {"a table in a chain", sends_packed(2,
                                              [&](Master&, PackedDescriptor* d) {
                                                flags(d[0], kNext);
                                                flags(d[1], kIndirectTable);
                                                d[1].bytes = 160;
                                              })},
          {"a table in a table", sends_packed(1,
                                              [&](Master& m, PackedDescriptor* d) {
                                                flags(d[0], kIndirectTable);
                                                d[0].bytes = 32;
                                                PackedDescriptor* t =
                                                    reinterpret_cast<PackedDescriptor*>(m.memory +
                                                                                        0x800000);
                                                t[0] = {m.guest(0x800000), 16, 0, kIndirectTable};
                                              })},
          {"a lap ahead of itself",
           [&bench](Master& m) {
             // All that it may receive into, and all of that once more before any of it was used.
             Driver& q = m.rx();
             for (uint32_t i = 0; i < q.size; i++) {
               *q.slot(i) = {m.guest(0x800000), 12, 0,
                             static_cast<uint16_t>(q.marks(i, false) | kWritable)};
             }
             std::thread other([&] {
               for (int turn = 0; turn < 20000; turn++) {
                 for (uint32_t lap = 0; lap < 2; lap++) {
                   for (uint32_t i = 0; i < q.size; i++) {
                     const uint16_t marks = q.marks(i + lap * q.size, false);
                     __atomic_store_n(&q.slot(i)->flags, static_cast<uint16_t>(marks | kWritable),
                                      __ATOMIC_RELAXED);
                   }
                 }
               }
             });
             m.kick(q);
             for (int i = 0; i < 50; i++)
               bench.f.send(*bench.x, frame(kBroadcast, mac(9), 9000, 1));
             other.join();
             *m.tx().slot(0) = {0, 100, 0, m.tx().marks(0, false)};
             m.kick(m.tx());
           }},
          {"a buffer to receive into that is to be read",
           receives_packed(
               bench, [](Master& m, PackedDescriptor* d) { d->flags = m.rx().marks(0, false); })},
          {"one of no size",
           receives_packed(bench, [](Master&, PackedDescriptor* d) { d->bytes = 0; })},
          {"one without room for a header",
           receives_packed(bench, [](Master&, PackedDescriptor* d) { d->bytes = 11; })},
          {"one outside", receives_packed(bench,
                                          [](Master& m, PackedDescriptor* d) {
                                            d->address = m.guest(m.options.memory) - 100;
                                          })},
          {"a position that cannot be",
           [](Master& m) {
             RingState state = {1, 0};
             CHECK(m.tell(Request::get_vring_base, state));
             CHECK(m.hear(&state, sizeof state));
             CHECK_EQ(state.num, uint32_t{kLap} << 16 | kLap);
             m.tell(Request::set_vring_base, RingState{1, 256});
             m.tell(Request::set_vring_kick, uint64_t{1}, m.tx().kick);
           }},
      },
      true, kPacked);
}

namespace {

void taken_away(uint64_t features) {
  Bench bench;
  const auto shrink = [](Master& m) { CHECK(ftruncate(m.memory_fd, 4096) == 0); };
  try_each(bench,
           {
               {"before it is read",
                [&](Master& m) {
                  CHECK(m.send(frame(mac(2), mac(1), 1000, 1)));
                  shrink(m);
                  for (int i = 0; i < 10; i++) {
                    m.kick(m.tx());
                    bench.f.send(*bench.x, frame(kBroadcast, mac(9), 500, 1));
                    usleep(1000);
                  }
                }},
               {"while it is written",
                [&](Master& m) {
                  m.refill();
                  std::thread other([&] {
                    usleep(5000);
                    shrink(m);
                  });
                  for (int i = 0; i < 100; i++) {
                    bench.f.send(*bench.x, frame(kBroadcast, mac(9), 1400, 1));
                    usleep(200);
                  }
                  other.join();
                }},
           },
           true, features);
}

}  // namespace

TEST(memory_that_is_taken_away) { taken_away(0); }
TEST(memory_that_is_taken_away_under_packed_rings) { taken_away(kPacked); }

TEST(a_guest_that_asks_and_never_listens) {
  Bench bench;
  {
    Master m;
    CHECK(m.meet(bench.path));
    const Header ask = {static_cast<uint32_t>(Request::get_features), kVersion, 0};
    int sent = 0;
    while (sent < 1'000'000 && send(m.socket_fd, &ask, sizeof ask, MSG_NOSIGNAL) > 0) sent++;
    CHECK(sent < 1'000'000);
  }
  bench.serves();
}
