// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/from_guest.h"

#include <algorithm>
#include <cstring>

namespace vale::vhost {
namespace {

// Frames that another guest's buffers are filled with before they are counted.
constexpr uint32_t kMostPending = 64;

}  // namespace

uint32_t FromGuest::move(Queue& queue, const Rules& rules, const RingView& to, uint32_t most,
                         Counts* counts, bool* broken, Crossing* crossing) {
  crossing_ = crossing;
  crosses_ = broken_ = full_ = false;
  at_ = {queue.cursor(), to.head(), to.distance(to.head(), to.tail()), 0, 0, 0};
  settled_ = at_;
  done_.clear();
  // Once more, when those given to other guests have come back.
  do {
    singly_ = 0;
    while (at_.used < most && !full_) {
      if (singly_ == 0 && read_plain(queue, rules, to, most - at_.used)) continue;
      if (!read(queue, rules, to, counts)) break;
      if (singly_ != 0) singly_--;
    }
  } while (!settle(queue));
  end_crossing();
  to.release(at_.head);
  if (at_.frames != 0) {
    counts->rx_frames.add(at_.frames);
    counts->rx_bytes.add(at_.bytes);
  }
  *broken = broken_;
  return at_.used;
}

// Chains of one buffer each, as many as come next. False: none was used, read() decides what becomes of the next.
bool FromGuest::read_plain(Queue& queue, const Rules& rules, const RingView& to, uint32_t most) {
  const uint32_t count = queue.look(false, plain_, std::min(most, Plain::kMost));
  for (uint32_t i = 0; i < count; i++) __builtin_prefetch(plain_[i].data);
  uint32_t good = 0;
  while (good < count && vhost::read_plain(rules, plain_[good], &frames_[good]) &&
         kPortHeader + frames_[good].bytes <= to.buf_size())
    good++;
  if (good < count) singly_ = Plain::kSingly;
  if (good == 0) return false;
  if (!settle(queue)) return true;
  begin_crossing();
  uint32_t first = 0, end = 0;
  while (first < good) {
    if (first == end) end = crosses_ ? end_of_run(first, good) : good;
    uint32_t done = 0;
    auto rest = Crossing::Carried::ring;
    if (crosses_) {
      const Crossing::Carried carried = crossing_->carry(&frames_[first], end - first);
      done = carried.frames;
      rest = carried.rest;
      if (rest == Crossing::Carried::ended) end_crossing();
    }
    if (done == 0 && rest == Crossing::Carried::singly) {
      singly_ = Plain::kSingly;
      break;
    }
    if (done == 0) done = put_in_ring(to, first, end - first);
    if (done == 0) break;
    finish(queue, first, done);
    first += done;
    full_ = rest == Crossing::Carried::later;
    if (full_) break;
  }
  at_.cursor = queue.cursor();
  settled_ = at_;
  return first != 0;
}

// Of frames with the addresses of the first.
uint32_t FromGuest::end_of_run(uint32_t first, uint32_t count) const {
  uint32_t end = first + 1;
  while (end < count && frames_[end].goes_where(frames_[first])) end++;
  return end;
}

// How many there is room for.
uint32_t FromGuest::put_in_ring(const RingView& to, uint32_t first, uint32_t count) {
  count = std::min(count, at_.room);
  for (uint32_t i = 0, at = at_.head; i < count; i++, at = to.after(at))
    prefetch_for_write(to.buffer(to.at(at).buf_idx));
  for (uint32_t i = 0; i < count; i++, at_.head = to.after(at_.head)) {
    const PlainFrame& frame = frames_[first + i];
    netmap_slot& slot = to.at(at_.head);
    char* const data = to.buffer(slot.buf_idx);
    put_behind_header(frame, data);
    slot.len = static_cast<uint16_t>(kPortHeader + frame.bytes);
    slot.flags = 0;
    slot.ptr = 0;
  }
  at_.room -= count;
  return count;
}

void FromGuest::finish(Queue& queue, uint32_t first, uint32_t count) {
  queue.finish(&plain_[first], count, false);
  at_.used += count;
  at_.frames += count;
  for (uint32_t i = 0; i < count; i++) at_.bytes += frames_[first + i].bytes;
}

void FromGuest::begin_crossing() {
  if (crossing_ == nullptr || crosses_) return;
  crosses_ = crossing_->begin();
  if (!crosses_) crossing_ = nullptr;
}

// For the rest of the move.
void FromGuest::end_crossing() {
  if (crosses_) crossing_->end();
  crosses_ = false;
  crossing_ = nullptr;
}

// One chain. False: no more for now.
bool FromGuest::read(Queue& queue, const Rules& rules, const RingView& to, Counts* counts) {
  const uint32_t before = queue.cursor();
  const Take taken = queue.take(&chain_);
  broken_ = broken_ || taken == Take::broken;
  if (taken != Take::chain) return false;
  if (chain_.readable_bytes < rules.header() + ETH_HLEN)
    return refuse(Drop::runt, before, queue, counts);
  const uint32_t frame = chain_.readable_bytes - rules.header();
  const uint32_t slots = (kPortHeader + frame + to.buf_size() - 1) / to.buf_size();
  if (slots > NETMAP_MAX_FRAGS || slots > to.slots() - 1)
    return refuse(Drop::too_big, before, queue, counts);
  if (slots > at_.room) {
    queue.rewind(before);
    return false;
  }
  if (!header(rules)) return refuse(Drop::bad_header, before, queue, counts);
  begin_crossing();
  const auto given = give(frame, slots);
  if (given == Crossing::Give::after) {
    queue.rewind(before);
    settle(queue);
    return true;
  }
  if (given == Crossing::Give::ring) {
    copy(to, at_.head, frame);
    at_.head = (at_.head + slots) % to.slots();
    at_.room -= slots;
  }
  done_.push_back({chain_.id, chain_.slots});
  at_.used++;
  at_.frames++;
  at_.bytes += frame;
  return true;
}

// The frame behind the header to whoever gets it, if that is a guest that is served here.
Crossing::Give FromGuest::give(uint32_t bytes, uint32_t slots) {
  if (!crosses_) return Crossing::Give::ring;
  if (crossing_->pending() == kMostPending) return Crossing::Give::after;
  const uint32_t piece = piece_, taken = taken_;
  uint32_t pieces = 1;
  take(ethernet_, ETH_HLEN);
  fragment_[0] = {ethernet_, ETH_HLEN};
  for (; piece_ < chain_.readable && pieces < kMostPieces; piece_++, taken_ = 0) {
    const Piece& p = chain_.piece[piece_];
    if (p.bytes != taken_) fragment_[pieces++] = {p.data + taken_, p.bytes - taken_};
  }
  auto given = Crossing::Give::ring;
  if (piece_ == chain_.readable) {
    given = crossing_->give(vnet_, fragment_, pieces, bytes, slots);
  } else {
    crossing_->pass_all();
  }
  piece_ = piece;
  taken_ = taken;
  return given;
}

// What was done so far stays so. False: frames that were given have come back, and go through the ring now.
bool FromGuest::settle(Queue& queue) {
  if (crosses_ && !crossing_->commit()) {
    end_crossing();
    at_ = settled_;
    queue.rewind(at_.cursor);
    done_.clear();
    return false;
  }
  for (const Done& done : done_) queue.use(done.id, done.slots, 0);
  done_.clear();
  at_.cursor = queue.cursor();
  settled_ = at_;
  return true;
}

// The chain that was taken last is of no use. True: as read() has it.
bool FromGuest::refuse(Drop why, uint32_t before, Queue& queue, Counts* counts) {
  if (crosses_ && crossing_->pending() != 0) {  // counted once, whatever becomes of those
    queue.rewind(before);
    settle(queue);
    return true;
  }
  counts->drop(why);
  done_.push_back({chain_.id, chain_.slots});
  at_.used++;
  settle(queue);
  return true;
}

// Reads the chain's header, and leaves piece_ and taken_ behind it.
bool FromGuest::header(const Rules& rules) {
  char bytes[kPortHeader];
  piece_ = taken_ = 0;
  take(bytes, rules.header());
  std::memcpy(&vnet_, bytes, sizeof vnet_);
  return vhost::from_guest(rules, &vnet_, chain_.readable_bytes - rules.header());
}

// The next bytes of the chain, which has as many.
void FromGuest::take(char* to, uint32_t bytes) {
  for (uint32_t filled = 0; filled < bytes;) {
    const Piece& p = chain_.piece[piece_];
    const uint32_t n = std::min(p.bytes - taken_, bytes - filled);
    std::memcpy(to + filled, p.data + taken_, n);
    filled += n;
    taken_ += n;
    if (taken_ == p.bytes) {
      piece_++;
      taken_ = 0;
    }
  }
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
