// SPDX-License-Identifier: BSD-2-Clause
#include "preload/sync_loop.h"

#include <fcntl.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <optional>

#include "preload/real.h"
#include "preload/user_memory.h"

namespace vale::preload {
namespace {

constexpr uint32_t kLongestSleep = 1'000'000;  // us

int blame(Option& o, int err) {
  o.header.nro_status = static_cast<uint32_t>(err);
  return err;
}

unsigned rings_of(const Port& p) { return p.last_tx() - p.first_tx() + p.last_rx() - p.first_rx(); }

netmap_ring* ring_of(const Port& p, unsigned i) {
  const unsigned tx = p.last_tx() - p.first_tx();
  return i < tx ? p.tx_ring(p.first_tx() + i) : p.rx_ring(p.first_rx() + i - tx);
}

// The program's two words of a block, head after cur was written by it.
template <class T>
T read_word(const T& word) {
  return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
}

// One loop: what it serves and what it saw last.
class Loop {
 public:
  Loop(DeviceFile& file, uint32_t sleep_us, bool events, std::vector<nm_loop_eventfd> fds)
      : file_(file),
        opened_(file.opened),
        atok_(file.blocks_in),
        ktoa_(file.blocks_out),
        sleep_us_(sleep_us),
        events_(events),
        fds_(std::move(fds)),
        heads_(rings_of(*file.port()), ~0u) {
    kicks(false);
  }

  // Until somebody stops it or closes the port.
  int run() {
    for (;;) {
      bool moved = false;
      {
        Guard guard(file_.lock);
        if (!present()) return 0;
        if (file_.port()->loop_stopping()) break;
        if (const int err = turn(*file_.port(), &moved)) {
          file_.port()->loop_end();
          file_.looping = false;
          return err;
        }
      }
      if (!moved) sleep();
    }
    Guard guard(file_.lock);
    if (present()) {
      file_.port()->loop_end();
      file_.looping = false;
    }
    return 0;
  }

 private:
  bool present() const { return file_.opened == opened_ && file_.port() != nullptr; }

  int turn(Port& p, bool* moved) {
    const unsigned rings = rings_of(p);
    for (unsigned i = 0; i < rings; i++) {
      netmap_ring* r = ring_of(p, i);
      const uint32_t head = read_word(atok_[i].head), cur = read_word(atok_[i].cur);
      *moved |= heads_[i] != head;
      heads_[i] = head;
      r->cur = cur;
      __atomic_store_n(&r->head, head, __ATOMIC_RELEASE);
    }
    if (const int err = p.txsync()) return err;
    if (const int err = p.rxsync(); err != 0 && err != EPIPE) return err;
    for (unsigned i = 0; i < rings; i++) {
      const netmap_ring* r = ring_of(p, i);
      const uint32_t tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
      const bool news = tail != ktoa_[i].hwtail;
      __atomic_store_n(&ktoa_[i].hwcur, r->head, __ATOMIC_RELEASE);
      __atomic_store_n(&ktoa_[i].hwtail, tail, __ATOMIC_RELEASE);
      *moved |= news;
      if (!news) continue;
      std::atomic_thread_fence(std::memory_order_seq_cst);
      if (i < fds_.size() && fds_[i].irqfd >= 0 && read_word(atok_[i].appl_need_kick) != 0) {
        const uint64_t one = 1;
        if (real().write(fds_[i].irqfd, &one, sizeof one) < 0) continue;  // full: rung already
      }
    }
    return 0;
  }

  void kicks(bool wanted) {
    const unsigned rings = rings_of(*file_.port());
    for (unsigned i = 0; i < rings; i++)
      __atomic_store_n(&ktoa_[i].kern_need_kick, wanted ? 1u : 0u, __ATOMIC_RELAXED);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }

  bool anything_new() {
    Port& p = *file_.port();
    const unsigned rings = rings_of(p);
    for (unsigned i = 0; i < rings; i++) {
      if (read_word(atok_[i].head) != heads_[i]) return true;
    }
    bool moved = false;
    return turn(p, &moved) != 0 || moved || p.loop_stopping();
  }

  void sleep() {
    if (!events_ && sleep_us_ == 0) {
      sched_yield();
      return;
    }
    std::vector<pollfd> polled;
    {
      Guard guard(file_.lock);
      if (!present()) return;
      Port& p = *file_.port();
      if (events_) {
        p.arm(POLLIN | POLLOUT);
        kicks(true);
        if (anything_new()) {
          p.disarm();
          kicks(false);
          return;
        }
      }
      polled.push_back({p.fd(), POLLIN, 0});
      for (const nm_loop_eventfd& e : fds_)
        polled.push_back({events_ ? e.ioeventfd : -1, POLLIN, 0});
    }
    // A second at most, in case whoever had to ring was killed before.
    const uint32_t us = events_ ? kLongestSleep : sleep_us_;
    const timespec ts{us / 1'000'000, us % 1'000'000 * 1000L};
    real().ppoll(polled.data(), polled.size(), &ts, nullptr);
    for (size_t i = 1; i < polled.size(); i++) {
      uint64_t count;
      if ((polled[i].revents & POLLIN) && real().read(polled[i].fd, &count, sizeof count) < 0)
        continue;
    }
    Guard guard(file_.lock);
    if (!present()) return;
    file_.port()->disarm();
    if (events_) kicks(false);
  }

