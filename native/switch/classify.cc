// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "switch/sender.h"
#include "switch/tx_slots.h"

namespace vale {

void Sender::learn(Mac48 source) {
  if (source == last_source && source_ref.entry != nullptr &&
      source_ref.entry->load(std::memory_order_relaxed) == source_ref.word) {
    if (source_ref.seen->load(std::memory_order_relaxed) != now && !fdb_static(source_ref.word)) {
      source_ref.seen->store(now, std::memory_order_relaxed);
    }
    return;
  }
  source_ref = fdb.learn(*sw, source, self, self_gen, now);
  last_source = source;
  if (port->learned == 0) __atomic_store_n(&port->learned, 1, __ATOMIC_RELAXED);
}

// Where a frame goes: a port index (maybe our own), or kFlood.
uint16_t Sender::resolve(Mac48 dest, Mac48 source, bool want_learn) {
  if (want_learn && !is_group(source)) learn(source);
  if (is_group(dest)) return kFlood;
  if (dest != last_dest || dest_ref.entry == nullptr ||
      dest_ref.entry->load(std::memory_order_relaxed) != dest_ref.word ||
      !Fdb::valid(*sw, dest_ref.word, dest_ref.seen->load(std::memory_order_relaxed), now)) {
    dest_ref = fdb.find(*sw, dest, now);
    last_dest = dest;
  }
  return dest_ref.entry == nullptr ? uint16_t{kFlood}
                                   : static_cast<uint16_t>(fdb_port(dest_ref.word));
}

// Copies memory of this process that may not be readable.
bool Sender::stage(uint64_t pointer, uint32_t length, const char** data) {
  if (batch.staging == nullptr) batch.staging.reset(new (std::nothrow) char[kStagingBytes]);
  if (batch.staging == nullptr || batch.staged + length > kStagingBytes) return false;
  char* to = batch.staging.get() + batch.staged;
  iovec local{to, length};
  iovec remote{reinterpret_cast<void*>(pointer), length};
  ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  if (n < 0 && errno != EFAULT) {
    // Some sandboxes forbid that call; our own memory file reads the same.
    if (mem_fd < 0) mem_fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    n = pread(mem_fd, to, length, static_cast<off_t>(pointer));
  }
  if (n != static_cast<ssize_t>(length)) return false;
  batch.staged += (length + 63) / 64 * 64;  // copies read whole 64-byte units
  *data = to;
  return true;
}

// A frame with several fragments, an indirect payload or a flag for the switch. Returns the slot after
// it; frame->dest is kDropped with the reason in frame->reserved when it cannot be sent.
uint32_t Sender::read_slow(uint32_t slot, uint32_t head, Frame* f) {
  f->first_fragment = batch.fragments;
  f->fragments = 0;
  f->length = 0;
  f->dest = 0;
  Drop reason = Drop::count_;
  uint32_t total = 0, flags0 = 0, flags;
  do {
    const uint64_t w = load_slot(slots[slot]);
    const uint32_t index = static_cast<uint32_t>(w), length = w >> 32 & 0xffff;
    seen |= w;
    flags = static_cast<uint32_t>(w >> 48);
    if (total == 0) flags0 = flags;
    total++;
    if (total > kMaxFragments) reason = Drop::too_long;
    if (reason == Drop::count_) {
      Fragment& g = batch.fragment[batch.fragments];
      g.length = length;
      bool good;
      if (flags & NS_INDIRECT) {  // ptr is one or the other
        good = !offsets.any() &&
               stage(__atomic_load_n(&slots[slot].ptr, __ATOMIC_RELAXED), length, &g.data);
      } else {
        const uint32_t offset = offsets.any() ? offset_in(slot) : 0;
        good = index >= 2 && index < buf_bound && length <= buf_size - offset;
        g.data = bufs + static_cast<size_t>(index) * buf_size + offset;
      }
      if (good) {
        batch.fragments++;
        f->fragments++;
        f->length += length;
      } else {
        reason = Drop::bad_slot;
      }
    }
    if (++slot == num_slots) slot = 0;
  } while ((flags & NS_MOREFRAG) && slot != head);

  if (reason == Drop::count_) {
    // The Ethernet header follows the virtio-net header, in the same fragment or in the next one.
    const Fragment* g = &batch.fragment[f->first_fragment];
    f->data = g->data;
    uint32_t skip = header;
    if (f->fragments > 1 && g->length == skip) {
      g++;
      skip = 0;
    }
    if (g->length < skip + kEthernetHeader) {
      reason = Drop::runt;
    } else {
      const uint32_t hint = flags0 >> NS_PORT_SHIFT;
      const Mac48 source = load_mac(g->data + skip + 6);
      const bool want_learn = (flags0 & NS_NO_LEARN) == 0;
      if (hint != 0) {
        if (want_learn && !is_group(source)) learn(source);
        f->dest = static_cast<uint16_t>(hint);
      } else {
        f->dest = resolve(load_mac(g->data + skip), source, want_learn);
      }
    }
  }
  if (reason != Drop::count_) {
    f->dest = kDropped;
    f->reserved = static_cast<uint8_t>(reason);
    batch.fragments = f->first_fragment;
  }
  return slot;
}

}  // namespace vale
