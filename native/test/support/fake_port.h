// SPDX-License-Identifier: BSD-2-Clause
// Ports without a switch, for testing engines by themselves: netmap rings on the heap. A cable
// joins the tx rings of one port to the rx rings of another in the sender's txsync, as the switch
// does; a port without a cable sends into the void. A lossless cable takes only what fits, like a
// pipe.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "device/device.h"

namespace fake {

struct Options {
  uint32_t slots = 64;
  uint32_t buffer_bytes = 2048;
  unsigned rings = 1;
  uint32_t header_length = 0;
};

class FakePort : public vale::Port {
 public:
  explicit FakePort(const std::string& name, Options options = {}) : options_(options) {
    const uint32_t rings = 2 * options.rings;
    const uint64_t ring_bytes = sizeof(netmap_ring) + uint64_t{options.slots} * sizeof(netmap_slot);
    const uint64_t head = align(sizeof(netmap_if) + rings * sizeof(int64_t));
    const uint64_t buffers = head + rings * align(ring_bytes);
    const uint32_t count = 2 + rings * options.slots;
    memory_.reset(new uint64_t[(buffers + uint64_t{count} * options.buffer_bytes) / 8 + 1]());
    base_ = reinterpret_cast<char*>(memory_.get());
    nifp_ = reinterpret_cast<netmap_if*>(base_);
    info_.name = name;
    info_.device = "fake";
    info_.tx_rings = info_.rx_rings = static_cast<uint16_t>(options.rings);
    set(&nifp_->ni_tx_rings, uint32_t{options.rings});
    set(&nifp_->ni_rx_rings, uint32_t{options.rings});
    last_tx_ = last_rx_ = options.rings;
    uint32_t buffer = 2;
    for (uint32_t r = 0; r < rings; r++) {
      const uint64_t offset = head + r * align(ring_bytes);
      set(&nifp_->ring_ofs[r], static_cast<int64_t>(offset));
      auto* ring = reinterpret_cast<netmap_ring*>(base_ + offset);
      set(&ring->buf_ofs, static_cast<int64_t>(buffers - offset));
      set(&ring->num_slots, options.slots);
      set(&ring->nr_buf_size, options.buffer_bytes);
      set(&ring->dir, static_cast<uint16_t>(r < options.rings ? 0 : 1));
      ring->tail = r < options.rings ? options.slots - 1 : 0;
      for (uint32_t i = 0; i < options.slots; i++) ring->slot[i].buf_idx = buffer++;
      (r < options.rings ? tx_views_ : rx_views_)
          .emplace_back(ring, options.slots, base_ + buffers, options.buffer_bytes, &bound_);
    }
    bound_ = count;
    taken_.resize(options.rings);
    filled_.resize(options.rings);
    released_.resize(options.rings);
    fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  }
  ~FakePort() override { close(fd_); }

  // From a's tx rings to b's rx rings.
  static void cable(FakePort& a, FakePort& b, bool lossless = false) {
    a.peer_ = &b;
    a.lossless_ = lossless;
    if (lossless) b.feeder_ = &a;
  }

  // Makes every sync answer err from now on.
  void unplug(int err) {
    gone_ = err;
    wake();
  }
  // What the device refuses to take; for senders that must wait.
  std::atomic<bool> stalled{false};
  std::atomic<uint64_t> tx_frames{0}, dropped{0}, syncs{0};
  // Called for every slot taken from a tx ring, before it is delivered.
  std::function<void(netmap_ring*, uint32_t slot)> tap;

  int txsync() override {
    if (gone_ != 0) return gone_;
    syncs++;
    for (unsigned r = 0; r < last_tx_; r++) take(r);
    return 0;
  }

