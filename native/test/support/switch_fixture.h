// SPDX-License-Identifier: BSD-2-Clause
// A switch of one's own in a directory of its own, frames in and out as strings.
#pragma once

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "check.h"
#include "device/user.h"

const std::string kBroadcast(6, '\xff');

inline std::string mac(uint32_t i) {
  return {'\x02',
          '\0',
          static_cast<char>(i >> 24),
          static_cast<char>(i >> 16),
          static_cast<char>(i >> 8),
          static_cast<char>(i)};
}

// `size` bytes with a payload that depends on `seed` at every offset.
inline std::string frame(const std::string& to, const std::string& from, size_t size,
                         uint64_t seed) {
  std::string s = to + from + std::string("\x08\x00", 2);
  uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
  while (s.size() < size) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    s.push_back(static_cast<char>(x >> 56));
  }
  s.resize(size);
  return s;
}

// What opening a port comes to: if it fails, one line says why.
inline vale::Status opening(vale::Device& d, const std::string& name, vale::OpenRequest q = {}) {
  std::unique_ptr<vale::Port> port;
  q.name = name;
  const vale::Status s = d.open(q, &port);
  if (!s.ok()) CHECK(s.text.find('\n') == std::string::npos && !s.text.empty());
  return s;
}

// Of all ports, as they are listed.
inline std::vector<std::string> names(vale::Device& d) {
  std::vector<vale::PortRow> rows;
  std::vector<std::string> out;
  CHECK_OK(d.list(&rows));
  for (const vale::PortRow& row : rows) out.push_back(row.name);
  return out;
}

struct Fixture {
  std::string dir;
  bool own = true;
  std::unique_ptr<vale::Device> device;

  Fixture() {
    char name[] = "/dev/shm/vale-test-XXXXXX";
    dir = mkdtemp(name);
    start();
  }
  // In a directory that the test looks after.
  explicit Fixture(const std::string& directory) : dir(directory), own(false) { start(); }
  void start() {
    const vale::Status s = vale::open_user_device(dir.c_str(), &device, nullptr);
    if (!s.ok()) {
      std::printf("  %s\n", s.text.c_str());
      std::abort();
    }
  }
  ~Fixture() {
    device.reset();
    if (!own) return;
    const std::string command = "rm -rf " + dir;
    if (std::system(command.c_str()) != 0) std::printf("  cannot remove %s\n", dir.c_str());
  }

  std::unique_ptr<vale::Port> open(const std::string& name, vale::OpenRequest q = {}) {
    q.name = name;
    q.flags |= NR_ACCEPT_VNET_HDR;
    std::unique_ptr<vale::Port> port;
    const vale::Status s = device->open(q, &port);
    if (!s.ok()) {
      std::printf("  %s: %s\n", name.c_str(), s.text.c_str());
      std::abort();
    }
    return port;
  }

  // Fills slots without syncing; fragments of `piece` bytes, or of the buffer's size.
  void put(vale::Port& p, const std::string& s, size_t piece = 0, uint16_t flags = 0,
           unsigned ring = 0) {
    netmap_ring* r = p.tx_ring(ring);
    if (piece == 0) piece = r->nr_buf_size;
    uint32_t head = r->head;
    for (size_t at = 0; at < s.size(); at += piece) {
      const size_t n = std::min(piece, s.size() - at);
      netmap_slot& slot = r->slot[head];
      std::memcpy(NETMAP_BUF(r, slot.buf_idx), s.data() + at, n);
      slot.len = static_cast<uint16_t>(n);
      slot.flags = static_cast<uint16_t>(flags | (at + n < s.size() ? NS_MOREFRAG : 0));
      head = head + 1 == r->num_slots ? 0 : head + 1;
    }
    r->head = r->cur = head;
  }
  void send(vale::Port& p, const std::string& s) {
    put(p, s);
    p.txsync();
  }

  std::vector<std::string> receive(vale::Port& p, unsigned ring = 0) {
    std::vector<std::string> out;
    p.rxsync();
    netmap_ring* r = p.rx_ring(ring);
    std::string s;
    uint32_t head = r->head;
    while (head != r->tail) {
      const netmap_slot& slot = r->slot[head];
      s.append(NETMAP_BUF(r, slot.buf_idx < 2 || slot.buf_idx > 100000 ? 0 : slot.buf_idx),
               slot.len);
      if (!(slot.flags & NS_MOREFRAG)) {
        out.push_back(s);
        s.clear();
      }
      head = head + 1 == r->num_slots ? 0 : head + 1;
    }
    r->head = r->cur = head;
    p.rxsync();
    return out;
  }

  std::vector<std::string> files() const {
    std::vector<std::string> out;
    DIR* d = opendir(dir.c_str());
    while (const dirent* e = readdir(d)) out.emplace_back(e->d_name);
    closedir(d);
    std::sort(out.begin(), out.end());
    return out;
  }
};
