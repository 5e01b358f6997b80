// SPDX-License-Identifier: BSD-2-Clause
// A hostile program behind /dev/netmap: any requests, with any names, options and addresses, and any
// bytes in the rings and control blocks of what it opened by them. Every request is answered with 0 or an
// errno, nothing outside its memory is touched, nothing of it stays when its descriptors are closed, and
// two neighbours on a switch that it may join go on exchanging frames.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "fuzz/input.h"
#include "fuzz/neighbours.h"
#include "preload/control.h"
#include "preload/real.h"
#include "preload/sleep.h"

namespace {

using namespace vale;
using namespace vale::fuzz;
using namespace vale::preload;

constexpr size_t kPage = 4096;
constexpr unsigned kFiles = 4;

// What requests lie in: two pages that are there and one behind them that is not.
class Memory {
 public:
  Memory() {
    void* m = mmap(nullptr, 3 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED || mprotect(m, 2 * kPage, PROT_READ | PROT_WRITE) != 0) fail("no memory");
    base_ = static_cast<char*>(m);
  }
  void clear() {
    std::memset(base_, 0, 2 * kPage);
    used_ = 0;
  }
  // `size` bytes that are there; the later ones reuse the earlier.
  template <class T>
  T* make(size_t size = sizeof(T)) {
    if (used_ + size > 2 * kPage) used_ = 0;
    char* at = base_ + used_;
    used_ += (size + 63) / 64 * 64;
    std::memset(at, 0, size);
    return reinterpret_cast<T*>(at);
  }
  // The address of what was made; now and then another.
  uint64_t address(Input& in, const void* made) {
    const uint8_t kind = in.byte();
    const auto good = reinterpret_cast<uint64_t>(made);
    const auto end = reinterpret_cast<uint64_t>(base_ + 2 * kPage);
    switch (kind) {
      case 0:
        return 0;
      case 1:
        return 16;
      case 2:
        return end;
      case 3:
        return end - in.byte();
      case 4:
        return good + in.byte();
      case 5:
        return in.take<uint64_t>() | uint64_t{1} << 63;  // the kernel's half
      case 6:
        return end - kPage - in.byte();
      case 7:
        return reinterpret_cast<uint64_t>(base_) + in.take<uint16_t>() % (2 * kPage);
      default:
        return good;
    }
  }

