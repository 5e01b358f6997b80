// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/from_guest.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <cstring>

namespace vale::vhost {
uint32_t FromGuest::move(Queue& queue, const Rules& rules, const RingView& to, uint32_t most,
                         Counts* counts, bool* broken) {
  uint32_t head = to.head();
  uint32_t room = to.distance(head, to.tail());
  uint32_t used = 0, frames = 0;
  uint64_t bytes = 0;
  for (; used < most; used++) {
    const uint32_t before = queue.cursor();
    const Take taken = queue.take(&chain_);
    *broken = taken == Take::broken;
    if (taken != Take::chain) break;
    if (chain_.readable_bytes < rules.header() + ETH_HLEN) {
      counts->drop(Drop::runt);
      queue.use(chain_.id, chain_.slots, 0);
      continue;
    }
    const uint32_t frame = chain_.readable_bytes - rules.header();
    const uint32_t slots = (kPortHeader + frame + to.buf_size() - 1) / to.buf_size();
    if (slots > NETMAP_MAX_FRAGS || slots > to.slots() - 1) {
      counts->drop(Drop::too_big);
      queue.use(chain_.id, chain_.slots, 0);
      continue;
    }
    if (slots > room) {
      queue.rewind(before);
      break;
    }
    if (!header(rules)) {
      counts->drop(Drop::bad_header);
      queue.use(chain_.id, chain_.slots, 0);
      continue;
    }
    copy(to, head, frame);
    queue.use(chain_.id, chain_.slots, 0);
    head = (head + slots) % to.slots();
    room -= slots;
    frames++;
    bytes += frame;
  }
  to.release(head);
  if (frames != 0) {
    counts->rx_frames.add(frames);
    counts->rx_bytes.add(bytes);
  }
  return used;
}

// Reads the chain's header, and leaves piece_ and taken_ behind it.
bool FromGuest::header(const Rules& rules) {
  char bytes[kPortHeader];
  uint32_t filled = 0;
  piece_ = taken_ = 0;
  while (filled < rules.header()) {
    const Piece& p = chain_.piece[piece_];
    const uint32_t n = std::min(p.bytes - taken_, rules.header() - filled);
    std::memcpy(bytes + filled, p.data + taken_, n);
    filled += n;
    taken_ += n;
    if (taken_ == p.bytes) {
      piece_++;
      taken_ = 0;
    }
  }
  std::memcpy(&vnet_, bytes, sizeof vnet_);
  return vhost::from_guest(rules, &vnet_, chain_.readable_bytes - rules.header());
}

void FromGuest::copy(const RingView& to, uint32_t at, uint32_t left) {
  uint32_t filled = kPortHeader;
  for (bool first = true;; at = to.after(at), first = false) {
    netmap_slot& slot = to.at(at);
    char* const data = to.buffer(slot.buf_idx);
    if (first) {
      std::memcpy(data, &vnet_, sizeof vnet_);
      std::memset(data + sizeof vnet_, 0, filled - sizeof vnet_);
    }
    while (left != 0 && filled != to.buf_size()) {
      const Piece& p = chain_.piece[piece_];
      const uint32_t n = std::min({p.bytes - taken_, to.buf_size() - filled, left});
      std::memcpy(data + filled, p.data + taken_, n);
      filled += n;
      left -= n;
      taken_ += n;
      if (taken_ == p.bytes) {
        piece_++;
        taken_ = 0;
      }
    }
    slot.len = static_cast<uint16_t>(filled);
    slot.flags = left != 0 ? NS_MOREFRAG : 0;
    slot.ptr = 0;
    if (left == 0) return;
    filled = 0;
  }
}

}  // namespace vale::vhost
