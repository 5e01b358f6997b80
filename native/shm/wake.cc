// SPDX-License-Identifier: BSD-2-Clause
#include "shm/wake.h"

#include <fcntl.h>
#include <unistd.h>

#include <bit>

#include "shm/lease.h"

namespace vale {

Doorbells::~Doorbells() {
  for (auto& [index, bell] : bells_) close(bell.fd);
}

void Doorbells::ring(uint32_t port, uint64_t bits) {
  const Control& c = directory_.control();
  const PortRec& p = c.port(port);
  std::lock_guard<std::mutex> guard(mutex_);
  for (; bits != 0; bits &= bits - 1) {
    const uint32_t index = p.regs[std::countr_zero(bits)];
    if (index >= kMaxRegs) continue;
    const RegRec& r = c.reg(index);
    if (r.state.load(std::memory_order_acquire) != State::live) continue;
    const uint32_t gen = r.gen;
    auto it = bells_.find(index);
    if (it != bells_.end() && it->second.gen != gen) {
      close(it->second.fd);
      bells_.erase(it);
      it = bells_.end();
    }
    if (it == bells_.end()) {
      const uint64_t inode = r.fifo_inode.load(std::memory_order_acquire);
      int fd = directory_.open_file(lease_name(inode, index, gen).text, O_RDWR | O_NONBLOCK);
      if (fd < 0) continue;
      it = bells_.emplace(index, Bell{gen, move_high(fd)}).first;
    }
    const char byte = 1;
    [[maybe_unused]] const ssize_t n = write(it->second.fd, &byte, 1);
  }
}

void Doorbells::reclaim() {
  const Control& c = directory_.control();
  std::lock_guard<std::mutex> guard(mutex_);
  for (auto it = bells_.begin(); it != bells_.end();) {
    const RegRec& r = c.reg(it->first);
    if (r.state.load(std::memory_order_acquire) == State::live && r.gen == it->second.gen) {
      ++it;
    } else {
      close(it->second.fd);
      it = bells_.erase(it);
    }
  }
}

}  // namespace vale