 private:
  char* base_;
  size_t used_ = 0;
};

// What a program brings as memory of its own (NETMAP_REQ_OPT_EXTMEM): private pages, then those of a file.
// A registration may map over it, so each run makes it anew.
class Brought {
 public:
  static constexpr size_t kBytes = 4 << 20;
  Brought() : file_(memfd_create("brought", MFD_CLOEXEC)) {
    base_ = static_cast<char*>(mmap(nullptr, 2 * kBytes + kPage, PROT_NONE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (base_ == MAP_FAILED || ftruncate(file_, kBytes) != 0) fail("no memory");
  }
  void renew() {
    map(base_, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    map(base_ + kBytes, MAP_SHARED, file_);
  }
  void option(Input& in, char* body) {
    nmreq_opt_extmem whole{};
    const uint8_t where = in.byte();
    whole.nro_usrptr = reinterpret_cast<uint64_t>(base_ + (where & 1 ? kBytes : 0));
    if (where >= 200) whole.nro_usrptr += in.take<uint16_t>();
    if (where >= 250) whole.nro_usrptr = in.take<uint64_t>() | uint64_t{1} << 63;
    nmreq_pools_info& p = whole.nro_info;
    p.nr_memsize = in.byte() < 200 ? kBytes : in.take<uint32_t>() % (3 * kBytes);
    const uint8_t wishes = in.byte();
    if (wishes & 1) p.nr_if_pool_objtotal = in.take<uint16_t>();
    if (wishes & 2) p.nr_if_pool_objsize = in.take<uint16_t>();
    if (wishes & 4) p.nr_ring_pool_objtotal = in.take<uint16_t>();
    if (wishes & 8) p.nr_ring_pool_objsize = in.take<uint32_t>() % 200'000;
    if (wishes & 16) p.nr_buf_pool_objtotal = in.take<uint32_t>();
    if (wishes & 32) p.nr_buf_pool_objsize = in.take<uint32_t>() % 70'000;
    std::memcpy(body, &whole.nro_usrptr, sizeof whole - sizeof whole.nro_opt);
  }

 private:
  static void map(char* at, int flags, int file) {
    const int both = PROT_READ | PROT_WRITE;
    if (mmap(at, kBytes, both, flags | MAP_FIXED | MAP_NORESERVE, file, 0) == MAP_FAILED)
      fail("no memory");
  }
  int file_;
  char* base_;
};

const char* const kNames[] = {
    "vale0:a",    "vale0:b",
    "vale1:a",    "vale0:a{1",
    "vale0:a}1",  "vale0:a{x",
    "p{1",        "p}1",
    "p",          "q",
    "vale0:p",    "vale1:p",
    "vale1:q",    "",
    "vale",       "vale0:",
    "vale0",      "vale1",
    "vale9:none", "netmap:vale0",
    "a{",         "}2",
    "vale0:a/rt", "vale0:alice",
    "vale1:bob",  "lo-none",
    "vale0:a^",   "vale-x:y",
    "vale0:a{0",  "vale0:a}0",
    "vale0:a-0",  "vale:a",
    "p{1}1",      "vale0:lo-none",
};

class Program {
 public:
  explicit Program(Neighbourhood& street) : street_(street) {}

  void run(Input& in) {
    memory_.clear();
    brought_.renew();
    for (int& fd : files_) fd = open_device(O_CLOEXEC);
    while (!in.empty()) step(in);
    for (int fd : files_) close_file(fd);
  }

 private:
  void step(Input& in) {
    const uint8_t what = in.byte();
    int& fd = files_[what % kFiles];
    switch (what / kFiles % 8) {
      case 0:
      case 1:
      case 2:
        request(in, fd);
        break;
      case 3:
        legacy(in, fd);
        break;
      case 4:
        scribble(in, fd);
        break;
      case 5:
        sync(in, fd);
        break;
      case 6:
        loop(in, fd);
        break;
      default:
        close_file(fd);
        fd = open_device(O_CLOEXEC);
    }
  }

  static void close_file(int fd) {
    Guard table(g_table_lock);
    Object* object = object_of(fd);
    if (object == nullptr) fail("a descriptor was lost");
    remove(fd);
    real().close(fd);
    end_if_unused(object);
  }

  static void expect_errno(int err) {
    if (err < 0 || err > 133) fail("no errno");
  }

  // The neighbours' ports and memory are not its own: those it may hurt.
  void name(Input& in, char* out, size_t size) {
    const uint8_t which = in.byte();
    if (which < 250) {
      std::snprintf(out, size, "%s", kNames[which % std::size(kNames)]);
    } else {
      in.copy(out, size);
    }
    if (std::strncmp(out, "vale1:", 6) == 0 && which % 2 == 1) std::memcpy(out, "vale7:", 6);
    if (std::strncmp(out, "vale7:alice", 11) == 0 || std::strncmp(out, "vale7:bob", 9) == 0)
      out[6] = 'x';
  }
  uint16_t mem_id(Input& in) {
    const uint8_t which = in.byte();
    uint16_t id = which < 200 ? 0 : which < 250 ? last_memory_ : in.take<uint16_t>();
    while (street_.owns_memory(id)) id++;
    return id;
  }

  nmreq_register registration(Input& in) {
    nmreq_register b{};
    const uint16_t small = in.take<uint16_t>();
    b.nr_mode =
        in.byte() < 200 ? (small % 4 == 0 ? NR_REG_ONE_NIC : NR_REG_ALL_NIC) : in.byte() % 10;
    b.nr_ringid = small / 4 % 4;
    b.nr_tx_rings = small / 16 % 4;
    b.nr_rx_rings = small / 64 % 4;
    b.nr_tx_slots = b.nr_rx_slots = kSlots;
    if (small & 1024) b.nr_tx_slots = in.take<uint32_t>() % 5000;
    b.nr_mem_id = mem_id(in);
    b.nr_extra_bufs = small & 2048 ? in.take<uint16_t>() : in.byte() % 8;
    constexpr uint64_t kFlags[] = {
        0,
        NR_EXCLUSIVE,
        NR_MONITOR_RX | NR_MONITOR_TX,
        NR_ZCOPY_MON,
        NR_RX_RINGS_ONLY,
        NR_TX_RINGS_ONLY,
        NR_ACCEPT_VNET_HDR | NR_EXCLUSIVE,
        NR_MONITOR_TX,
    };
    const uint8_t flags = in.byte();
    b.nr_flags = flags < 240 ? kFlags[flags % std::size(kFlags)] : in.take<uint64_t>();
    return b;
  }

  // A chain of up to four; the address of its first.
  uint64_t options(Input& in) {
    const uint8_t count = in.byte();
    if (count < 128) return 0;
    uint64_t first = 0;
    uint64_t* link = &first;
    for (unsigned i = 0; i < count % 5u; i++) {
      const uint8_t kind = in.byte();
      auto* o = memory_.make<nmreq_option>(sizeof(nmreq_option) + 128);
      auto* body = reinterpret_cast<char*>(o + 1);
      o->nro_reqtype = kind < 250 ? kind % NETMAP_REQ_OPT_MAX : in.take<uint32_t>();
      o->nro_size = in.byte() < 200 ? 0 : in.take<uint16_t>();
      switch (o->nro_reqtype) {
        case NETMAP_REQ_OPT_OFFSETS: {
          nmreq_opt_offsets whole{};
          whole.nro_max_offset = in.take<uint16_t>();
          whole.nro_initial_offset = in.byte() < 200 ? in.byte() : in.take<uint64_t>();
          whole.nro_offset_bits = in.byte() % 70;
          std::memcpy(body, reinterpret_cast<char*>(&whole) + sizeof *o, sizeof whole - sizeof *o);
          break;
        }
        case NETMAP_REQ_OPT_CSB: {
          const uint64_t pair[] = {memory_.address(in, blocks_in_),
                                   memory_.address(in, blocks_out_)};
          std::memcpy(body, pair, sizeof pair);
          break;
        }
        case NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS: {
          const unsigned fds = in.byte() % 9;
          o->nro_size = sizeof *o + fds * sizeof(nm_loop_eventfd);
          for (unsigned k = 0; k < fds; k++) {
            const nm_loop_eventfd e{in.byte() < 32 ? -1 : event_, in.byte() < 32 ? 99999 : event_};
            std::memcpy(body + k * sizeof e, &e, sizeof e);
          }
          break;
        }
        case NETMAP_REQ_OPT_EXTMEM:
          brought_.option(in, body);
          break;
        default:
          in.copy(body, 8);
      }
      *link = memory_.address(in, o);
      link = &o->nro_next;
    }
    return first;
  }

  // A request of this type, all of it; its answer.
  int ask(Input& in, int fd, uint16_t type) {
    auto* header = memory_.make<nmreq_header>();
    auto* body = memory_.make<Request::Body>();
    header->nr_version = in.byte() < 250 ? NETMAP_API : in.take<uint16_t>();
    header->nr_reqtype = type;
    header->nr_reserved = in.byte() < 250 ? 0 : 1;
    name(in, header->nr_name, sizeof header->nr_name);
    bool none = false;
    switch (type) {
      case NETMAP_REQ_REGISTER:
      case NETMAP_REQ_VALE_ATTACH:
        body->reg = registration(in);
        break;
      case NETMAP_REQ_PORT_INFO_GET:
        body->info.nr_mem_id = mem_id(in);
        break;
      case NETMAP_REQ_POOLS_INFO_GET:
        body->pools.nr_mem_id = mem_id(in);
        break;
      case NETMAP_REQ_VALE_NEWIF:
        body->newif = {in.take<uint16_t>(), kSlots, in.byte(), in.byte(), mem_id(in), 0};
        break;
      case NETMAP_REQ_PORT_HDR_SET:
        body->hdr.nr_hdr_len = in.byte() < 200 ? in.byte() % 3u * 5 : in.take<uint32_t>();
        break;
      case NETMAP_REQ_VALE_DELIF:
      case NETMAP_REQ_SYNC_KLOOP_STOP:
      case NETMAP_REQ_CSB_ENABLE:
        none = true;
        break;
      default:
        in.copy(body, 16);
    }
    header->nr_body = none ? (in.byte() == 0 ? 16 : 0) : memory_.address(in, body);
    header->nr_options = options(in);
    const int err = control(fd, memory_.address(in, header));
    expect_errno(err);
    if (err == 0 && type == NETMAP_REQ_REGISTER && header->nr_body == address_of(body))
      last_memory_ = body->reg.nr_mem_id;
    return err;
  }

  static uint64_t address_of(const void* at) { return reinterpret_cast<uint64_t>(at); }

  void request(Input& in, int fd) {
    const uint8_t which = in.byte();
    uint16_t type = which < 128   ? uint16_t{NETMAP_REQ_REGISTER}
                    : which < 250 ? static_cast<uint16_t>(which % 17)
                                  : in.take<uint16_t>();
    // A loop ends only when somebody stops it.
    if (type == NETMAP_REQ_SYNC_KLOOP_START) type = NETMAP_REQ_CSB_ENABLE;
    ask(in, fd, type);
  }

  void legacy(Input& in, int fd) {
    auto* q = memory_.make<nmreq>();
    char text[64];
    name(in, text, sizeof text);
    std::memcpy(q->nr_name, text, sizeof q->nr_name);
    q->nr_version = in.byte() < 250 ? NETMAP_API : in.take<uint32_t>();
    q->nr_tx_slots = q->nr_rx_slots = in.byte() < 200 ? kSlots : in.take<uint32_t>();
    q->nr_tx_rings = in.byte() % 4;
    q->nr_rx_rings = in.byte() % 4;
    q->nr_ringid = in.byte() < 128 ? 0 : in.take<uint16_t>();
    q->nr_cmd = in.byte() < 128 ? 0 : in.byte() % 14;
    q->nr_arg1 = in.byte();
    q->nr_arg2 = q->nr_cmd == NETMAP_BDG_LIST ? in.byte() : mem_id(in);
    q->nr_arg3 = in.byte();
    q->nr_flags = in.byte() < 128 ? in.byte() % 10u : in.take<uint32_t>();
    expect_errno(legacy_control(fd, in.byte() < 128, memory_.address(in, q)));
  }

  // Anything, where a program that mapped the region can write: rings, slots, buffers, its netmap_if.
  void scribble(Input& in, int fd) {
    Use use(fd);
    Port* port = use.port();
    if (port == nullptr) return;
    const uint8_t how = in.byte();
    const bool tx = how & 1;
    const unsigned first = tx ? port->first_tx() : port->first_rx();
    const unsigned count = (tx ? port->last_tx() : port->last_rx()) - first;
    if (how >= 250) port->nifp()->ni_bufs_head = in.take<uint32_t>();
    if (count == 0) return;
    const unsigned which = first + how / 2 % count;
    const RingView& view = tx ? port->tx_view(which) : port->rx_view(which);
    netmap_ring* ring = view.ring();
    const uint32_t slots = view.slots();
    switch (how / 16 % 8) {
      case 0:
        ring->head = ring->cur = in.byte() % (slots + 2);
        break;
      case 1:
        ring->head = in.take<uint32_t>();
        break;
      case 2:
        ring->cur = in.take<uint32_t>();
        ring->tail = in.take<uint16_t>();
        break;
      case 3:  // the fields that are const for programs
        in.copy(reinterpret_cast<char*>(ring) + in.byte() % 32 * 8, 8);
        break;
      case 4:
        ring->flags = in.take<uint32_t>();
        break;
      default: {
        netmap_slot& slot = view.at(in.byte() % slots);
        const uint8_t what = in.byte();
        if (what & 1) slot.buf_idx = what & 0x80 ? in.take<uint32_t>() : in.byte();
        if (what & 2) slot.len = in.take<uint16_t>();
        if (what & 4) slot.flags = in.take<uint16_t>();
        if (what & 8) slot.ptr = memory_.address(in, ring);
        if (what & 16) {
          char* frame = view.buffer(slot.buf_idx);
          std::memcpy(frame, what & 32 ? kBob : kAlice, 6);
          in.copy(frame + 6, 16);
        }
      }
    }
  }

  void sync(Input& in, int fd) {
    const uint8_t how = in.byte();
    Watch watch{fd, static_cast<short>(how & 2 ? POLLIN | POLLOUT : POLLIN)};
    {
      Use use(fd);
      if (use.port() != nullptr && how & 4 && !use.port()->loop_enabled()) {
        how & 8 ? use.port()->txsync() : use.port()->rxsync();
      }
    }
    look_at(watch);
  }

  // Starts a loop, lets its blocks change under it, stops it.
  void loop(Input& in, int fd) {
    uint8_t bytes[64];
    in.copy(bytes, sizeof bytes);
    std::thread runner([&] {
      Input own(bytes, sizeof bytes);
      ask(own, fd, NETMAP_REQ_SYNC_KLOOP_START);
    });
    for (unsigned i = 0; i < 4; i++) {
      blocks_in_[in.byte() % kBlocks].head =
          in.byte() < 128 ? in.byte() % kSlots : in.take<uint32_t>();
      blocks_in_[in.byte() % kBlocks].cur = in.byte() % kSlots;
    }
    auto* stop = other_.make<nmreq_header>();
    stop->nr_version = NETMAP_API;
    stop->nr_reqtype = NETMAP_REQ_SYNC_KLOOP_STOP;
    expect_errno(control(fd, address_of(stop)));
    runner.join();
  }

  static constexpr unsigned kBlocks = 64;

  Neighbourhood& street_;
  Memory memory_, other_;
  Brought brought_;
  int files_[kFiles];
  uint16_t last_memory_ = 0;
  const int event_ = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  alignas(64) nm_csb_atok blocks_in_[kBlocks] = {};
  alignas(64) nm_csb_ktoa blocks_out_[kBlocks] = {};
};

// Persistent ports outlive the descriptors: those go by request.
void remove_ports(Device& device) {
  std::vector<PortRow> rows;
  for (unsigned round = 0; round < 2; round++) {
    if (!device.list(&rows).ok()) fail("no list");
    for (const PortRow& row : rows) {
      uint32_t index;
      if (row.persistent && row.attached) device.detach(row.name, &index);
      if (row.persistent && !row.attached) device.remove(row.name);
    }
  }
  if (!device.list(&rows).ok()) fail("no list");
  for (const PortRow& row : rows) {
    if (row.name != "vale7:alice" && row.name != "vale7:bob") {
      std::fprintf(stderr, "%s, %s, open %u times\n", row.name.c_str(), row.kind,
                   row.registrations);
      fail("a port was left");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static OwnDirectory directory;
  static Neighbourhood street(directory.path(), "vale7");
  static Program program(street);
  Input in(bytes, size);
  const uint8_t seed = in.byte();
  program.run(in);
  street.exchange(seed);
  static unsigned runs;
  if (runs++ % 8 != 0) return 0;
  remove_ports(street.device());
  street.check_account();
  return 0;
}
