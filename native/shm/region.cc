// SPDX-License-Identifier: BSD-2-Clause
#include "shm/region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace vale {
namespace {

enum : uint8_t { kFree = 0, kUsed = 1, kPending = 2 };  // a byte of the buffer map

constexpr uint32_t kIfSize = 1024, kIfTotal = 128;
constexpr uint32_t kMinRingSize = 20480;
constexpr uint32_t kLargestBuffer = 65472;  // a multiple of 64, and a length must fit 16 bits
constexpr uint32_t kPipes = 16;  // of one ring each way, that a port's memory has room for

struct BufferName {
  char text[32];
};
BufferName buffer_name(uint32_t slot, uint32_t gen) {
  BufferName n;
  std::snprintf(n.text, sizeof n.text, "b%u.%u", slot, gen);
  return n;
}

void place(RegionRec& r) {
  r.if_ofs = 0;
  r.ring_ofs = page_up(static_cast<size_t>(r.if_size) * r.if_total);
  r.buf_ofs = r.ring_ofs + page_up(static_cast<size_t>(r.ring_size) * r.ring_total);
  r.memsize = r.buf_ofs + page_up(static_cast<size_t>(r.buf_size) * r.buf_total);
}

void fill(RegionRec& r, const Geometry& g) {
  const uint32_t slots = std::max(g.tx_slots, g.rx_slots);
  r.buf_size = g.buf_size;
  r.if_size = kIfSize;
  r.if_total = kIfTotal;
  r.ring_size = std::max(kMinRingSize, (256 + 16 * slots + 63) / 64 * 64);
  r.ring_total = std::min(1024u, std::max(4u, g.tx_rings + g.rx_rings + 4 * kPipes + 2));
  // Room for a port's pipes and ports that share its memory. Address space only, until it is used.
  const uint64_t bufs = (kPipes + g.rx_rings + 1ull) * g.rx_slots +
                        (kPipes + g.tx_rings + 1ull) * g.tx_slots + 2 + g.extra_bufs;
  r.buf_total = static_cast<uint32_t>(std::clamp<uint64_t>(bufs, 4098, kMaxBuffers));
  place(r);
}

Status reserve_part(Runtime& rt, uint32_t slot, uint64_t offset, uint64_t length,
                    const char* what) {
  const uint32_t gen = rt.control().region(slot).gen;
  const int fd = rt.mapper->open_file(Mapper::Kind::region, slot, gen);
  if (fd < 0) {
    const int err = errno;
    return Status::fail(err, "cannot open the memory m%u.%u of %s: %s", slot, gen,
                        rt.directory.path().c_str(), strerror(err));
  }
  Status s = rt.directory.reserve(fd, offset, length, what);
  close(fd);
  return s;
}

}  // namespace

Status geometry_of(const OpenRequest& q, Geometry* g) {
  auto clamp = [](uint32_t v, uint32_t standard, uint32_t most) {
    return v == 0 ? standard : std::min(v, most);
  };
  g->tx_rings = clamp(q.tx_rings, 1, kRingsPerPort);
  g->rx_rings = clamp(q.rx_rings, 1, kRingsPerPort);
  g->tx_slots = clamp(q.tx_slots, kDefaultSlots, kMaxSlots);
  g->rx_slots = clamp(q.rx_slots, kDefaultSlots, kMaxSlots);
  g->extra_bufs = std::min(q.extra_bufs, 512u * 1024);
  g->buf_size = q.buf_size == 0 ? kDefaultBufSize : (q.buf_size + 63) / 64 * 64;
  if (q.buf_size != 0 && (q.buf_size < 64 || q.buf_size > kLargestBuffer)) {
    return Status::fail(EINVAL, "expected 64 to %u bytes for the buffer size but received %u",
                        kLargestBuffer, q.buf_size);
  }
  return Status::good();
}

PoolsInfo region_pools(const RegionRec& r) {
  PoolsInfo out;
  out.memsize = r.memsize;
  out.mem_id = static_cast<uint16_t>(r.mem_id);
  out.ifs = {r.if_ofs, r.if_total, r.if_size};
  out.rings = {r.ring_ofs, r.ring_total, r.ring_size};
  out.bufs = {r.buf_ofs, r.buf_total, r.buf_size};
  return out;
}

PoolsInfo region_pools(const Geometry& g) {
  RegionRec r{};
  fill(r, g);
  return region_pools(r);
}

