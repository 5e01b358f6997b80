// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/chain.h"

namespace vale::vhost {
namespace {

bool apart(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes) {
  return a + a_bytes <= b || b + b_bytes <= a;
}
bool aligned(const void* p, uintptr_t to) { return reinterpret_cast<uintptr_t>(p) % to == 0; }

}  // namespace

bool ChainReader::piece(uint64_t address, uint32_t length, uint16_t flags, Chain* out) {
  const bool writable = (flags & kWritable) != 0;
  if (!writable && out->writable != 0) return broken("a chain that is to be read after written");
  uint32_t& bytes = writable ? out->writable_bytes : out->readable_bytes;
  if (length > UINT32_MAX - bytes) return broken("a chain of an impossible length");
  for (uint32_t left = length; left != 0;) {
    const uint32_t used = out->readable + out->writable;
    if (used == Chain::kMost) return broken("a chain of too many pieces");
    uint64_t here;
    char* const data = memory_->at_most(address, left, &here);
    if (data == nullptr) return broken("a buffer outside the guest's memory");
    out->piece[used] = {data, static_cast<uint32_t>(here), address};
    (writable ? out->writable : out->readable)++;
    address += here;
    left -= static_cast<uint32_t>(here);
  }
  bytes += length;
  return true;
}

const char* ChainReader::table(uint64_t address, uint32_t bytes, uint16_t flags, uint32_t* count) {
  const auto no = [this](const char* why) {
    broken(why);
    return nullptr;
  };
  if (!indirect_) return no("an indirect descriptor, which was not negotiated");
  if ((flags & kNext) != 0) return no("an indirect descriptor within a chain");
  if (bytes == 0 || bytes % kDescriptorBytes != 0 || bytes / kDescriptorBytes > Chain::kMost)
    return no("an indirect table of an impossible size");
  const char* const data = memory_->at(address, bytes);
  if (data == nullptr) return no("an indirect table outside the guest's memory");
  if (!aligned(data, 8)) return no("an indirect table that is not aligned");
  *count = static_cast<uint32_t>(bytes / kDescriptorBytes);
  return data;
}

bool ChainReader::only(uint64_t address, uint32_t bytes, uint16_t flags,
                       uint64_t descriptor[2]) const {
  if (!indirect_ || (flags & kNext) != 0 || bytes != kDescriptorBytes) return false;
  const char* const data = memory_->at(address, bytes);
  if (data == nullptr || !aligned(data, 8)) return false;
  const uint64_t* const words = reinterpret_cast<const uint64_t*>(data);
  descriptor[0] = __atomic_load_n(&words[0], __ATOMIC_RELAXED);
  descriptor[1] = __atomic_load_n(&words[1], __ATOMIC_RELAXED);
  return true;
}

const char* RingParts::find(const RingAddress& a, const GuestMemory& memory,
                            uintptr_t available_align) {
  descriptors = memory.at_user(a.descriptors, descriptor_bytes);
  available = memory.at_user(a.available, available_bytes);
  used = memory.at_user(a.used, used_bytes);
  if (descriptors == nullptr || available == nullptr || used == nullptr)
    return "a ring outside the guest's memory";
  if (!aligned(descriptors, 16) || !aligned(available, available_align) || !aligned(used, 4))
    return "a ring that is not aligned";
  if (!apart(a.descriptors, descriptor_bytes, a.available, available_bytes) ||
      !apart(a.descriptors, descriptor_bytes, a.used, used_bytes) ||
      !apart(a.available, available_bytes, a.used, used_bytes))
    return "a ring whose parts overlap";
  return nullptr;
}

}  // namespace vale::vhost
