// SPDX-License-Identifier: BSD-2-Clause
// A hostile application: any bytes as what it writes into its rings between syncs. The switch does not
// crash, its account closes, and its neighbours' frames arrive as they were sent.
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "device/user.h"

namespace {

using namespace vale;

constexpr uint32_t kSlots = 16;
const uint8_t kAlice[6] = {2, 0, 0, 0, 0, 1}, kBob[6] = {2, 0, 0, 0, 0, 2};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

class Neighbourhood {
 public:
  Neighbourhood() {
    char name[] = "/dev/shm/vale-fuzz-XXXXXX";
    if (mkdtemp(name) == nullptr) fail("no directory");
    directory_ = name;
    if (!open_user_device(name, &device_, nullptr).ok()) fail("no device");
    alice_ = open("vale0:alice", 1);
    bob_ = open("vale0:bob", 1);
    // Static, so that nobody can claim to be them.
    if (!device_->fdb_add("vale0:alice", kAlice).ok() || !device_->fdb_add("vale0:bob", kBob).ok())
      fail("no address");
  }
  ~Neighbourhood() {
    alice_.reset();
    bob_.reset();
    device_.reset();
    const std::string command = "rm -rf " + directory_;
    if (std::system(command.c_str()) != 0)
      std::fprintf(stderr, "cannot remove %s\n", directory_.c_str());
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
    const netmap_ring* r = bob_->rx_ring(0);
    if ((r->tail + kSlots - r->head) % kSlots != 1) fail("Bob did not get exactly Alice's frame");
    const netmap_slot& got = r->slot[r->head];
    if (got.len != sizeof frame ||
        std::memcmp(NETMAP_BUF(r, got.buf_idx), frame, sizeof frame) != 0)
      fail("Alice's frame was altered");
  }

  void check_account() {
    std::vector<SwitchRow> rows;
    if (!device_->switches(&rows).ok() || rows.size() != 1) fail("no switch");
    const PortCounters& t = rows[0].totals;
    uint64_t dropped = 0;
    for (uint64_t d : t.drops) dropped += d;
    if (t.tx_copies != t.rx_frames + dropped || t.tx_delivered != t.rx_frames)
      fail("the account is open");
    if (t.rx_read + t.rx_gone > t.rx_frames) fail("more read than delivered");
  }

 private:
  static void release(Port& port) {
    port.rxsync();
    netmap_ring* r = port.rx_ring(0);
    r->head = r->cur = r->tail;
    port.rxsync();
  }

  std::string directory_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Port> alice_, bob_;
};

class Input {
 public:
  Input(const uint8_t* at, size_t size) : at_(at), left_(size) {}
  bool empty() const { return left_ == 0; }
  template <class T>
  T take() {
    T v{};
    const size_t n = left_ < sizeof v ? left_ : sizeof v;
    if (n != 0) std::memcpy(&v, at_, n);
    at_ += n;
    left_ -= n;
    return v;
  }

 private:
  const uint8_t* at_;
  size_t left_;
};

// Small numbers more often than others: those are nearly right.
uint32_t index(Input& in) {
  const auto kind = in.take<uint8_t>();
  return kind < 200 ? kind % (kSlots + 3) : in.take<uint32_t>();
}

void write_slot(Input& in, netmap_ring* ring) {
  netmap_slot& slot = ring->slot[in.take<uint8_t>() % kSlots];
  const auto what = in.take<uint8_t>();
  if (what & 1) slot.buf_idx = what & 0x80 ? in.take<uint32_t>() : in.take<uint8_t>();
  if (what & 2) slot.len = in.take<uint16_t>();
  if (what & 4) slot.flags = in.take<uint16_t>();
  if (what & 8) slot.ptr = what & 0x40 ? in.take<uint64_t>() : reinterpret_cast<uint64_t>(ring);
  if (what & 16) {
    // Addresses, so that frames go to the others.
    const uint8_t* to = what & 32 ? kBob : kAlice;
    const uint32_t buffer = slot.buf_idx >= 2 && slot.buf_idx < 4098 ? slot.buf_idx : 2;
    std::memcpy(NETMAP_BUF(ring, buffer), to, 6);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static Neighbourhood street;
  Input in(bytes, size);
  const uint8_t seed = in.take<uint8_t>();
  {
    auto hostile = street.open("vale0:hostile", 2);
    netmap_ring* rings[] = {hostile->tx_ring(0), hostile->tx_ring(1), hostile->rx_ring(0),
                            hostile->rx_ring(1)};
    while (!in.empty()) {
      const auto step = in.take<uint8_t>();
      netmap_ring* ring = rings[step & 3];
      switch (step >> 2 & 7) {
        case 0:
          ring->head = index(in);
          break;
        case 1:
          ring->cur = index(in);
          break;
        case 2:
          ring->head = ring->cur = index(in);
          break;
        case 3:
          ring->tail = index(in);
          ring->flags = in.take<uint16_t>();
          break;
        case 4:
          write_slot(in, ring);
          break;
        case 5:
          hostile->txsync();
          break;
        case 6:
          hostile->rxsync();
          break;
        default:
          hostile->nifp()->ni_bufs_head = in.take<uint32_t>();
          hostile->set_header_length(step & 1 ? step & 2 ? 10 : 12 : 0);
          break;
      }
    }
    hostile->txsync();
    hostile->rxsync();
    street.exchange(seed);
    hostile->ready(POLLIN | POLLOUT);
  }
  street.exchange(static_cast<uint8_t>(seed + 1));
  static unsigned runs;
  if (runs++ % 32 == 0) street.check_account();  // reads the whole address table: slow
  return 0;
}
