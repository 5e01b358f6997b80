// SPDX-License-Identifier: BSD-2-Clause
#include "preload/own_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdlib>
#include <vector>

#include "preload/real.h"
#include "preload/user_memory.h"

namespace vale::preload {
namespace {

constexpr uint64_t kPage = 4096;

// A line of /proc/self/maps.
struct Mapping {
  uint64_t start = 0, end = 0, offset = 0;
  bool writable = false, shared = false;
  dev_t device = 0;
  uint64_t inode = 0;
  std::string path;
};

bool parse(const char* line, Mapping* m) {
  char rights[5];
  unsigned major_number, minor_number;
  int path = 0;
  if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &m->start,
                  &m->end, rights, &m->offset, &major_number, &minor_number, &m->inode, &path) < 7)
    return false;
  m->writable = rights[0] == 'r' && rights[1] == 'w';
  m->shared = rights[3] == 's';
  m->device = makedev(major_number, minor_number);
  m->path.assign(line + path);
  if (!m->path.empty() && m->path.back() == '\n') m->path.pop_back();
  return true;
}

// What is mapped within [start, end), in order; false when there are gaps.
bool mappings_of(uint64_t start, uint64_t end, std::vector<Mapping>* out) {
  FILE* file = fopen("/proc/self/maps", "re");
  if (file == nullptr) return false;
  char* line = nullptr;
  size_t room = 0;
  uint64_t covered = start;
  while (getline(&line, &room, file) > 0) {
    Mapping m;
    if (!parse(line, &m) || m.end <= start || m.start >= end) continue;
    if (m.start > covered) break;
    covered = m.end;
    out->push_back(m);
  }
  free(line);
  fclose(file);
  return covered >= end;
}

bool is_file_of(int fd, const Mapping& m) {
  struct stat st;
  return fd >= 0 && real().fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == m.inode &&
         st.st_dev == m.device && (real().fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

// A descriptor of the mapped file, for the caller to close; -1 when there is no way to it.
int file_of(const Mapping& m) {
  int found = -1;
  if (DIR* dir = opendir("/proc/self/fd")) {
    while (const dirent* e = readdir(dir)) {
      const int fd = std::atoi(e->d_name);
      if (e->d_name[0] == '.' || !is_file_of(fd, m)) continue;
      found = real().fcntl(fd, F_DUPFD_CLOEXEC, 3);
      break;
    }
    real().closedir(dir);
  }
  if (found >= 0) return found;
  char link[64];
  std::snprintf(link, sizeof link, "/proc/self/map_files/%" PRIx64 "-%" PRIx64, m.start, m.end);
  for (const char* path : {m.path.c_str(), static_cast<const char*>(link)}) {
    if (*path != '/') continue;
    const int fd = real().open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (is_file_of(fd, m)) return fd;
    if (fd >= 0) real().close(fd);
  }
  return -1;
}

// No file that anybody else could map: MAP_SHARED|MAP_ANONYMOUS, or the region of a port that is closed.
bool has_no_file(const Mapping& m) {
  unsigned slot, gen;
  int end = 0;
  const size_t slash = m.path.rfind('/');
  if (m.path == "/dev/zero (deleted)") return true;
  return slash != std::string::npos &&
         std::sscanf(m.path.c_str() + slash, "/m%u.%u (deleted)%n", &slot, &gen, &end) == 2 &&
         end != 0;
}

}  // namespace

BroughtMemory::~BroughtMemory() {
  if (memory_.file >= 0) real().close(memory_.file);
}

int BroughtMemory::find(const nmreq_opt_extmem& option) {
  const nmreq_pools_info& p = option.nro_info;
  const uint64_t start = option.nro_usrptr, bytes = p.nr_memsize / kPage * kPage;
  if (start == 0 || start % kPage != 0 || bytes == 0) return EINVAL;
  if (start > UINT64_MAX - bytes) return EFAULT;
  memory_.bytes = bytes;
  memory_.ifs = p.nr_if_pool_objtotal;
  memory_.if_size = p.nr_if_pool_objsize;
  memory_.rings = p.nr_ring_pool_objtotal;
  memory_.ring_size = p.nr_ring_pool_objsize;
  memory_.bufs = p.nr_buf_pool_objtotal;
  memory_.buf_size = p.nr_buf_pool_objsize;
  std::vector<Mapping> all;
  if (!mappings_of(start, start + bytes, &all)) return EFAULT;
  bool private_memory = true;
  for (const Mapping& m : all) {
    if (!m.writable) return EFAULT;
    private_memory = private_memory && (!m.shared || has_no_file(m));
  }
  at_ = reinterpret_cast<char*>(start);
  if (private_memory) return 0;
  const Mapping& m = all[0];
  if (all.size() != 1 || m.offset + (start - m.start) != 0) return EOPNOTSUPP;
  memory_.file = file_of(m);
  return memory_.file >= 0 ? 0 : EOPNOTSUPP;
}

int BroughtMemory::take_over(const Port& port) {
  if (memory_.file >= 0) return 0;
  const RingView* view = nullptr;
  if (port.first_tx() < port.last_tx()) view = &port.tx_view(port.first_tx());
  if (port.first_rx() < port.last_rx()) view = &port.rx_view(port.first_rx());
  if (view != nullptr) {
    // Buffers of the list of extra ones begin with what links them.
    std::vector<bool> linked;
    for (uint32_t i = port.nifp()->ni_bufs_head; view->has_buffer(i);) {
      if (linked.size() <= i) linked.resize(i + 1);
      if (linked[i]) break;
      linked[i] = true;
      std::memcpy(&i, view->buffer(i), sizeof i);
    }
    const uint64_t first = static_cast<uint64_t>(view->buffer(0) - port.base());
    for (uint32_t i = 2; view->has_buffer(i); i++) {
      const uint64_t from = first + uint64_t{i} * view->buf_size();
      const uint32_t keep = i < linked.size() && linked[i] ? sizeof i : 0;
      if (!copy_in(port.base() + from + keep, reinterpret_cast<uint64_t>(at_) + from + keep,
                   view->buf_size() - keep))
        return EFAULT;
    }
  }
  const int file = port.open_memory();
  if (file < 0) return errno;
  const void* there = real().mmap(at_, port.info().memsize, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_FIXED | MAP_NORESERVE, file, 0);
  const int err = there == MAP_FAILED ? errno : 0;
  unmark_internal(file);
  real().close(file);
  return err;
}

}  // namespace vale::preload
