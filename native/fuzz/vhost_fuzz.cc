// SPDX-License-Identifier: BSD-2-Clause
// A guest and its process, both hostile. Input: their steps, frames for the guest, and turns of the engine. Whatever
// they are: every turn ends, nothing outside the guest's memory is touched, and after trouble nothing more is
// done.
#include "fuzz/hostile_guest.h"
#include "test/support/fake_port.h"

namespace {

using namespace hostile;

class Rig {
 public:
  Rig() : port_("fuzz", {32, 256, 2, 12}) {}

  void choose(uint32_t kind) {
    guest_.choose(kind);
    if (guest_.device().broken()) std::abort();
  }
  void step(Input& in) {
    const uint32_t which = in.number(1) % (HostileGuest::kSteps + 2);
    if (which < HostileGuest::kSteps) return guest_.step(which, in);
    which == HostileGuest::kSteps ? fill(in) : turn();
  }

  // A frame for the guest.
  void fill(Input& in) {
    netmap_ring* ring = port_.rx_ring(in.number(1) % 2);
    const uint32_t slots = 1 + in.number(1) % 4;
    for (uint32_t i = 0; i < slots; i++) {
      const uint32_t next = (ring->tail + 1) % ring->num_slots;
      if (next == ring->head) return;
      netmap_slot& slot = ring->slot[ring->tail];
      slot.len = static_cast<uint16_t>(in.number(1));
      slot.flags = i + 1 < slots ? NS_MOREFRAG : 0;
      in.copy(NETMAP_BUF(ring, slot.buf_idx), slot.len < 64 ? slot.len : 64);
      ring->tail = next;
    }
  }

  void turn() {
    Device& device = guest_.device();
    device.to_guest(port_, &counts_);
    device.from_guest(port_, &counts_, nullptr, nullptr);
    for (unsigned i = 0; i < 2; i++) {
      netmap_ring* ring = port_.tx_ring(i);
      for (uint32_t at = (ring->tail + 1) % ring->num_slots; at != ring->head;
           at = (at + 1) % ring->num_slots) {
        if (ring->slot[at].len > ring->nr_buf_size) std::abort();
      }
      ring->tail = (ring->head + ring->num_slots - 1) % ring->num_slots;
    }
    device.publish();
    device.want_kicks(true);
    device.more();
    device.want_kicks(false);
    const vale::PortCounters c = counts_.read();
    if (c.tx_delivered > c.tx_copies) std::abort();
  }

 private:
  fake::FakePort port_;
  HostileGuest guest_;
  Counts counts_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 8192) return 0;
  Input in(data, size);
  Rig rig;
  rig.choose(in.number(1));
  while (!in.empty()) rig.step(in);
  rig.turn();
  return 0;
}
