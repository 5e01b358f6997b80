// SPDX-License-Identifier: BSD-2-Clause
#include "engine/tx_ring.h"

#include <algorithm>
#include <cstring>

namespace vale {

SlotPlan::Cut SlotPlan::cut(uint32_t bytes, uint32_t buffer_bytes) const {
  buffer_bytes = std::min(buffer_bytes, 65535u);  // what a slot's length can say
  const uint32_t most = max_fragment == 0 ? buffer_bytes : std::min(max_fragment, buffer_bytes);
  if (fragments <= 1 && bytes <= most) return {1, bytes, 0, 0};
  uint32_t slots = std::max(fragments, (bytes + most - 1) / most);
  const uint32_t first = std::min(bytes, std::max((bytes + slots - 1) / slots, first_bytes));
  const uint32_t rest = bytes - first;
  slots = std::min(slots, rest + 1);  // no slot stays empty
  if (slots == 1) return {1, first, 0, 0};
  return {slots, first, rest / (slots - 1), rest % (slots - 1)};
}

TxRing::TxRing(const RingView& ring, const SlotPlan& plan, bool pipe)
    : ring_(ring), plan_(plan), pipe_(pipe), settled_(ring.head()), holds_(ring.slots()) {
  const bool plain = plan.fragments <= 1 && plan.max_fragment == 0 && !plan.indirect &&
                     !plan.rubbish && !plan.rewrite && ring.buf_size() % kCopyUnit == 0 &&
                     ring.buf_size() >= kLeastBuffer;
  plain_bytes_ = plain ? std::min(ring.buf_size(), 65535u) : 0;
  if (plan_.indirect) payloads_.resize(size_t{ring.slots()} * ring.buf_size());
}

uint32_t TxRing::space() const { return ring_.available(); }

const char* TxRing::data(uint32_t i) const {
  return plan_.indirect ? &payloads_[size_t{i} * ring_.buf_size()]
                        : ring_.buffer(ring_.slot(i).buf_idx);
}

void TxRing::fill(uint32_t i, const uint8_t* data, uint32_t offset, uint32_t bytes, Varying varying,
                  uint32_t whole) {
  netmap_slot& slot = ring_.at(i);
  char* buffer = ring_.buffer(slot.buf_idx);
  if (plan_.indirect) {
    buffer = &payloads_[size_t{i} * ring_.buf_size()];
    slot.ptr = reinterpret_cast<uintptr_t>(buffer);
  }
  if (plan_.rubbish) return;
  if (holds_[i] == offset + 1 && !plan_.rewrite) {
    const uint32_t from = std::max(varying.from, offset);
    const uint32_t to = std::min(varying.to, offset + bytes);
    if (from < to) std::memcpy(buffer + from - offset, data + from, to - from);
    return;
  }
  // What longer frames go on with is written too, so that only the varying part is left next time.
  const uint32_t all = plan_.rewrite ? bytes : std::min(ring_.buf_size(), whole - offset);
  std::memcpy(buffer, data + offset, all);
  holds_[i] = varying.to >= whole ? 0 : offset + 1;
}

bool TxRing::put_cut(const uint8_t* data, uint32_t bytes, Varying varying, uint32_t whole) {
  const SlotPlan::Cut cut = plan_.cut(bytes, ring_.buf_size());
  uint32_t i = ring_.head(), offset = 0;
  if (cut.slots > ring_.distance(i, ring_.tail())) return false;
  const uint16_t flags = plan_.indirect ? NS_INDIRECT : 0;
  for (uint32_t n = 0; n < cut.slots; n++) {
    const uint32_t piece = n == 0 ? cut.first : cut.base + (n <= cut.longer ? 1 : 0);
    fill(i, data, offset, piece, varying, whole);
    netmap_slot& slot = ring_.at(i);
    slot.len = static_cast<uint16_t>(piece);
    slot.flags = static_cast<uint16_t>(flags | (n + 1 < cut.slots ? NS_MOREFRAG : 0));
    offset += piece;
    i = ring_.after(i);
  }
  ring_.release(i);
  count(bytes, varying.to != 0, cut.slots);
  return true;
}

bool TxRing::copy(const RingView& from, uint32_t first, uint32_t slots) {
  uint32_t i = ring_.head(), f = first;
  if (slots > ring_.distance(i, ring_.tail())) return false;
  for (uint32_t n = 0; n < slots; n++) {
    const netmap_slot source = from.slot(f);
    if (source.len > ring_.buf_size()) return false;
    netmap_slot& slot = ring_.at(i);
    std::memcpy(ring_.buffer(slot.buf_idx), from.buffer(source.buf_idx), source.len);
    slot.len = source.len;
    slot.flags = n + 1 < slots ? NS_MOREFRAG : 0;
    holds_[i] = 0;
    i = ring_.after(i);
    f = from.after(f);
  }
  ring_.release(i);
  put_++;
  if (slots > 1) multi_ = true;
  uniform_ = kMixed;
  return true;
}

uint32_t TxRing::repeat(uint32_t frames) {
  uint32_t head = ring_.head();
  const uint32_t n = std::min(frames, ring_.distance(head, ring_.tail()));
  head += n;
  if (head >= ring_.slots()) head -= ring_.slots();
  ring_.release(head);
  put_ += n;
  return n;
}

void TxRing::end_batch() {
  const uint32_t head = ring_.head();
  ring_.at(head == 0 ? ring_.slots() - 1 : head - 1).flags |= NS_REPORT;
}

uint32_t TxRing::settle() {
  // From behind the tail up to head are the frames the port still has to take, whoever put them
  // there.
  const uint32_t head = ring_.head();
  const uint32_t mine = ring_.distance(settled_, head);
  const uint32_t slots = pipe_ ? mine : mine - std::min(mine, pending());
  uint32_t frames = slots;
  if (multi_) {
    for (uint32_t i = settled_, n = 0; n < slots; n++, i = ring_.after(i)) {
      if (ring_.at(i).flags & NS_MOREFRAG) frames--;
    }
  }
  settled_ += slots;
  if (settled_ >= ring_.slots()) settled_ -= ring_.slots();
  frames = static_cast<uint32_t>(std::min<uint64_t>(frames, put_));
  put_ -= frames;
  return frames;
}

}  // namespace vale
