// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Many ports of one switch in one process, for what depends on how many there are:
//   1. Fabric::open(n) opens valebench:p0 … p(n-1) and lets the switch learn each one's address.
//   2. put() writes a frame into a slot of a tx ring; advance() moves head; the caller syncs.
//   3. drain() reads everything a port has received and releases it.
//
// Owns. One device and its ports; they end with the process.
//
// Invariants. Addresses are 02:00:00 and a number of 24 bits; port i's own is number i + 1.
//
// Not here. Two processes (ports.h), clocks, what is measured (paths.cc, curve.cc).
#pragma once

#include "bench/ports.h"

namespace bench {

inline void write_address(unsigned char* at, unsigned number) {
  const unsigned char address[6] = {2,
                                    0,
                                    0,
                                    static_cast<unsigned char>(number >> 16),
                                    static_cast<unsigned char>(number >> 8),
                                    static_cast<unsigned char>(number)};
  std::memcpy(at, address, sizeof address);
}

// splitmix64, so that a "random" order is the same in every run and everywhere.
class Order {
 public:
  explicit Order(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  unsigned below(unsigned n) { return static_cast<unsigned>((next() >> 32) * n >> 32); }

 private:
  uint64_t state_;
};

class Fabric {
 public:
  struct Shape {
    unsigned ports = 2;
    unsigned rings = 1;     // of each direction, of each port
    uint32_t slots = 1024;  // of each ring
    bool wide = false;  // receivers' buffers hold any frame in one slot; else the default's size
  };

  explicit Fabric(const Shape& shape) {
    vale::Status status = vale::open_user_device(nullptr, &device_, &directory_);
    if (!status.ok()) die(1, "%s", status.text.c_str());
    ports_.resize(shape.ports);
    for (unsigned i = 0; i < shape.ports; i++) {
      vale::OpenRequest request;
      request.name = "valebench:p" + std::to_string(i);
      request.tx_rings = request.rx_rings = static_cast<uint16_t>(shape.rings);
      request.tx_slots = request.rx_slots = shape.slots;
      if (shape.wide) request.buf_size = 65600;
      status = device_->open(request, &ports_[i]);
      if (!status.ok()) die(1, "%s", status.text.c_str());
    }
    for (unsigned i = 0; i < shape.ports; i++) learn(i, i + 1);
  }

  unsigned size() const { return static_cast<unsigned>(ports_.size()); }
  vale::Port& port(unsigned i) const { return *ports_[i]; }
  netmap_ring* tx(unsigned i, unsigned ring = 0) const {
    return ports_[i]->tx_ring(ports_[i]->first_tx() + ring);
  }
  netmap_ring* rx(unsigned i, unsigned ring = 0) const {
    return ports_[i]->rx_ring(ports_[i]->first_rx() + ring);
  }

  // The switch learns address `number` on port i, by a frame that port i sends to itself.
  void learn(unsigned i, unsigned number) {
    put(tx(i), tx(i)->head, number, number, 60);
    advance(tx(i), 1);
    sync(ports_[i]->txsync(), "txsync");
  }

  static void put(netmap_ring* ring, unsigned at, unsigned to, unsigned from, unsigned bytes) {
    netmap_slot* slot = &ring->slot[at];
    slot->len = static_cast<uint16_t>(bytes);
    slot->flags = 0;
    auto* frame = reinterpret_cast<unsigned char*>(NETMAP_BUF(ring, slot->buf_idx));
    std::memset(frame, 0x5a, bytes);
    write_address(frame, to);
    write_address(frame + 6, from);
    frame[12] = kEtherType >> 8;
    frame[13] = kEtherType & 0xff;
  }

  static void advance(netmap_ring* ring, unsigned slots) {
    unsigned at = ring->head + slots;
    if (at >= ring->num_slots) at -= ring->num_slots;
    ring->head = ring->cur = at;
  }

  // Takes what is there of one ring; the next sync releases it. Frames end where no slot follows.
  static unsigned take(netmap_ring* ring) {
    unsigned frames = 0, at = ring->head;
    for (const unsigned tail = ring->tail; at != tail;
         at = at + 1 == ring->num_slots ? 0 : at + 1) {
      if ((ring->slot[at].flags & NS_MOREFRAG) == 0) frames++;
    }
    ring->head = ring->cur = at;
    return frames;
  }

  // Everything port i has, released too.
  unsigned drain(unsigned i) {
    sync(ports_[i]->rxsync(), "rxsync");
    unsigned frames = 0;
    for (unsigned r = ports_[i]->first_rx(); r < ports_[i]->last_rx(); r++)
      frames += take(ports_[i]->rx_ring(r));
    if (frames != 0) sync(ports_[i]->rxsync(), "rxsync");
    return frames;
  }

  static void sync(int error, const char* call) {
    if (error != 0) die(1, "%s: %s", call, std::strerror(error));
  }

 private:
  std::string directory_;
  std::unique_ptr<vale::Device> device_;
  std::vector<std::unique_ptr<vale::Port>> ports_;
};

}  // namespace bench
