// SPDX-License-Identifier: BSD-2-Clause
// A race on purpose, in the same memory that stress_test works in: a thread reads an rx ring's buffers
// without rxsync while a sender fills them. ThreadSanitizer must report it; silence would mean that its
// silence elsewhere says nothing.
#include <atomic>
#include <thread>

#include "support/check.h"
#include "support/switch_fixture.h"

TEST(a_reader_that_does_not_sync_is_reported) {
#ifndef VALE_TSAN
  SKIP("means something under ThreadSanitizer only");
#else
  Fixture f;
  auto sender = f.open("vale0:s"), receiver = f.open("vale0:r");
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    const netmap_ring* r = receiver->rx_ring(0);
    const volatile char* byte = NETMAP_BUF(r, r->slot[5].buf_idx) + 20;
    while (!stop.load(std::memory_order_relaxed)) (void)*byte;
  });
  for (int i = 0; i < 200; i++) f.send(*sender, frame(kBroadcast, mac(1), 60, i));
  stop = true;
  reader.join();
#endif
}
