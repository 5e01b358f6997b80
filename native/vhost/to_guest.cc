// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/to_guest.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <cstring>

namespace vale::vhost {
namespace {

void advance(const RingView& ring, uint32_t slots) {
  ring.release((ring.head() + slots) % ring.slots());
}

}  // namespace

ToGuest::Moved ToGuest::move(const RingView& from, Queue& queue, GuestMemory& memory,
                             const Rules& rules, uint32_t most, Counts* counts) {
  Moved moved;
  uint32_t singly = 0;
  while (moved.frames < most && from.head() != from.tail()) {
    if (singly == 0) {
      const uint32_t n = move_plain(from, queue, memory, rules, most - moved.frames, counts);
      moved.frames += n;
      if (n != 0) continue;
      singly = Plain::kSingly;
    }
    singly--;
    if (!begun_ && !gather(from)) break;
    if (!begun_ && !begin(rules, counts)) {
      advance(from, slots_);
      moved.frames++;
      continue;
    }
    const Put put = deliver(queue, memory, rules, counts);
    if (put == Put::blocked || put == Put::broken) {
      moved.blocked = put == Put::blocked;
      moved.broken = put == Put::broken;
      break;
    }
    begun_ = false;
    advance(from, slots_);
    moved.frames++;
  }
  // A wait is for more than there is.
  if (moved.blocked) from.ring()->cur = from.tail();
  return moved;
}

// Frames in a row that are whole in a slot each, into a buffer each; how many.
uint32_t ToGuest::move_plain(const RingView& from, Queue& queue, const GuestMemory& memory,
                             const Rules& rules, uint32_t most, Counts* counts) {
  PlainFrame frames[Plain::kMost];
  const uint32_t there = std::min({from.available(), most, Plain::kMost});
  uint32_t count = 0;
  for (uint32_t at = from.head(); count < there; count++, at = from.after(at)) {
    const netmap_slot slot = from.slot(at);
    if ((slot.flags & NS_MOREFRAG) != 0 || slot.len < kPortHeader + ETH_HLEN) break;
    frames[count].data = from.buffer(slot.buf_idx) + kPortHeader;
    frames[count].bytes = slot.len - kPortHeader;
    __builtin_prefetch(frames[count].data - kPortHeader);
  }
  if (count != 0) count = look(queue, memory, rules, plain_, count);
  for (uint32_t i = 0; i < count; i++) prefetch_for_write(plain_[i].data);
  const uint32_t header = rules.header();
  uint64_t bytes = 0;
  uint32_t n = 0;
  for (; n < count; n++) {
    PlainFrame& frame = frames[n];
    std::memcpy(&frame.vnet, frame.data - kPortHeader, sizeof frame.vnet);
    std::memcpy(frame.addresses, frame.data, PlainFrame::kAddresses);
    if (!put_plain(rules, header, frame, &plain_[n])) break;
    bytes += frame.bytes;
  }
  if (n == 0) return 0;
  queue.finish(plain_, n, true);
  counts->sent(n, bytes);
  advance(from, n);
  return n;
}

// The frame at the ring's head; false when not all of it is there.
bool ToGuest::gather(const RingView& from) {
  slots_ = count_ = bytes_ = 0;
  for (uint32_t i = from.head(), tail = from.tail(); i != tail; i = from.after(i)) {
    const netmap_slot slot = from.slot(i);
    if (count_ < NETMAP_MAX_FRAGS) {
      fragment_[count_++] = {from.buffer(slot.buf_idx), slot.len};
      bytes_ += slot.len;
    }
    slots_++;
    if ((slot.flags & NS_MOREFRAG) == 0) return true;
  }
  return false;
}

// Looks at its header; false when it is not to be delivered.
bool ToGuest::begin(const Rules& rules, Counts* counts) {
  const auto refuse = [&](Drop why) {
    counts->drop_sent(why);
    return false;
  };
  counts->tx_frames.add(1);
  if (slots_ != count_) return refuse(Drop::too_long);
  if (bytes_ < kPortHeader + ETH_HLEN) return refuse(Drop::runt);
  const uint32_t bytes = bytes_ - kPortHeader;
  counts->tx_bytes.add(bytes);
  char header[kPortHeader];
  uint32_t filled = 0, first = 0;
  Fragment rest = {};
  for (; filled < kPortHeader || rest.length == 0; first++) {
    rest = fragment_[first];
    const uint32_t n = std::min(rest.length, kPortHeader - filled);
    std::memcpy(header + filled, rest.data, n);
    filled += n;
    rest = {rest.data + n, rest.length - n};
  }
  std::memcpy(&vnet_, header, sizeof vnet_);
  const Verdict verdict = vhost::to_guest(rules, &vnet_, bytes);
  if (verdict == Verdict::bad) return refuse(Drop::bad_header);
  if (verdict == Verdict::finish) {
    if (fragment_[0].length < kPortHeader) return refuse(Drop::bad_header);
    switch (converter_.start(fragment_, count_, bytes_, kPortHeader, 0)) {
      case Converter::Verdict::good:
        break;
      case Converter::Verdict::malformed:
        return refuse(Drop::bad_header);
      case Converter::Verdict::impossible:
        return refuse(Drop::header_mismatch);
    }
    vnet_ = {};
    left_ = converter_.frames();
  } else {
    fragment_[first - 1] = rest;
    next_ = {&fragment_[first - 1], count_ - (first - 1), bytes};
    left_ = 1;
  }
  waits_ = verdict == Verdict::good;
  return begun_ = true;
}

ToGuest::Put ToGuest::deliver(Queue& queue, GuestMemory& memory, const Rules& rules,
                              Counts* counts) {
  while (left_ != 0) {
    if (!waits_) next_ = converter_.next();
    waits_ = true;
    const Put put = this->put(queue, memory, rules, vnet_, next_);
    if (put == Put::blocked || put == Put::broken) return put;
    use(queue);
    waits_ = false;
    left_--;
    if (put == Put::done) {
      counts->tx_copies.add(1);
      counts->tx_delivered.add(1);
    } else {
      counts->drop_sent(Drop::too_big);
    }
  }
  return Put::done;
}

bool ToGuest::offer(Queue& queue, GuestMemory& memory, const Rules& rules, const VnetHeader& vnet,
                    const Converter::Pieces& frame) {
  if (begun_) return false;
  if (heads_.empty()) offered_ = queue.cursor();
  return put(queue, memory, rules, vnet, frame) == Put::done;
}

void ToGuest::settle(Queue& queue, bool keep) {
  if (keep) return use(queue);
  heads_.clear();
  queue.rewind(offered_);
}

void ToGuest::use(Queue& queue) {
  for (const Head& head : heads_) queue.use(head.id, head.slots, head.written);
  heads_.clear();
}

// One frame, into as many chains as it takes.
ToGuest::Put ToGuest::put(Queue& queue, GuestMemory& memory, const Rules& rules,
                          const VnetHeader& vnet, const Converter::Pieces& frame) {
  const uint32_t before = queue.cursor();
  const size_t first = heads_.size();
  const bool logs = memory.logs() && rules.logs();
  char header[kPortHeader] = {};
  std::memcpy(header, &vnet, sizeof vnet);
  header[sizeof vnet] = 1;  // chains
  source_ = frame.piece;
  taken_ = 0;
  uint32_t heads = 0;
  for (uint32_t left = rules.header() + frame.bytes; left != 0; heads++) {
    const Take taken = queue.take(&chain_);
    if (taken == Take::broken) {
      heads_.resize(first);
      return Put::broken;
    }
    const bool too_short =
        taken == Take::chain && !rules.mergeable() && chain_.writable_bytes < left;
    if (taken == Take::none || too_short || heads == Chain::kMost) {
      queue.rewind(before);
      heads_.resize(first);
      // As many as there can be at once would not do.
      const bool never = too_short || heads == Chain::kMost || heads >= queue.size();
      return never ? Put::never : Put::blocked;
    }
    const uint32_t front = heads == 0 ? rules.header() : 0;
    if (chain_.writable_bytes < std::max(front, 1u)) {
      heads_.resize(first);
      queue.fail("a receive buffer that does not hold a header");
      return Put::broken;
    }
    const uint32_t here = std::min(left, chain_.writable_bytes);
    fill(header, front, here - front);
    if (logs) log(memory, here);
    heads_.push_back({chain_.id, chain_.slots, here});
    left -= here;
  }
  if (heads > 1) {
    *buffers_[0].data = static_cast<char>(heads);
    *buffers_[1].data = static_cast<char>(heads >> 8);
    // Once more: whoever copies the guest may have looked between that and this.
    for (const Piece& byte : buffers_) {
      if (logs) memory.log(byte.guest, byte.bytes);
    }
  }
  return Put::done;
}

// Fills the chain: the header if it is the first, then as much of the frame.
void ToGuest::fill(const char* header, uint32_t header_bytes, uint32_t bytes) {
  const Piece* piece = &chain_.piece[chain_.readable];
  uint32_t filled = 0;  // of that piece
  for (uint32_t done = 0; done < header_bytes;) {
    const uint32_t n = std::min(header_bytes - done, piece->bytes - filled);
    std::memcpy(piece->data + filled, header + done, n);
    for (uint32_t i = 0; i < 2; i++) {
      const uint32_t place = sizeof(VnetHeader) + i;
      if (place < done || place >= done + n) continue;
      const uint32_t at = filled + (place - done);
      buffers_[i] = {piece->data + at, 1, piece->guest + at};
    }
    done += n;
    filled += n;
    if (filled == piece->bytes) {
      piece++;
      filled = 0;
    }
  }
  while (bytes != 0) {
    while (taken_ == source_->length) {
      source_++;
      taken_ = 0;
    }
    const uint32_t n = std::min({bytes, piece->bytes - filled, source_->length - taken_});
    std::memcpy(piece->data + filled, source_->data + taken_, n);
    bytes -= n;
    taken_ += n;
    filled += n;
    if (filled == piece->bytes) {
      piece++;
      filled = 0;
    }
  }
}

void ToGuest::log(GuestMemory& memory, uint32_t bytes) const {
  for (const Piece* piece = &chain_.piece[chain_.readable]; bytes != 0; piece++) {
    const uint32_t n = std::min(bytes, piece->bytes);
    memory.log(piece->guest, n);
    bytes -= n;
  }
}

}  // namespace vale::vhost
