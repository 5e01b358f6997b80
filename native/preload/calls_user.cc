// SPDX-License-Identifier: BSD-2-Clause
// A program that opens a port and then becomes somebody with fewer rights keeps what is mapped: all that
// its ports can send to by then.
#include "preload/device_file.h"
#include "preload/real.h"

namespace vale::preload {
namespace {

void map_peers() {
  if (g_devices.load(std::memory_order_relaxed) == 0) return;
  Guard table(g_table_lock);
  if (!table.held) return;
  for (DeviceFile* f = DeviceFile::first; f != nullptr; f = f->next) {
    Guard guard(f->lock);
    if (guard.held && f->port() != nullptr) f->port()->map_peers();
  }
}

}  // namespace

EXPORT(int, setuid, (uid_t user)) {
  map_peers();
  return real().setuid(user);
}
EXPORT(int, seteuid, (uid_t user)) {
  map_peers();
  return real().seteuid(user);
}
EXPORT(int, setreuid, (uid_t user, uid_t effective)) {
  map_peers();
  return real().setreuid(user, effective);
}
EXPORT(int, setresuid, (uid_t user, uid_t effective, uid_t saved)) {
  map_peers();
  return real().setresuid(user, effective, saved);
}

}  // namespace vale::preload
