// SPDX-License-Identifier: BSD-2-Clause
#include "device/addresses.h"

#include <cstring>

#include "shm/machine_clock.h"
#include "switch/names.h"
#include "switch/ports.h"

namespace vale {

Status addresses_of(Runtime& rt, uint32_t slot, std::vector<FdbRow>* out) {
  const Control& c = rt.control();
  const SwitchRec& rec = c.sw(slot);
  const Fdb fdb = switch_fdb(rt, slot);
  if (!fdb.mapped()) return Status::fail(EIO, "%s: its address table cannot be mapped", rec.name);
  const uint32_t now = machine_seconds();
  out->clear();
  for (const Fdb::Row& row : fdb.rows(rec, now)) {
    FdbRow r;
    const Mac48 mac = fdb_mac(row.word);
    std::memcpy(r.mac, &mac, 6);
    r.port_index = fdb_port(row.word);
    r.port = full_name(c, c.port(member_port(rec.member[r.port_index].load())));
    r.is_static = fdb_static(row.word);
    r.age_s = r.is_static || static_cast<int32_t>(now - row.seen) < 0 ? 0 : now - row.seen;
    out->push_back(std::move(r));
  }
  return Status::good();
}

uint32_t forget_addresses(Runtime& rt, uint32_t slot) {
  Fdb fdb = switch_fdb(rt, slot);
  return fdb.mapped() ? fdb.flush_dynamic() : 0;
}

Status bind_address(Runtime& rt, uint32_t slot, const uint8_t mac[6]) {
  PortRec& p = rt.control().port(slot);
  const int32_t sw = p.switch_slot.load();
  const std::string port = full_name(rt.control(), p);
  if (sw < 0) return Status::fail(ENXIO, "%s: attached to no switch", port.c_str());
  const SwitchRec& rec = rt.control().sw(static_cast<uint32_t>(sw));
  Fdb fdb = switch_fdb(rt, static_cast<uint32_t>(sw));
  if (!fdb.mapped())
    return Status::fail(EIO, "%s: its switch's address table cannot be mapped", port.c_str());
  p.learned = 1;
  const uint32_t index = p.port_index.load();
  fdb.add_static(rec, load_mac(mac), index, member_gen(rec.member[index].load()),
                 machine_seconds());
  return Status::good();
}

Status forget_address(Runtime& rt, uint32_t slot, const uint8_t mac[6]) {
  Fdb fdb = switch_fdb(rt, slot);
  if (!fdb.mapped() || !fdb.remove(load_mac(mac))) {
    return Status::fail(ENOENT, "%02x:%02x:%02x:%02x:%02x:%02x is not known on %s", mac[0], mac[1],
                        mac[2], mac[3], mac[4], mac[5], rt.control().sw(slot).name);
  }
  return Status::good();
}

}  // namespace vale
