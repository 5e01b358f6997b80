// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. The two ends every measurement of the switch is made of:
//   1. End::open() after the fork, in the process that uses it; each end is its own process then.
//   2. meet() in both: they learn each other's address, so that traffic is unicast from then on.
//   3. Sender::send() and Receiver::take() are the loops' bodies: no work but the rings'.
//
// Owns. The device and one port each; they end with the process.
//
// Invariants. A frame's bytes are written once, before the clock starts: a generator that reuses its
//   buffers, as pkt-gen does.
//
// Not here. Who waits how, and for how long (switch.cc, latency.cc).
#pragma once

#include "bench/measure.h"
#include "device/device.h"
#include "device/user.h"
#include "device/wait.h"

namespace bench {

constexpr uint16_t kEtherType = 0x88b5;  // IEEE 802, for local experiments

struct End {
  std::unique_ptr<vale::Device> device;
  std::unique_ptr<vale::Port> port;

  // In the user's runtime directory; $VALE_DIR names another.
  void open(const char* name) {
    std::string directory;
    vale::Status status = vale::open_user_device(nullptr, &device, &directory);
    vale::OpenRequest request;
    request.name = name;
    if (status.ok()) status = device->open(request, &port);
    if (!status.ok()) die(1, "%s", status.text.c_str());
  }
  netmap_ring* tx() const { return port->tx_ring(port->first_tx()); }
  netmap_ring* rx() const { return port->rx_ring(port->first_rx()); }
};

// Where a frame goes: to the other end, or to an address that nobody has.
constexpr unsigned kOtherEnd = 0, kNobody = 0x80;

// The frame from end `from` (0 or 1): addresses 02:00:00:00:00:0N.
inline void write_frame(char* at, unsigned from, unsigned size, unsigned to = kOtherEnd) {
  unsigned char header[14] = {2,
                              0,
                              0,
                              0,
                              0,
                              static_cast<unsigned char>(to + 2 - from),
                              2,
                              0,
                              0,
                              0,
                              0,
                              static_cast<unsigned char>(1 + from),
                              kEtherType >> 8,
                              kEtherType & 0xff};
  std::memset(at, 0x5a, size);
  std::memcpy(at, header, sizeof header);
}

// Sends what is on the tx ring again and again.
class Sender {
 public:
  Sender(const End& end, unsigned from, unsigned size, unsigned to = kOtherEnd)
      : port_(end.port.get()), ring_(end.tx()) {
    for (unsigned i = 0; i < ring_->num_slots; i++) {
      netmap_slot* slot = &ring_->slot[i];
      slot->len = static_cast<uint16_t>(size);
      slot->flags = 0;
      write_frame(NETMAP_BUF(ring_, slot->buf_idx), from, size, to);
    }
  }
  // At most what the ring holds: one slot less than it has. Returns how many were taken.
  unsigned send(unsigned batch) {
    unsigned at = ring_->head + batch;
    if (at >= ring_->num_slots) at -= ring_->num_slots;
    ring_->head = ring_->cur = at;
    if (const int err = port_->txsync(); err != 0) die(1, "txsync: %s", std::strerror(err));
    return batch;
  }
  unsigned most() const { return ring_->num_slots - 1; }

 private:
  vale::Port* port_;
  netmap_ring* ring_;
};

// What is read of a frame: its slot; both addresses and the type, as whoever looks at what came must; all.
enum class Reading { slots, headers, payload };

// Reads the slots, and of the frames what it is to read, and releases all of them at the next sync.
class Receiver {
 public:
  explicit Receiver(const End& end, Reading reading = Reading::slots)
      : port_(end.port.get()), ring_(end.rx()), reading_(reading) {}
  vale::Port* port() const { return port_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t seen() const { return seen_; }

  void sync() {
    if (const int err = port_->rxsync(); err != 0) die(1, "rxsync: %s", std::strerror(err));
  }
  // How many frames were there.
  unsigned take() {
    if (reading_ == Reading::slots) return take_as<Reading::slots>();
    return reading_ == Reading::headers ? take_as<Reading::headers>() : take_as<Reading::payload>();
  }

 private:
  template <Reading kReading>
  unsigned take_as() {
    unsigned frames = 0;
    const unsigned tail = ring_->tail, slots = ring_->num_slots;
    unsigned at = ring_->head;
    for (; at != tail; at = at + 1 == slots ? 0 : at + 1) {
      const netmap_slot slot = ring_->slot[at];
      bytes_ += slot.len;
      if (kReading == Reading::headers) seen_ += sum_of_header(NETMAP_BUF(ring_, slot.buf_idx));
      if (kReading == Reading::payload)
        seen_ += sum_of_words(NETMAP_BUF(ring_, slot.buf_idx), slot.len);
      frames++;
    }
    ring_->head = ring_->cur = at;
    return frames;
  }

  vale::Port* port_;
  netmap_ring* ring_;
  Reading reading_;
  uint64_t bytes_ = 0, seen_ = 0;
};

// How a process waits for frames.
enum class Waiting { busy, spin, block };
constexpr uint32_t kSpin = 50;  // µs before a spinning receiver sleeps

inline Waiting waiting(Args* args, const char* key) {
  const std::string word = args->word(key, "busy");
  if (word == "busy") return Waiting::busy;
  if (word == "spin") return Waiting::spin;
  if (word == "block") return Waiting::block;
  die(2, "--%s %s: not one of busy, spin, block", key, word.c_str());
}

// Looks for frames once: busy without waiting, otherwise for at most 50 ms.
inline unsigned receive(Receiver* receiver, Waiting how) {
  if (how == Waiting::busy) {
    receiver->sync();
  } else {
    vale::PortWait wait = {receiver->port(), POLLIN};
    vale::wait_ports(&wait, 1, 50, how == Waiting::spin ? kSpin : 0, -1);
  }
  return receiver->take();
}

// Both ends exist: make the switch learn end `self`, and take what the other end sent for that.
// Returns when both have been heard.
inline void meet(const End& end, unsigned self, Line arrived[2]) {
  Sender sender(end, self, 60);
  Receiver receiver(end);
  arrived[self].value.store(1);
  const uint64_t limit = now_ns() + 10'000'000'000;
  for (const Line* other = &arrived[1 - self]; other->value.load() == 0;) {
    if (stopped()) std::exit(0);
    if (now_ns() > limit) die(1, "the other end did not open within 10 s");
  }
  sender.send(1);
  arrived[self].value.store(2);
  while (arrived[1 - self].value.load() != 2 && !stopped()) {
  }
  receive(&receiver, Waiting::busy);
}

}  // namespace bench
