// SPDX-License-Identifier: BSD-2-Clause
// Super-frames as a virtual machine or Linux hands them over: headers of one packet, data of many.
#pragma once

#include "offload/vnet_header.h"
#include "test/support/wire.h"

namespace super {

using namespace vale;
using Bytes = wire::Frame;

inline void put_u16(Bytes& f, size_t at, size_t v) {
  f[at] = static_cast<uint8_t>(v >> 8);
  f[at + 1] = static_cast<uint8_t>(v);
}

struct Shape {
  bool v6 = false, tcp = true;
  size_t vlan_tags = 0, ip_options = 0, tcp_options = 12, payload = 3000;
  bool jumbo = false;  // with `v6`: behind its IPv6 header one that tells of more than 64 KB
  uint8_t tcp_flags = 0x18;
};

inline size_t transport_of(const Shape& shape) {
  return 14 + 4 * shape.vlan_tags + (shape.v6 ? 40 : 20) + (shape.jumbo ? 8 : 0) + shape.ip_options;
}

inline Bytes build(const Shape& shape) {
  const size_t ip = 14 + 4 * shape.vlan_tags;
  const size_t l4 = transport_of(shape);
  const size_t data = l4 + (shape.tcp ? 20 + shape.tcp_options : 8);
  const uint8_t protocol = shape.tcp ? 6 : 17;
  Bytes f(data + shape.payload);
  for (size_t i = 0; i < f.size(); i++) f[i] = static_cast<uint8_t>(i * 11 + (i >> 8));
  for (size_t i = 0; i < shape.vlan_tags; i++) put_u16(f, 12 + 4 * i, 0x8100);
  put_u16(f, ip - 2, shape.v6 ? 0x86dd : 0x0800);
  if (shape.v6) {
    f[ip] = 0x60;
    put_u16(f, ip + 4, f.size() - ip - 40);
    f[ip + 6] = shape.ip_options != 0 ? 60 : protocol;
    const size_t options = l4 - shape.ip_options;
    if (shape.ip_options != 0) {
      f[options] = protocol;
      f[options + 1] = static_cast<uint8_t>(shape.ip_options / 8 - 1);
    }
    if (shape.jumbo) {
      const uint8_t header[] = {f[ip + 6], 0, 0xc2, 4};
      std::copy(header, header + sizeof header, &f[ip + 40]);
      put_u16(f, ip + 44, (f.size() - ip - 40) >> 16);
      put_u16(f, ip + 46, f.size() - ip - 40);
      put_u16(f, ip + 4, 0);
      f[ip + 6] = 0;
    }
  } else {
    f[ip] = static_cast<uint8_t>(0x40 | (l4 - ip) / 4);
    put_u16(f, ip + 2, f.size() - ip);
    put_u16(f, ip + 4, 0xfffe);  // the identification wraps
    put_u16(f, ip + 6, 0x4000);
    f[ip + 9] = protocol;
  }
  if (shape.tcp) {
    f[l4 + 12] = static_cast<uint8_t>((20 + shape.tcp_options) / 4 << 4);
    f[l4 + 13] = shape.tcp_flags;
    put_u16(f, l4 + 4, 0xffff);  // the sequence number wraps
    put_u16(f, l4 + 6, 0xff00);
  }
  return f;
}

inline uint8_t gso_of(const Shape& shape) {
  return !shape.tcp ? kGsoUdpSegments : shape.v6 ? kGsoTcp6 : kGsoTcp4;
}

// What its maker says of that frame, whose checksum it has only begun: `frame` then has the sum of the
// pseudo header in its checksum field. gso_type kGsoNone: no super-frame.
inline VnetHeader half_made(const Shape& shape, Bytes* frame, uint8_t gso_type, uint16_t gso_size) {
  const size_t l4 = transport_of(shape), ip = 14 + 4 * shape.vlan_tags;
  const size_t field = shape.tcp ? 16 : 6;
  if (!shape.tcp) put_u16(*frame, l4 + 4, frame->size() - l4);
  if (!shape.v6) {
    put_u16(*frame, ip + 10, 0);
    put_u16(*frame, ip + 10, 0xffff - wire::add(*frame, ip, l4, 0));
  }
  const uint32_t more = static_cast<uint32_t>(frame->size() - l4) + (shape.tcp ? 6 : 17);
  put_u16(*frame, l4 + field,
          wire::add(*frame, shape.v6 ? ip + 8 : ip + 12, shape.v6 ? ip + 40 : ip + 20, more));
  VnetHeader h = {};
  h.flags = kVnetNeedsChecksum;
  h.gso_type = gso_type;
  h.gso_size = gso_type == kGsoNone ? uint16_t{0} : gso_size;
  h.hdr_len = static_cast<uint16_t>(frame->size() - shape.payload);
  h.csum_start = static_cast<uint16_t>(l4);
  h.csum_offset = static_cast<uint16_t>(field);
  return h;
}

// The datagram that fragments of IP make, as one frame; empty when they do not fit together.
inline Bytes put_together(const std::vector<Bytes>& fragments) {
  Bytes whole;
  size_t next = 0;
  for (size_t i = 0; i < fragments.size(); i++) {
    const Bytes& f = fragments[i];
    size_t ip = 0;
    const bool v6 = wire::type_of(f, &ip) == 0x86dd;
    size_t data = ip + (f[ip] & 15) * 4u, last = 0, offset = 0, named = 0;
    if (v6) {
      named = ip + 6;  // the byte that names the next header
      data = ip + 40;
      while (f[named] != 44) {
        named = data;
        data += (f[data + 1] + 1u) * 8;
      }
      offset = wire::u16(f, data + 2) & 0xfff8u;
      last = !(f[data + 3] & 1);
      if (wire::u16(f, ip + 4) != f.size() - ip - 40) return {};
      if (i == 0) {
        whole.assign(f.begin(), f.begin() + static_cast<long>(data));
        whole[named] = f[data];
      }
      data += 8;
    } else {
      offset = (wire::u16(f, ip + 6) & 0x1fffu) * 8;
      last = !(f[ip + 6] & 0x20);
      if (wire::u16(f, ip + 2) != f.size() - ip) return {};
      if (wire::add(f, ip, data, 0) != 0xffff) return {};
      if (i == 0) whole.assign(f.begin(), f.begin() + static_cast<long>(data));
    }
    if (offset != next || last != (i + 1 == fragments.size())) return {};
    next += f.size() - data;
    whole.insert(whole.end(), f.begin() + static_cast<long>(data), f.end());
  }
  size_t ip = 0;
  if (wire::type_of(whole, &ip) == 0x86dd) {
    put_u16(whole, ip + 4, whole.size() - ip - 40);
  } else {
    put_u16(whole, ip + 2, whole.size() - ip);
    put_u16(whole, ip + 6, 0);
    put_u16(whole, ip + 10, 0);
    put_u16(whole, ip + 10, 0xffff - wire::add(whole, ip, ip + (whole[ip] & 15) * 4u, 0));
  }
  return whole;
}

inline std::string text(const Bytes& f) { return std::string(f.begin(), f.end()); }

}  // namespace super
