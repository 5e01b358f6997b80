// SPDX-License-Identifier: BSD-2-Clause
#include "preload/pcap/handle.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "preload/pcap/calls_packet.h"
#include "preload/pcap/device_name.h"
#include "preload/pcap/inject.h"
#include "preload/pcap/library.h"
#include "preload/real.h"
#include "preload/sleep.h"

namespace vale::preload {
namespace {

constexpr unsigned kHandles = 256;
std::atomic<Handle*> g_handles[kHandles];
std::atomic<unsigned> g_open_handles{0};

constexpr int kDirectionIn = 1, kDirectionOut = 2;

}  // namespace

Handle* handle_of(void* p) {
  if (g_open_handles.load(std::memory_order_acquire) == 0) return nullptr;
  for (const auto& slot : g_handles) {
    if (slot.load(std::memory_order_acquire) == p) return static_cast<Handle*>(p);
  }
  return nullptr;
}

Handle* make_handle(const char* device) {
  auto* handle = new (std::nothrow) Handle(device);
  for (auto& slot : g_handles) {
    Handle* none = nullptr;
    if (handle == nullptr || !slot.compare_exchange_strong(none, handle)) continue;
    g_open_handles.fetch_add(1, std::memory_order_release);
    return handle;
  }
  delete handle;
  return nullptr;
}

void drop_handle(Handle* handle) {
  for (auto& slot : g_handles) {
    Handle* self = handle;
    if (!slot.compare_exchange_strong(self, nullptr)) continue;
    g_open_handles.fetch_sub(1, std::memory_order_release);
  }
  delete handle;
}

bool is_our_device(const char* name) {
  if (name == nullptr) return false;
  if (std::strncmp(name, "netmap:", 7) == 0) return true;
  if (std::strncmp(name, "vale", 4) == 0 && std::strchr(name, ':') != nullptr) return true;
  // An interface of the system comes first; "any" and "lo" are asked for most.
  if (std::strcmp(name, "any") == 0 || real().if_nametoindex(name) != 0) return false;
  if (std::strncmp(name, "vale", 4) == 0 || is_persistent_port(name)) return true;
  // A number in the list of interfaces: programs look there once they hear that nothing has that name, which libpcap
  // says to the privileged only.
  return name[0] != '\0' && name[std::strspn(name, "0123456789")] == '\0';
}

Handle::~Handle() {
  if (fd_ >= 0 && object_of(fd_) == file_) {
    Guard table(g_table_lock);
    remove(fd_);
    real().close(fd_);
    end_if_unused(file_);
  }
  if (bell_ >= 0) {
    unmark_internal(bell_);
    real().close(bell_);
  }
  if (dead_ != nullptr) {
    if (auto* close = reinterpret_cast<void (*)(void*)>(next_pcap("pcap_close"))) close(dead_);
  }
}

int Handle::fail(int code, const char* text) {
  std::snprintf(error, sizeof error, "%.250s", text);
  return code;
}

int Handle::activate() {
  if (active()) return fail(kPcapActivated, "the device is active already");
  OpenRequest request;
  std::string wrong;
  if (!parse_device(device_, &request, &wrong)) return fail(kPcapNoDevice, wrong.c_str());
  const int fd = open_device(0);
  if (fd < 0) return fail(errno == EACCES ? kPcapDenied : kPcapError, strerror(errno));
  Guard table(g_table_lock);
  auto* file = static_cast<DeviceFile*>(object_of(fd));
  int err;
  PortInfo info;
  {
    Guard guard(file->lock);
    err = file->do_register(request, &info);
    port_ = file->port();
  }
  if (err != 0) {
    remove(fd);
    real().close(fd);
    end_if_unused(file);
    const int code = err == EACCES || err == EPERM   ? kPcapDenied
                     : err == ENXIO || err == ENODEV ? kPcapNoDevice
                                                     : kPcapError;
    return fail(code, file->why.empty() ? strerror(err) : file->why.c_str());
  }
  real().fcntl(fd, F_SETFD, FD_CLOEXEC);
  bell_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  mark_internal(bell_);
  if (snaplen <= 0 || snaplen > 262144) snaplen = 262144;
  file_ = file;
  drops_before_ = destination_drops(port_->counters());
  ahead_.resize(port_->last_rx() - port_->first_rx());
  slots_ = 0;
  for (unsigned i = port_->first_rx(); i < port_->last_rx(); i++)
    slots_ += port_->rx_view(i).slots();
  give_back_ = std::max(1u, slots_ / 4);
  fd_ = fd;
  send_through(device_.c_str(), fd);
  return 0;
}

void* Handle::dead() {
  using Open = void* (*)(int, int, unsigned);
  if (dead_ == nullptr) {
    auto* open = reinterpret_cast<Open>(next_pcap("pcap_open_dead_with_tstamp_precision"));
    if (open != nullptr) dead_ = open(kEthernet, snaplen, static_cast<unsigned>(nanoseconds));
  }
  return dead_;
}

// The program may have closed the descriptor behind our back.
bool Handle::check() {
  if (!active()) return fail(kPcapError, "the device is not active"), false;
  if (object_of(fd_) != file_) return fail(kPcapError, "its descriptor was closed"), false;
  return true;
}

// What was shown is the switch's again.
void Handle::release() {
  for (unsigned i = port_->first_rx(); i < port_->last_rx(); i++) {
    netmap_ring* ring = port_->rx_ring(i);
    ring->head = ring->cur;
  }
}

bool Handle::sync() {
  Use use(fd_);
  if (use.port() != port_) return fail(kPcapError, "its descriptor was closed"), false;
  if (const int err = port_->rxsync()) return fail(kPcapError, strerror(err)), false;
  clock_gettime(CLOCK_REALTIME, &now_);
  return true;
}

// One frame from cur on, over all rings in turn; cur moves, head does not.
bool Handle::take(Frame* out) {
  const unsigned first = port_->first_rx(), count = port_->last_rx() - first;
  for (unsigned tried = 0; tried < count; tried++, ring_++) {
    const RingView& ring = port_->rx_view(first + ring_ % count);
    const uint32_t tail = ring.tail();
    uint32_t at = ring.cur();
    if (at == tail) continue;
    ahead_[ring_ % count].look(ring, at, tail);
    netmap_slot slot = ring.slot(at);
    out->data = reinterpret_cast<const uint8_t*>(ring.buffer(slot.buf_idx));
    out->length = slot.len;
    out->sent = (slot.flags & NS_TXMON) != 0;
    at = ring.after(at);
    if (slot.flags & NS_MOREFRAG) {
      whole_.assign(out->data, out->data + slot.len);
      for (bool more = true; more && at != tail; at = ring.after(at)) {
        slot = ring.slot(at);
        const char* part = ring.buffer(slot.buf_idx);
        whole_.insert(whole_.end(), part, part + slot.len);
        more = (slot.flags & NS_MOREFRAG) != 0;
      }
      out->data = whole_.data();
      out->length = static_cast<uint32_t>(whole_.size());
    }
    ring.ring()->cur = at;
    return true;
  }
  return false;
}

bool Handle::wanted(const Frame& frame, PcapHeader* header) {
  if (frame.length == 0 || (direction == kDirectionIn && frame.sent) ||
      (direction == kDirectionOut && !frame.sent))
    return false;
  const uint32_t keep = filter.run(frame.data, frame.length, frame.length);
  if (keep == 0) return false;
  header->len = frame.length;
  header->caplen = std::min({frame.length, keep, static_cast<uint32_t>(snaplen)});
  header->ts.tv_sec = now_.tv_sec;
  header->ts.tv_usec = nanoseconds ? now_.tv_nsec : now_.tv_nsec / 1000;
  received_++;
  return true;
}

// How long a call has gone on, where the filter refuses all that comes.
class Handle::Patience {
 public:
  bool over(const Handle& h) {
    const int64_t now = to_ns(h.now_);
    if (began_ == 0) began_ = now;
    return h.timeout_ms > 0 && now - began_ >= h.timeout_ms * int64_t{1'000'000};
  }

