// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A registration is alive while somebody holds its FIFO open:
//   1. lease_create(): make the FIFO, open it O_RDWR, lock the open file description (F_OFD_SETLK),
//      name it by its inode.
//   2. The descriptor may be inherited or passed on; the lock lives until the last copy is closed,
//      SIGKILL included.
//   3. lease_held(): F_OFD_GETLK through another description, which acquires nothing.
//   4. The same FIFO is the doorbell: one byte means "look" (wake.h).
//
// Owns. The descriptor belongs to the caller.
// Invariants. The name is f<inode>.<index>.<generation>: who holds only the descriptor finds the
//   registration by fstat(2), and a name is never used twice.
// Not here. What a registration binds (switch/ports.h).
#pragma once

#include "shm/directory.h"

namespace vale {

struct LeaseName {
  char text[64];
};
LeaseName lease_name(uint64_t inode, uint32_t index, uint32_t gen);
// Its name before the inode is known.
LeaseName lease_birth_name(uint32_t index, uint32_t gen);

Status lease_create(const Directory& directory, uint32_t index, uint32_t gen, int* fd,
                    Shared<uint64_t>* inode);
bool lease_held(const Directory& directory, uint64_t inode, uint32_t index, uint32_t gen);
void lease_remove(const Directory& directory, uint64_t inode, uint32_t index, uint32_t gen);

}  // namespace vale
