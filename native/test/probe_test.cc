// SPDX-License-Identifier: BSD-2-Clause
// Questions about ports and memory, and the errno of each that has no answer.
#include "support/check.h"
#include "support/switch_fixture.h"

using namespace vale;

TEST(the_pools_of_a_port_hold_what_it_uses) {
  Fixture f;
  auto port = f.open("vale0:a");
  PoolsInfo pools;
  CHECK_OK(f.device->pools_info("vale0:a", {}, &pools));
  CHECK_EQ(pools.mem_id, port->info().mem_id);
  CHECK_EQ(pools.memsize, port->info().memsize);
  CHECK_EQ(pools.ifs.offset, 0u);
  CHECK(port->info().offset < pools.ifs.objects * uint64_t{pools.ifs.object_size});
  const auto ring = reinterpret_cast<const char*>(port->tx_ring(0)) - port->base();
  CHECK_EQ((static_cast<uint64_t>(ring) - pools.rings.offset) % pools.rings.object_size, 0u);
  CHECK_EQ(port->tx_ring(0)->buf_ofs + ring, static_cast<int64_t>(pools.bufs.offset));
  CHECK_EQ(pools.bufs.object_size, port->info().buf_size);
  CHECK_EQ((pools.bufs.offset + pools.bufs.objects * uint64_t{pools.bufs.object_size} + 4095) &
               ~uint64_t{4095},
           pools.memsize);
}

TEST(a_port_that_is_not_there_answers_with_what_it_would_get_and_stays_away) {
  Fixture f;
  PoolsInfo pools;
  CHECK_OK(f.device->pools_info("vale0:a", {}, &pools));
  PortInfo info;
  CHECK_OK(f.device->info("vale0:a", {}, &info));
  CHECK_EQ(info.memsize, pools.memsize);
  CHECK_EQ(f.device->pools_info("nobody", {}, &pools).err, ENXIO);
  CHECK_EQ(f.device->pools_info("", {}, &pools).err, ENXIO);
  std::vector<PortRow> rows;
  CHECK_OK(f.device->list(&rows));
  CHECK(rows.empty());
}

TEST(a_memory_is_asked_for_by_its_id_alone) {
  Fixture f;
  auto port = f.open("vale0:a");
  OpenRequest q;
  q.mem_id = port->info().mem_id;
  PortInfo info;
  CHECK_OK(f.device->info("", q, &info));
  CHECK_EQ(info.memsize, port->info().memsize);
  CHECK_EQ(info.mem_id, port->info().mem_id);
  q.mem_id = 60000;
  CHECK_EQ(f.device->info("", q, &info).err, EINVAL);
}

TEST(only_an_attached_interface_is_polled) {
  Fixture f;
  auto port = f.open("vale0:a");
  CHECK_EQ(f.device->polling("vale0:a", 1, 0).err, EOPNOTSUPP);
  CHECK_EQ(f.device->polling("vale0:a", 0, 0).err, EOPNOTSUPP);
  CHECK_EQ(f.device->polling("vale0:b", 1, 0).err, ENXIO);
  CHECK_EQ(f.device->polling("eth0", 1, 0).err, EINVAL);
}