 private:
  int64_t began_ = 0;
};

// 1: there may be frames; 0: the timeout passed; or an error.
int Handle::wait_for_frames() {
  Watch watch{fd_, POLLIN};
  pollfd bell{bell_, POLLIN, 0};
  const int64_t ns = timeout_ms > 0 ? timeout_ms * int64_t{1'000'000} : -1;
  // A handler that ends the loop rings.
  const int got = wait_for(&watch, 1, &bell, 1, ns, nullptr, false);
  if (got < 0) {
    if (errno == EINTR) return 1;
    return fail(kPcapError, strerror(errno));
  }
  if (watch.revents & (POLLERR | POLLNVAL)) return fail(kPcapError, "the port is gone");
  if (bell.revents & POLLIN) {
    uint64_t count;
    [[maybe_unused]] const ssize_t n = real().read(bell_, &count, sizeof count);
  }
  return got > 0;
}

int Handle::read(int most, bool wait, PcapCallback callback, unsigned char* user) {
  if (!check()) return active() ? kPcapError : kPcapNotActivated;
  int shown = 0;
  Patience patience;
  for (;;) {
    if (broken_.exchange(false)) return kPcapBreak;
    release();
    if (!sync()) return kPcapError;
    Frame frame;
    unsigned taken = 0;
    // No more than a ring holds: a call ends while frames come faster than they are looked at.
    while ((most < 1 || shown < most) && taken < slots_ &&
           !broken_.load(std::memory_order_relaxed) && take(&frame)) {
      PcapHeader header;
      if (wanted(frame, &header)) {
        shown++;
        callback(user, &header, frame.data);
        // The callback may have closed us only by breaking its contract; ended ports are seen here.
        if (object_of(fd_) != file_) return fail(kPcapError, "its descriptor was closed");
      }
      if (++taken % give_back_ != 0) continue;
      release();
      if (!sync()) return kPcapError;
    }
    if (broken_.load(std::memory_order_relaxed)) {
      if (shown != 0) return shown;
      continue;
    }
    if (shown != 0) {
      release();
      return shown;
    }
    if (!wait || nonblock || patience.over(*this)) return 0;
    if (taken != 0) continue;
    const int there = wait_for_frames();
    if (there <= 0) return there;
  }
}

int Handle::next(PcapHeader** header, const unsigned char** data) {
  if (!check()) return active() ? kPcapError : kPcapNotActivated;
  Patience patience;
  for (unsigned refused = 0;;) {
    if (broken_.exchange(false)) return kPcapBreak;
    Frame frame;
    release();
    // Frames are shown one a call: a sync is due only now and then.
    if (++calls_ % give_back_ == 0 && !sync()) return kPcapError;
    if (!take(&frame)) {
      if (!sync()) return kPcapError;
      if (!take(&frame)) {
        if (nonblock) return 0;
        const int there = wait_for_frames();
        if (there <= 0) return there;
        continue;
      }
    }
    if (!wanted(frame, &header_)) {
      if (patience.over(*this) || (nonblock && ++refused >= slots_)) return 0;
      continue;
    }
    *header = &header_;
    *data = frame.data;
    return 1;
  }
}

int Handle::inject(const void* frame, size_t size) {
  if (!check()) return kPcapError;
  Use use(fd_);
  if (use.port() != port_) return fail(kPcapError, "its descriptor was closed");
  if (const int err = vale::preload::inject(*port_, frame, size)) {
    errno = err;
    return fail(kPcapError, strerror(err));
  }
  return static_cast<int>(size);
}

int Handle::stats(PcapStat* out) {
  if (!check()) return kPcapError;
  out->received = static_cast<unsigned>(received_);
  out->dropped = static_cast<unsigned>(destination_drops(port_->counters()) - drops_before_);
  out->dropped_by_interface = 0;
  return 0;
}

void Handle::break_loop() {
  broken_.store(true);
  const uint64_t one = 1;
  if (bell_ >= 0) {
    [[maybe_unused]] const ssize_t n = real().write(bell_, &one, sizeof one);
  }
}

}  // namespace vale::preload