  DeviceFile& file_;
  const uint64_t opened_;
  nm_csb_atok* const atok_;
  nm_csb_ktoa* const ktoa_;
  const uint32_t sleep_us_;
  const bool events_;  // somebody kicks
  const std::vector<nm_loop_eventfd> fds_;
  std::vector<uint32_t> heads_;  // what the program's blocks said last
};

// What the options of a start ask for.
int read_options(std::vector<Option>& options, unsigned rings, std::vector<nm_loop_eventfd>* fds,
                 bool* events) {
  uint32_t mode = 0;
  Option* const wish = find_option(options, NETMAP_REQ_OPT_SYNC_KLOOP_MODE);
  if (wish != nullptr) {
    mode = wish->as<nmreq_opt_sync_kloop_mode>().mode;
    if (mode & ~uint32_t{NM_OPT_SYNC_KLOOP_DIRECT_TX | NM_OPT_SYNC_KLOOP_DIRECT_RX})
      return blame(*wish, EINVAL);
    wish->header.nro_status = 0;
  }
  bool sleeps = true;
  if (Option* o = find_option(options, NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS)) {
    if (o->header.nro_size != sizeof o->header + rings * sizeof(nm_loop_eventfd))
      return blame(*o, EINVAL);
    fds->resize(rings);
    std::memcpy(fds->data(), o->body.data(), o->body.size());
    sleeps = false;
    for (const nm_loop_eventfd& e : *fds) {
      sleeps |= e.ioeventfd < 0;
      for (const int fd : {e.ioeventfd, e.irqfd}) {
        if (fd >= 0 && real().fcntl(fd, F_GETFD) < 0) return blame(*o, EBADF);
      }
    }
    o->header.nro_status = 0;
  }
  // In the direct modes the reference serves a ring in whoever kicks it. Here that is a hint: the loop
  // serves it at once, and there must be somebody who kicks.
  if (sleeps && mode != 0) return blame(*wish, EINVAL);
  *events = !sleeps;
  return 0;
}

}  // namespace

int enable_blocks(DeviceFile& file, Option& option) {
  Port* p = file.port();
  const unsigned rings = p != nullptr ? rings_of(*p) : 0;
  if (p != nullptr && p->loop_running()) return blame(option, EBUSY);
  if (rings == 0) return blame(option, 0);
  if ((p->flags() & NR_EXCLUSIVE) == 0) return blame(option, EINVAL);
  const auto o = option.as<nmreq_opt_csb>();
  if (o.csb_atok % 64 != 0 || o.csb_ktoa % 64 != 0) return blame(option, EINVAL);
  std::vector<nm_csb_atok> atok(rings);
  std::vector<nm_csb_ktoa> ktoa(rings);
  if (!copy_in(atok.data(), o.csb_atok, rings * sizeof atok[0]) ||
      !copy_in(ktoa.data(), o.csb_ktoa, rings * sizeof ktoa[0]))
    return blame(option, EFAULT);
  for (unsigned i = 0; i < rings; i++) {
    const netmap_ring* r = ring_of(*p, i);
    atok[i] = {r->head, r->cur, 1, 1, {}};
    ktoa[i] = {r->head, r->tail, 1, {}};
  }
  if (!copy_out(o.csb_atok, atok.data(), rings * sizeof atok[0]) ||
      !copy_out(o.csb_ktoa, ktoa.data(), rings * sizeof ktoa[0]))
    return blame(option, EFAULT);
  file.blocks_in = reinterpret_cast<nm_csb_atok*>(o.csb_atok);
  file.blocks_out = reinterpret_cast<nm_csb_ktoa*>(o.csb_ktoa);
  p->loop_enable();
  return blame(option, 0);
}

int enable_blocks(Request& r) {
  Option* o = r.option(NETMAP_REQ_OPT_CSB);
  return o == nullptr ? EINVAL : enable_blocks(r.file, *o);
}

int run_loop(int fd, const nmreq_sync_kloop_start& body, std::vector<Option>& options) {
  if (body.sleep_us > kLongestSleep) return EINVAL;
  std::optional<Loop> loop;
  {
    Use use(fd);
    DeviceFile* file = use.file();
    Port* p = use.port();
    if (p == nullptr) return ENXIO;
    // Enabled elsewhere, the addresses mean nothing here.
    if (!p->loop_enabled() || file->blocks_in == nullptr) return EINVAL;
    if (p->loop_running()) return EBUSY;
    std::vector<nm_loop_eventfd> fds;
    bool events;
    if (const int err = read_options(options, rings_of(*p), &fds, &events)) return err;
    if (!p->loop_begin()) return EBUSY;
    file->looping = true;
    loop.emplace(*file, body.sleep_us, events, std::move(fds));
  }
  return loop->run();
}

int stop_loop(int fd) {
  for (bool asked = false;; asked = true) {
    {
      Use use(fd);
      Port* p = use.port();
      if (p == nullptr) return asked ? 0 : ENXIO;
      if (!asked) p->loop_stop();
      if (!p->loop_running()) return 0;
    }
    const timespec ms{0, 1'000'000};
    nanosleep(&ms, nullptr);
  }
}

}  // namespace vale::preload