  int rxsync() override {
    if (gone_ != 0) return gone_;
    bool released = false;
    {
      const std::lock_guard<std::mutex> hold(lock_);
      for (unsigned r = 0; r < last_rx_; r++) {
        released |= released_[r] != rx_ring(r)->head;
        released_[r] = rx_ring(r)->head;
        rx_ring(r)->tail = filled_[r];
      }
    }
    if (released && feeder_ != nullptr) feeder_->wake();
    return 0;
  }

  short ready(short events) override {
    short out = 0;
    if (gone_ != 0) return POLLERR;
    txsync();
    for (unsigned r = 0; events & POLLOUT && r < last_tx_; r++) {
      if (tx_ring(r)->cur != tx_ring(r)->tail) out |= POLLOUT;
    }
    if (events & POLLIN) rxsync();
    for (unsigned r = 0; events & POLLIN && r < last_rx_; r++) {
      if (rx_ring(r)->cur != rx_ring(r)->tail) out |= POLLIN;
    }
    return out;
  }
  void arm(short) override {
    uint64_t drained;
    [[maybe_unused]] const ssize_t n = read(fd_, &drained, sizeof drained);
  }
  int fd() const override { return fd_; }
  short poll_events(short) const override { return POLLIN; }
  void disarm() override {}
  void wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(fd_, &one, sizeof one);
  }
  vale::PortCounters counters() const override { return {}; }
  uint32_t header_length() const override { return options_.header_length; }

 private:
  static uint64_t align(uint64_t n) { return (n + 63) / 64 * 64; }
  template <typename T>
  static void set(const T* field, T value) {
    *const_cast<T*>(field) = value;
  }
  uint32_t next(uint32_t i) const { return i + 1 == options_.slots ? 0 : i + 1; }

  void take(unsigned r) {
    netmap_ring* ring = tx_ring(r);
    uint32_t at = taken_[r];
    while (at != ring->head && !stalled) {
      uint32_t end = at, slots = 1;
      for (; ring->slot[end].flags & NS_MOREFRAG && next(end) != ring->head; end = next(end))
        slots++;
      if (peer_ != nullptr && !peer_->deliver(r, ring, at, slots)) {
        if (lossless_) break;
        dropped++;
      }
      for (uint32_t i = at, n = 0; n < slots && tap; n++, i = next(i)) tap(ring, i);
      tx_frames++;
      at = next(end);
    }
    if (at != taken_[r] && peer_ != nullptr) peer_->wake();
    taken_[r] = at;
    ring->tail = at == 0 ? options_.slots - 1 : at - 1;
  }

  bool deliver(unsigned r, netmap_ring* from, uint32_t at, uint32_t slots) {
    const std::lock_guard<std::mutex> hold(lock_);
    netmap_ring* ring = rx_ring(r % last_rx_);
    uint32_t& fill = filled_[r % last_rx_];
    uint32_t room = 0;
    for (uint32_t i = fill; next(i) != released_[r % last_rx_]; i = next(i)) room++;
    if (room < slots) return false;
    for (uint32_t n = 0; n < slots; n++) {
      const netmap_slot& source = from->slot[at];
      netmap_slot& slot = ring->slot[fill];
      const char* data = source.flags & NS_INDIRECT ? reinterpret_cast<const char*>(source.ptr)
                                                    : NETMAP_BUF(from, source.buf_idx);
      std::memcpy(NETMAP_BUF(ring, slot.buf_idx), data, source.len);
      slot.len = source.len;
      slot.flags = static_cast<uint16_t>(slots << 8 | (n + 1 < slots ? NS_MOREFRAG : 0));
      fill = next(fill);
      at = next(at);
    }
    return true;
  }

  std::atomic<uint32_t> bound_{0};
  Options options_;
  std::unique_ptr<uint64_t[]> memory_;
  int fd_ = -1;
  FakePort* peer_ = nullptr;
  FakePort* feeder_ = nullptr;  // who waits for room here
  bool lossless_ = false;
  std::atomic<int> gone_{0};
  std::mutex lock_;
  std::vector<uint32_t> taken_, filled_, released_;
};

}  // namespace fake
