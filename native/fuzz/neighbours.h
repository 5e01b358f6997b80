// SPDX-License-Identifier: BSD-2-Clause
// Two ports of a switch, Alice and Bob, that do no wrong: whatever somebody else does there, what one sends
// reaches the other unaltered, and the switch's account closes. A runtime directory of their own.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "device/user.h"

namespace vale::fuzz {

constexpr uint32_t kSlots = 16;
constexpr uint8_t kAlice[6] = {2, 0, 0, 0, 0, 1}, kBob[6] = {2, 0, 0, 0, 0, 2};

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// Removed at the end. $VALE_DIR names it.
class OwnDirectory {
 public:
  OwnDirectory() {
    char name[] = "/dev/shm/vale-fuzz-XXXXXX";
    if (mkdtemp(name) == nullptr) fail("no directory");
    path_ = name;
    setenv("VALE_DIR", name, 1);
  }
  ~OwnDirectory() {
    const std::string command = "rm -rf " + path_;
    if (std::system(command.c_str()) != 0)
      std::fprintf(stderr, "cannot remove %s\n", path_.c_str());
  }
  const char* path() const { return path_.c_str(); }

 private:
  std::string path_;
};

class Neighbourhood {
 public:
  // On switch `sw`, in this directory.
  Neighbourhood(const char* directory, const std::string& sw) : switch_(sw) {
    if (!open_user_device(directory, &device_, nullptr).ok()) fail("no device");
    const std::string alice = sw + ":alice", bob = sw + ":bob";
    alice_ = open(alice.c_str(), 1);
    bob_ = open(bob.c_str(), 1);
    // Static, so that nobody can claim to be them.
    if (!device_->fdb_add(alice, kAlice).ok() || !device_->fdb_add(bob, kBob).ok())
      fail("no address");
  }

  Device& device() { return *device_; }
  bool owns_memory(uint16_t mem_id) const {
    return mem_id == alice_->info().mem_id || mem_id == bob_->info().mem_id;
  }

  std::unique_ptr<Port> open(const char* name, uint16_t rings) {
    std::unique_ptr<Port> port;
    OpenRequest q;
    q.name = name;
    q.tx_rings = q.rx_rings = rings;
    q.tx_slots = q.rx_slots = kSlots;
    q.extra_bufs = 4;
    q.flags = NR_ACCEPT_VNET_HDR;
    if (!device_->open(q, &port).ok()) fail("cannot open");
    return port;
  }

  // One frame from Alice to Bob, every byte of which matters, to a ring that was emptied before.
  void exchange(uint8_t seed) {
    release(*alice_);
    release(*bob_);
    netmap_ring* t = alice_->tx_ring(0);
    netmap_slot& slot = t->slot[t->head];
    char frame[600];
    std::memcpy(frame, kBob, 6);
    std::memcpy(frame + 6, kAlice, 6);
    for (size_t i = 12; i < sizeof frame; i++) frame[i] = static_cast<char>(seed + i * 7);
    std::memcpy(NETMAP_BUF(t, slot.buf_idx), frame, sizeof frame);
    slot.len = sizeof frame;
    slot.flags = 0;
    t->head = t->cur = (t->head + 1) % kSlots;
    alice_->txsync();
    bob_->rxsync();
    netmap_ring* const r = bob_->rx_ring(0);
    if ((r->tail + kSlots - r->head) % kSlots != 1) fail("Bob did not get exactly Alice's frame");
    const netmap_slot& got = r->slot[r->head];
    if (got.len != sizeof frame ||
        std::memcmp(NETMAP_BUF(r, got.buf_idx), frame, sizeof frame) != 0)
      fail("Alice's frame was altered");
  }

  void check_account() {
    std::vector<SwitchRow> rows;
    if (!device_->switches(&rows).ok()) fail("no switch");
    for (const SwitchRow& row : rows) {
      if (row.name != switch_) continue;
      const PortCounters& t = row.totals;
      uint64_t dropped = 0;
      for (uint64_t d : t.drops) dropped += d;
      if (t.tx_copies != t.rx_frames + dropped || t.tx_delivered != t.rx_frames)
        fail("the account is open");
      if (t.rx_read + t.rx_gone > t.rx_frames) fail("more read than delivered");
      return;
    }
    fail("no switch");
  }

 private:
  static void release(Port& port) {
    port.rxsync();
    netmap_ring* r = port.rx_ring(0);
    r->head = r->cur = r->tail;
    port.rxsync();
  }

  std::string switch_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Port> alice_, bob_;
};

}  // namespace vale::fuzz