namespace {

// A record with an id and a generation; its sizes are the caller's to write.
Status new_record(Runtime& rt, uint32_t* slot) {
  const Control& c = rt.control();
  Header& h = c.header();
  const uint32_t count = h.regions.load(std::memory_order_relaxed);
  const auto region_at = [&](uint32_t i) -> RegionRec& { return c.region(i); };
  if (Status s = rt.directory.free_record(Directory::Array::regions, count, region_at, slot);
      !s.ok())
    return s;
  RegionRec& r = c.region(*slot);
  // Mem ids are 16 bits, increase, and come round; 1 is the NICs' common one in the reference.
  auto taken = [&](uint32_t id) {
    for (uint32_t i = 0; i < count; i++) {
      if (c.region(i).state.load(std::memory_order_relaxed) != State::free &&
          c.region(i).mem_id == id)
        return true;
    }
    return false;
  };
  uint32_t id = h.next_mem_id;
  while (id < 2 || id > 65535 || taken(id)) id = id >= 65535 ? 2 : id + 1;
  h.next_mem_id = id + 1;

  uint32_t gen = h.next_gen++;
  if (gen == 0) gen = h.next_gen++;
  r.gen = gen;
  r.mem_id = id;
  std::memset(r.if_map, 0, sizeof r.if_map);
  std::memset(r.ring_map, 0, sizeof r.ring_map);
  r.lender = 0;
  r.buf_bound.store(2, std::memory_order_relaxed);
  return Status::good();
}

// The file of the region, of its whole length.
Status make_file(Runtime& rt, uint32_t slot) {
  const RegionRec& r = rt.control().region(slot);
  char name[32];
  Mapper::file_name(name, Mapper::Kind::region, slot, r.gen);
  int fd;
  Status s = rt.directory.create_file(name, &fd);
  if (s.ok()) {
    if (ftruncate(fd, static_cast<off_t>(r.memsize)) != 0) {
      s = Status::fail(errno == EFBIG ? ENOMEM : errno, "cannot size %s/%s to %llu bytes: %s",
                       rt.directory.path().c_str(), name,
                       static_cast<unsigned long long>(r.memsize),
                       Directory::explain(errno).c_str());
    }
    close(fd);
  }
  return s;
}

// What a region needs beside its file.
Status finish(Runtime& rt, uint32_t slot) {
  RegionRec& r = rt.control().region(slot);
  Status s = reserve_part(rt, slot, r.buf_ofs, 2ull * r.buf_size, "a port's memory");
  int fd;
  if (s.ok()) s = rt.directory.create_file(buffer_name(slot, r.gen).text, &fd);
  if (s.ok()) {
    if (ftruncate(fd, static_cast<off_t>(r.buf_total)) != 0)
      s = Status::fail(errno, "cannot size a file in %s: %s", rt.directory.path().c_str(),
                       Directory::explain(errno).c_str());
    if (s.ok()) s = rt.directory.reserve(fd, 0, r.buf_total, "a port's buffer map");
    close(fd);
  }
  if (!s.ok()) {
    region_destroy(rt, slot);
    return s;
  }
  r.state.store(State::live, std::memory_order_release);
  return Status::good();
}

// Sizes as the program wishes, as many objects as its memory has room for.
Status fill(RegionRec& r, const OwnMemory& m) {
  constexpr uint32_t kMostIfs = 8 * sizeof r.if_map, kMostRings = 8 * sizeof r.ring_map;
  constexpr uint32_t kLargestIf = 4096, kLargestRing = 128 << 10;
  const auto size = [](uint32_t wish, uint32_t standard) {
    return wish == 0 ? standard : (wish + 63) / 64 * 64;
  };
  const auto count = [](uint32_t wish, uint32_t standard, uint32_t most) {
    return wish == 0 ? standard : std::min(wish, most);
  };
  if (m.if_size > kLargestIf || m.ring_size > kLargestRing || m.buf_size > kLargestBuffer) {
    return Status::fail(
        EINVAL,
        "memory of one's own: objects are at most %u, rings %u and buffers %u bytes "
        "but %u, %u and %u were asked for",
        kLargestIf, kLargestRing, kLargestBuffer, m.if_size, m.ring_size, m.buf_size);
  }
  r.if_size = size(m.if_size, kIfSize);
  r.if_total = count(m.ifs, kIfTotal, kMostIfs);
  r.ring_size = size(m.ring_size, kMinRingSize);
  r.ring_total = count(m.rings, 4 * kPipes + 4, kMostRings);
  r.buf_size = size(m.buf_size, kDefaultBufSize);
  r.buf_total = 0;
  place(r);
  const uint64_t room = m.bytes > r.memsize ? (m.bytes - r.memsize) / 4096 * 4096 : 0;
  const uint64_t fits = std::min<uint64_t>(room / r.buf_size, kMaxBuffers);
  r.buf_total = static_cast<uint32_t>(m.bufs == 0 ? fits : std::min<uint64_t>(m.bufs, fits));
  if (r.buf_total < 3) {
    return Status::fail(
        ENOMEM,
        "memory of one's own: %llu bytes have no room for buffers beside %llu bytes "
        "of other objects",
        static_cast<unsigned long long>(m.bytes), static_cast<unsigned long long>(r.memsize));
  }
  place(r);
  return Status::good();
}

// The live region whose file this is, or -1.
int32_t region_of_file(Runtime& rt, const struct stat& file) {
  const Control& c = rt.control();
  for (uint32_t i = 0; i < c.regions(); i++) {
    const RegionRec& r = c.region(i);
    if (r.state.load(std::memory_order_relaxed) != State::live) continue;
    char name[32];
    Mapper::file_name(name, Mapper::Kind::region, i, r.gen);
    struct stat st;
    const bool same = r.lender != 0
                          ? r.lent_device == file.st_dev && r.lent_inode == file.st_ino
                          : fstatat(rt.directory.fd(), name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                                st.st_dev == file.st_dev && st.st_ino == file.st_ino;
    if (same) return static_cast<int32_t>(i);
  }
  return -1;
}

// A second name in the directory where that can be; else others open it by way of this process.
Status name_file(Runtime& rt, uint32_t slot, int file, const struct stat& st) {
  RegionRec& r = rt.control().region(slot);
  char name[32], link[40];
  Mapper::file_name(name, Mapper::Kind::region, slot, r.gen);
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  if (linkat(AT_FDCWD, link, rt.directory.fd(), name, AT_SYMLINK_FOLLOW) == 0)
    return Status::good();
  int lent = fcntl(file, F_DUPFD_CLOEXEC, 500);
  if (lent < 0) lent = fcntl(file, F_DUPFD_CLOEXEC, 3);
  if (lent < 0) return Status::fail(errno, "descriptor %d: %s", file, strerror(errno));
  r.lent_fd = static_cast<uint32_t>(lent);
  r.lent_device = st.st_dev;
  r.lent_inode = st.st_ino;
  r.lender = static_cast<uint32_t>(getpid());
  rt.mapper->lend(slot, r.gen, lent);
  return Status::good();
}

}  // namespace

Status region_create(Runtime& rt, const Geometry& g, uint32_t* slot) {
  if (Status s = new_record(rt, slot); !s.ok()) return s;
  RegionRec& r = rt.control().region(*slot);
  fill(r, g);
  r.state.store(State::creating, std::memory_order_release);
  if (Status s = make_file(rt, *slot); !s.ok()) {
    region_destroy(rt, *slot);
    return s;
  }
  return finish(rt, *slot);
}

Status region_bring(Runtime& rt, const OwnMemory& memory, uint32_t* slot) {
  struct stat st {};
  if (memory.file >= 0) {
    if (fstat(memory.file, &st) != 0 || !S_ISREG(st.st_mode) ||
        static_cast<uint64_t>(st.st_size) < memory.bytes)
      return Status::fail(
          EOPNOTSUPP,
          "memory of one's own: expected a file of %llu bytes or more; other memory "
          "cannot be shared",
          static_cast<unsigned long long>(memory.bytes));
    if (const int32_t there = region_of_file(rt, st); there >= 0) {
      *slot = static_cast<uint32_t>(there);
      return Status::good();
    }
  }
  if (Status s = new_record(rt, slot); !s.ok()) return s;
  RegionRec& r = rt.control().region(*slot);
  if (Status s = fill(r, memory); !s.ok()) return s;
  r.state.store(State::creating, std::memory_order_release);
  const Status s = memory.file >= 0 ? name_file(rt, *slot, memory.file, st) : make_file(rt, *slot);
  if (!s.ok()) {
    region_destroy(rt, *slot);
    return s;
  }
  return finish(rt, *slot);
}

void region_destroy(Runtime& rt, uint32_t slot) {
  RegionRec& r = rt.control().region(slot);
  r.state.store(State::dying, std::memory_order_release);
  char name[32];
  Mapper::file_name(name, Mapper::Kind::region, slot, r.gen);
  rt.directory.unlink(name);
  rt.directory.unlink(buffer_name(slot, r.gen).text);
  r.state.store(State::free, std::memory_order_release);
}

Status region_find(Runtime& rt, uint32_t mem_id, uint32_t* slot) {
  const Control& c = rt.control();
  const uint32_t count = c.regions();
  for (uint32_t i = 0; i < count; i++) {
    if (c.region(i).state.load(std::memory_order_relaxed) == State::live &&
        c.region(i).mem_id == mem_id) {
      *slot = i;
      return Status::good();
    }
  }
  return Status::fail(EINVAL, "no memory with id %u; `vale ctl -g PORT` prints a port's", mem_id);
}

Status region_take_if(Runtime& rt, uint32_t slot, uint32_t bytes, uint32_t* object,
                      uint64_t* offset) {
  RegionRec& r = rt.control().region(slot);
  for (uint32_t i = 0; i < r.if_total && bytes <= r.if_size; i++) {
    if (r.if_map[i / 64] >> (i % 64) & 1) continue;
    *offset = r.if_ofs + static_cast<uint64_t>(i) * r.if_size;
    if (Status s = reserve_part(rt, slot, *offset, r.if_size, "a registration"); !s.ok()) return s;
    r.if_map[i / 64] |= uint64_t{1} << (i % 64);
    *object = i;
    return Status::good();
  }
  return Status::fail(ENOMEM, "memory %u has no room for another registration (%u at most)",
                      r.mem_id, r.if_total);
}

void region_give_if(Runtime& rt, uint32_t slot, uint32_t object) {
  RegionRec& r = rt.control().region(slot);
  if (object < r.if_total) r.if_map[object / 64] &= ~(uint64_t{1} << (object % 64));
}

Status region_take_ring(Runtime& rt, uint32_t slot, uint32_t slots, uint64_t* offset) {
  RegionRec& r = rt.control().region(slot);
  if (256 + 16 * slots > r.ring_size) {
    return Status::fail(ENOMEM, "memory %u holds rings of at most %u slots but %u were asked for",
                        r.mem_id, (r.ring_size - 256) / 16, slots);
  }
  for (uint32_t i = 0; i < r.ring_total; i++) {
    if (r.ring_map[i / 64] >> (i % 64) & 1) continue;
    *offset = r.ring_ofs + static_cast<uint64_t>(i) * r.ring_size;
    if (Status s = reserve_part(rt, slot, *offset, r.ring_size, "a ring"); !s.ok()) return s;
    r.ring_map[i / 64] |= uint64_t{1} << (i % 64);
    return Status::good();
  }
  return Status::fail(ENOMEM, "memory %u has no room for another ring (%u at most)", r.mem_id,
                      r.ring_total);
}

void region_give_ring(Runtime& rt, uint32_t slot, uint64_t offset) {
  RegionRec& r = rt.control().region(slot);
  const uint64_t i = (offset - r.ring_ofs) / r.ring_size;
  if (i < r.ring_total) r.ring_map[i / 64] &= ~(uint64_t{1} << (i % 64));
}

BufferMap::~BufferMap() {
  if (used_ != nullptr) munmap(used_, region_->buf_total);
}

Status BufferMap::open(Runtime& rt, uint32_t slot) {
  rt_ = &rt;
  slot_ = slot;
  region_ = &rt.control().region(slot);
  const BufferName name = buffer_name(slot, region_->gen);
  const int fd = rt.directory.open_file(name.text, O_RDWR);
  struct stat st;
  const bool whole =
      fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= static_cast<off_t>(region_->buf_total);
  void* m = whole ? mmap(nullptr, region_->buf_total, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                  : MAP_FAILED;
  const int err = fd >= 0 && !whole ? EUCLEAN : errno;
  if (fd >= 0) close(fd);
  if (m == MAP_FAILED) {
    return Status::fail(err, "cannot map %s/%s: %s", rt.directory.path().c_str(), name.text,
                        strerror(err));
  }
  used_ = static_cast<uint8_t*>(m);
  return Status::good();
}

uint32_t BufferMap::available() const {
  if (region_->buf_total < 3) return 0;
  return static_cast<uint32_t>(std::count(used_ + 2, used_ + region_->buf_total, kFree));
}

Status BufferMap::take(uint32_t count, uint32_t* indices) {
  uint32_t found = 0, highest = 0;
  for (uint32_t i = 2; i < region_->buf_total && found < count; i++) {
    if (used_[i] == kFree) indices[found++] = highest = i;
  }
  if (found < count) {
    return Status::fail(ENOMEM, "memory %u has %u buffers left but %u are needed", region_->mem_id,
                        found, count);
  }
  if (count == 0) return Status::good();
  const uint32_t bound = region_->buf_bound.load(std::memory_order_relaxed);
  if (highest >= bound) {
    const uint64_t from = static_cast<uint64_t>(bound) * region_->buf_size;
    const uint64_t to = static_cast<uint64_t>(highest + 1) * region_->buf_size;
    if (Status s = reserve_part(*rt_, slot_, region_->buf_ofs + from, to - from, "buffers");
        !s.ok())
      return s;
    region_->buf_bound.store(highest + 1, std::memory_order_release);
  }
  for (uint32_t i = 0; i < count; i++) used_[indices[i]] = kPending;
  return Status::good();
}

void BufferMap::keep(uint32_t count, const uint32_t* indices) {
  for (uint32_t i = 0; i < count; i++) used_[indices[i]] = kUsed;
}

void BufferMap::give_pending() {
  std::replace(used_, used_ + region_->buf_total, uint8_t{kPending}, uint8_t{kFree});
}

void BufferMap::give(uint32_t index) {
  if (index >= 2 && index < region_->buf_total) used_[index] = kFree;
}

}  // namespace vale
