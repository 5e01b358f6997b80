// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/chain.h"

namespace vale::vhost {

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

}  // namespace vale::vhost
