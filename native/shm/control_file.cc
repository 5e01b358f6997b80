// SPDX-License-Identifier: BSD-2-Clause
// How the control file is made, checked and mapped, and how its arrays grow.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "shm/directory.h"
#include "shm/mapping_guard.h"

namespace vale {
namespace {

constexpr uint64_t kChunk = 65536;  // bytes an array grows by

struct ArrayFacts {
  size_t offset, record;
  uint32_t max;
  Shared<uint32_t> Header::*allocated;
  const char* what;
};

ArrayFacts facts(Directory::Array array) {
  constexpr Arrays a = arrays();
  switch (array) {
    case Directory::Array::procs:
      return {a.procs, sizeof(ProcRec), kMaxProcs, &Header::procs, "processes"};
    case Directory::Array::switches:
      return {a.switches, sizeof(SwitchRec), kMaxSwitches, &Header::switches, "switches"};
    case Directory::Array::ports:
      return {a.ports, sizeof(PortRec), kMaxPorts, &Header::ports, "ports"};
    case Directory::Array::regs:
      return {a.regs, sizeof(RegRec), kMaxRegs, &Header::regs, "registrations"};
    case Directory::Array::tx:
      return {a.tx, sizeof(TxRing), kMaxRings, &Header::rings_tx, "tx rings"};
    case Directory::Array::rx:
      return {a.rx, sizeof(RxRing), kMaxRings, &Header::rings_rx, "rx rings"};
    case Directory::Array::agents:
      return {a.agents, sizeof(AgentRec), kMaxAgents, &Header::agents, "agents"};
    case Directory::Array::regions:
      break;
  }
  return {a.regions, sizeof(RegionRec), kMaxRegions, &Header::regions, "regions"};
}

}  // namespace

Status Directory::make_control() {
  // Whatever is there has no magic: its creator died before it could matter.
  unlink(kControlNew);
  int fd;
  if (Status s = create_file(kControlNew, &fd); !s.ok()) return s;
  constexpr Arrays a = arrays();
  Status s = Status::good();
  if (ftruncate(fd, static_cast<off_t>(a.end)) != 0) {
    s = Status::fail(errno, "cannot size %s/%s: %s", path_.c_str(), kControlName,
                     explain(errno).c_str());
  }
  if (s.ok()) s = reserve(fd, 0, sizeof(Header), "the control file");
  if (s.ok()) {
    void* m = mmap(nullptr, sizeof(Header), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m == MAP_FAILED) {
      s = Status::fail(errno, "cannot map %s/%s: %s", path_.c_str(), kControlName, strerror(errno));
    } else {
      Header& h = *static_cast<Header*>(m);
      h.version = kControlVersion;
      h.size = sizeof(Header);
      h.file_size = a.end;
      h.layout_sum = layout_sum();
      h.next_gen = 1;
      h.next_mem_id = 2;
      h.magic.store(kControlMagic, std::memory_order_release);
      munmap(m, sizeof(Header));
    }
  }
  close(fd);
  if (s.ok() && renameat(fd_, kControlNew, fd_, kControlName) != 0) {
    s = Status::fail(errno, "cannot create %s/%s: %s", path_.c_str(), kControlName,
                     strerror(errno));
  }
  if (!s.ok()) unlink(kControlNew);
  return s;
}

Status Directory::check_control(const Header* h, uint64_t bytes) const {
  const char* p = path_.c_str();
  if (h == nullptr || h->magic.load() != kControlMagic) {
    return Status::fail(EUCLEAN,
                        "%s/%s is not a control file of this program or is damaged; stop what uses "
                        "it and run: rm -r %s",
                        p, kControlName, p);
  }
  if (h->version != kControlVersion) {
    return Status::fail(EPROTO,
                        "%s was made by another version (layout %u, this one is %u); stop what "
                        "uses it and run: rm -r %s",
                        p, h->version, kControlVersion, p);
  }
  if (h->layout_sum != layout_sum() || bytes != arrays().end || h->procs > kMaxProcs ||
      h->switches > kMaxSwitches || h->ports > kMaxPorts || h->regs > kMaxRegs ||
      h->rings_tx > kMaxRings || h->rings_rx > kMaxRings || h->regions > kMaxRegions ||
      h->agents > kMaxAgents) {
    return Status::fail(EUCLEAN, "%s/%s is damaged; stop what uses it and run: rm -r %s", p,
                        kControlName, p);
  }
  return Status::good();
}

Status Directory::intact() const { return check_control(&control_.header(), arrays().end); }

Status Directory::map_control() {
  const char* p = path_.c_str();
  const int fd = open_file(kControlName, O_RDWR);
  if (fd < 0) {
    if (errno == ENOENT) return {ENOENT, ""};
    const int err = errno;
    return Status::fail(err == ELOOP ? EPERM : err, "cannot open %s/%s: %s", p, kControlName,
                        explain(err).c_str());
  }
  struct stat st;
  Header h_copy_storage;
  Header* h = &h_copy_storage;
  const bool readable = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                        pread(fd, static_cast<void*>(h), sizeof(Header), 0) == sizeof(Header);
  Status s = check_control(readable ? h : nullptr, static_cast<uint64_t>(st.st_size));
  if (s.ok()) {
    void* m =
        mmap(nullptr, arrays().end, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (m == MAP_FAILED) {
      s = Status::fail(errno, "cannot map %s/%s: %s", p, kControlName, strerror(errno));
    } else {
      control_.base = static_cast<char*>(m);
      last_words_ = "vale: " + path_ + "/" + kControlName +
                    " was cut short while in use; stop what uses it and run: rm -r " + path_ + "\n";
      guard_mapping(m, arrays().end, last_words_.c_str());
      control_dev_ = st.st_dev;
      control_ino_ = st.st_ino;
    }
  }
  close(fd);
  return s;
}

Status Directory::grow(Array array, uint32_t count) {
  const ArrayFacts f = facts(array);
  Header& h = control_.header();
  const uint32_t have = (h.*f.allocated).load(std::memory_order_relaxed);
  if (count <= have) return Status::good();
  if (count > f.max) {
    return Status::fail(ENOMEM, "%s holds %u %s already, the most it can", path_.c_str(), have,
                        f.what);
  }
  const uint64_t from = have * f.record;
  const uint64_t to = std::min((count * f.record + kChunk - 1) / kChunk * kChunk, f.max * f.record);
  const int fd = open_file(kControlName, O_RDWR);
  if (fd < 0)
    return present().ok() ? Status::fail(errno, "cannot open %s/%s: %s", path_.c_str(),
                                         kControlName, strerror(errno))
                          : present();
  Status s = reserve(fd, f.offset + from, to - from, f.what);
  if (s.ok() && array == Array::rx) {
    const size_t first = have * sizeof(MoreBits);
    const size_t last = to / f.record * sizeof(MoreBits);
    s = reserve(fd, arrays().more + first, last - first, f.what);
    const size_t watch = have * sizeof(WatchRec), end = to / f.record * sizeof(WatchRec);
    if (s.ok()) s = reserve(fd, arrays().watch + watch, end - watch, f.what);
  }
  close(fd);
  if (s.ok())
    (h.*f.allocated).store(static_cast<uint32_t>(to / f.record), std::memory_order_release);
  return s;
}

}  // namespace vale
