// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "nic/packet.h"
#include "offload/checksum.h"

namespace vale {
namespace {

constexpr uint32_t kAddresses = 12;  // bytes before the place of a VLAN tag
constexpr uint32_t kTag = 4;

}  // namespace

void PacketPort::fill(const RingView& ring) {
  while (rx_room() != 0 && load()) {
    if (!deliver(ring)) break;
    socket_->release();
    loaded_ = false;
  }
}

// Makes frame_ the next one to deliver; false when there is none.
bool PacketPort::load() {
  while (!loaded_) {
    switch (socket_->receive(&frame_)) {
      case Receive::none:
        return false;
      case Receive::no_room:
        drop(Drop::ring_full);
        socket_->release();
        continue;
      case Receive::too_big:
        drop(Drop::too_big);
        socket_->release();
        continue;
      case Receive::frame:
        break;
    }
    loaded_ = true;
    cutting_ = false;
    if (frame_.vnet.gso_type != kGsoNone) {
      cutting_ =
          segmenter_.start(frame_.data, frame_.bytes, frame_.vnet.gso_type, frame_.vnet.gso_size);
    }
    const bool unknown = frame_.vnet.gso_type != kGsoNone && !cutting_;
    if (unknown || frame_.bytes < kAddresses + 2) {
      drop(unknown ? Drop::too_big : Drop::runt);
      socket_->release();
      loaded_ = false;
    } else if (!cutting_ && (frame_.vnet.flags & kVnetNeedsChecksum) != 0) {
      checksum_complete(frame_.data, frame_.bytes, frame_.vnet.csum_start, frame_.vnet.csum_offset);
    }
  }
  return true;
}

// All of frame_ into the ring; false when there is no room, then what is left waits.
bool PacketPort::deliver(const RingView& ring) {
  do {
    Part parts[4];
    unsigned count = 0;
    const uint32_t bytes =
        (cutting_ ? segmenter_.next_bytes() : frame_.bytes) + (frame_.tagged ? kTag : 0);
    const uint32_t needed = (bytes + ring.buf_size() - 1) / ring.buf_size();
    if (needed > NETMAP_MAX_FRAGS || needed > ring.slots() - 1) {
      drop(Drop::too_big);
      return true;
    }
    if (needed > rx_room()) return false;

    Segment segment = {frame_.data, frame_.bytes, nullptr, 0};
    if (cutting_) segment = segmenter_.next();
    const uint16_t tag[2] = {htons(frame_.tpid), htons(frame_.tci)};
    if (frame_.tagged) {
      parts[count++] = {segment.header, kAddresses};
      parts[count++] = {reinterpret_cast<const char*>(tag), kTag};
      parts[count++] = {segment.header + kAddresses, segment.header_bytes - kAddresses};
    } else {
      parts[count++] = {segment.header, segment.header_bytes};
    }
    if (segment.payload_bytes != 0) parts[count++] = {segment.payload, segment.payload_bytes};
    put(ring, parts, count, bytes, needed);
  } while (cutting_ && !segmenter_.done());
  return true;
}

// One frame into `slots` slots, which the ring has.
void PacketPort::put(const RingView& ring, const Part* parts, unsigned count, uint32_t bytes,
                     uint32_t slots) {
  uint32_t at = rx_hwtail_;
  bool usable = true;
  for (uint32_t i = 0; i < slots; i++, at = ring.after(at)) {
    usable &= ring.has_buffer(ring.slot(at).buf_idx);
  }
  if (!usable) {  // the application has put a wrong buffer there: it sees an empty slot, as a remark
    netmap_slot& slot = ring.at(rx_hwtail_);
    slot.len = 0;
    slot.flags = 1 << NS_PORT_SHIFT;
    rx_ends_[rx_hwtail_] = 0;
    rx_hwtail_ = ring.after(rx_hwtail_);
    drop(Drop::bad_slot);
    return;
  }

  unsigned part = 0;
  uint32_t taken = 0;  // of that part
  uint32_t left = bytes;
  at = rx_hwtail_;
  for (uint32_t i = 0; i < slots; i++, at = ring.after(at)) {
    netmap_slot& slot = ring.at(at);
    char* to = ring.buffer(slot.buf_idx);
    const uint32_t here = std::min(left, ring.buf_size());
    for (uint32_t filled = 0; filled < here;) {
      while (taken == parts[part].bytes && part + 1 < count) {
        part++;
        taken = 0;
      }
      const uint32_t n = std::min(here - filled, parts[part].bytes - taken);
      std::memcpy(to + filled, parts[part].data + taken, n);
      filled += n;
      taken += n;
    }
    left -= here;
    const bool last = i + 1 == slots;
    slot.len = static_cast<uint16_t>(here);
    slot.flags = static_cast<uint16_t>(slots << NS_PORT_SHIFT | (last ? 0 : NS_MOREFRAG));
    slot.ptr = 0;
    rx_ends_[at] = last ? 1 : 0;
  }
  rx_hwtail_ = at;
  rx_frames_.add(1);
  rx_bytes_.add(bytes);
}

}  // namespace vale
