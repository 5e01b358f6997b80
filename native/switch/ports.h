// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The life of switches and ports, all under the directory lock:
//   1. port_create(): a record and its rings' records; no memory yet.
//   2. port_attach(): onto a switch, which is made if it does not exist. Senders can find it now.
//   3. memory_up() (memory.h) when the first registration opens it, memory_down() after the last.
//   4. port_detach(): senders lose it, its FDB entries go, its counters move to the switch. The
//      switch goes with its last port.
//   5. port_destroy(): waits for whoever is inside a ring; if that process is stopped the record
//      stays as a corpse and the next reap() tries again.
//
// Owns. SwitchRec and PortRec, FDB files.
// Invariants. Every function may be cut off anywhere: `dirty` is set around them and repair()
//   (reap.h) finishes or undoes what it finds. A port index is reused last freed first.
// Not here. Registrations (registration.h).
#pragma once

#include "shm/region.h"
#include "shm/runtime.h"
#include "switch/fdb.h"
#include "switch/names.h"
#include "types.h"

namespace vale {

Status port_create(Runtime& rt, const std::string& bare, const OpenRequest& wish, bool persistent,
                   uint32_t* slot);
Status port_attach(Runtime& rt, uint32_t slot, const std::string& switch_name);
// Waits for who is inside its rings, as long as a lock is waited for.
void port_detach(Runtime& rt, uint32_t slot);
// False while a stopped process is inside one of its rings.
bool port_destroy(Runtime& rt, uint32_t slot);

// Whether a pipe or a monitor's memory lies with this port.
bool port_has_pipes(const Control& c, uint32_t slot);
// After the last registration: the port goes, or, if it is persistent or has pipes, only its rings.
void port_drop_unused(Runtime& rt, uint32_t slot);

// Recompute what depends on the set of live registrations: bound rings, flood set, ring tags.
void port_refresh(Runtime& rt, uint32_t slot);

Status switch_create(Runtime& rt, const std::string& name, uint32_t* slot);
void switch_destroy(Runtime& rt, uint32_t slot);
Fdb switch_fdb(Runtime& rt, uint32_t slot);

// Set while records change; see Header::dirty. A mark that was there before stays: only a repair may
// take it away.
class Change {
 public:
  explicit Change(Runtime& rt)
      : header_(rt.control().header()),
        unrepaired_(__atomic_exchange_n(&header_.dirty, 1u, __ATOMIC_SEQ_CST)) {}
  ~Change() {
    if (unrepaired_ == 0) __atomic_store_n(&header_.dirty, 0u, __ATOMIC_SEQ_CST);
  }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

 private:
  Header& header_;
  const uint32_t unrepaired_;
};

}  // namespace vale
