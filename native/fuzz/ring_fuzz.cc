// SPDX-License-Identifier: BSD-2-Clause
// A hostile application: any bytes as what it writes into its rings between syncs. The switch does not
// crash, its account closes, and its neighbours' frames arrive as they were sent.
#include "fuzz/input.h"
#include "fuzz/neighbours.h"

namespace {

using namespace vale::fuzz;

// Small numbers more often than others: those are nearly right.
uint32_t index(Input& in) {
  const auto kind = in.byte();
  return kind < 200 ? kind % (kSlots + 3) : in.take<uint32_t>();
}

void write_slot(Input& in, netmap_ring* ring) {
  netmap_slot& slot = ring->slot[in.byte() % kSlots];
  const auto what = in.byte();
  if (what & 1) slot.buf_idx = what & 0x80 ? in.take<uint32_t>() : in.byte();
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
  static OwnDirectory directory;
  static Neighbourhood street(directory.path(), "vale0");
  Input in(bytes, size);
  const uint8_t seed = in.byte();
  {
    auto hostile = street.open("vale0:hostile", 2);
    netmap_ring* rings[] = {hostile->tx_ring(0), hostile->tx_ring(1), hostile->rx_ring(0),
                            hostile->rx_ring(1)};
    while (!in.empty()) {
      const auto step = in.byte();
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
