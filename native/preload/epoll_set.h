// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. An epoll descriptor with descriptors of ours in it:
//   1. epoll_ctl(ADD) of one of ours makes an EpollSet for that epoll descriptor; the kernel's never
//      hears of the member, whose FIFO means something else than ready.
//   2. epoll_wait() waits for the members and, in one sleep, for the kernel's epoll descriptor.
//   3. poll() on such an epoll descriptor waits for its members too.
//
// Owns. The members, under `lock`.
// Invariants. A member whose number was closed or reused is dropped when it is next looked at.
// Not here. Epoll descriptors inside other epoll descriptors: those see the kernel's part only.
#pragma once

#include <sys/epoll.h>

#include "preload/sleep.h"
#include "preload/table.h"

namespace vale::preload {

class EpollSet final : public Object {
 public:
  EpollSet() : Object(Kind::epoll) {}
  void ended() override;

  // epoll_ctl(2) for a descriptor of ours: 0 or an errno.
  int change(int operation, int fd, const epoll_event* event);
  // What to wait for; Watch::tag is the index of the member.
  std::vector<Watch> watches();
  // Gives edge-triggered ones what they reported last, in `seen`, which must outlive the wait.
  void edges(std::vector<Watch>& watches, std::vector<uint64_t>& seen);
  // Turns what wait_for() found into events, at most `room`.
  int collect(const std::vector<Watch>& found, epoll_event* out, int room);

 private:
  struct Member {
    int fd;
    Object* object;
    uint32_t events;
    epoll_data_t data;
    uint64_t seen;  // edge-triggered
    bool spent;     // one-shot
  };
  std::vector<Member> members_;
};

}  // namespace vale::preload
