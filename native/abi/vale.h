/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports of VALE switches for new programs in C, in five functions. Everything here is netmap's API
 * (netmap_control.h, netmap.h) and may be mixed with it: vale_port's fd is a descriptor of /dev/netmap,
 * its rings are netmap's. Link with what `pkg-config --libs vale` says; then /dev/netmap is there.
 *
 * Functions return 0 or an errno, unless said otherwise. One thread at a time for a port.
 */
#ifndef VALE_H
#define VALE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "netmap_control.h"

struct vale_port {
  int fd; /* for poll(2), select(2), epoll(7): readable when there are frames */
  char* memory;
  size_t size; /* bytes mapped */
  struct netmap_if* nifp;
};

static inline void vale_close(struct vale_port* port) {
  if (port->memory != NULL) munmap(port->memory, port->size);
  if (port->fd >= 0) close(port->fd);
  port->memory = NULL;
  port->fd = -1;
}

/*
 * Opens "vale0:a", making it if it is not there; flags are netmap's: 0, NR_EXCLUSIVE,
 * NR_MONITOR_RX | NR_MONITOR_TX to watch somebody else's, … All of its rings. EPROTO, EACCES: the runtime
 * directory cannot be used; set VALE_DEBUG=1 for a line that says why.
 */
static inline int vale_open(struct vale_port* port, const char* name, uint64_t flags) {
  struct nmreq_register request;
  struct nmreq_header header;
  memset(port, 0, sizeof *port);
  memset(&request, 0, sizeof request);
  memset(&header, 0, sizeof header);
  header.nr_version = NETMAP_API;
  header.nr_reqtype = NETMAP_REQ_REGISTER;
  header.nr_body = (uintptr_t)&request;
  request.nr_mode = NR_REG_ALL_NIC;
  request.nr_flags = flags;
  if (strlen(name) >= sizeof header.nr_name) return port->fd = -1, ENAMETOOLONG;
  memcpy(header.nr_name, name, strlen(name));
  port->fd = open("/dev/netmap", O_RDWR | O_CLOEXEC);
  if (port->fd < 0) return errno;
  void* memory = MAP_FAILED;
  if (ioctl(port->fd, NIOCCTRL, &header) == 0)
    memory = mmap(NULL, request.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, port->fd, 0);
  if (memory == MAP_FAILED) {
    const int err = errno;
    vale_close(port);
    return err;
  }
  port->memory = (char*)memory;
  port->size = request.nr_memsize;
  port->nifp = NETMAP_IF(port->memory, request.nr_offset);
  return 0;
}

static inline uint32_t vale_next(const struct netmap_ring* ring, uint32_t at) {
  return at + 1 == ring->num_slots ? 0 : at + 1;
}

/*
 * Sends one frame, without FCS, on the first ring; what is read of it is copied. EMSGSIZE: it takes
 * more than 64 slots; EAGAIN: there is no room (in a pipe), poll for POLLOUT.
 */
static inline int vale_send(struct vale_port* port, const void* frame, size_t size) {
  struct netmap_ring* ring = NETMAP_TXRING(port->nifp, 0);
  const char* from = (const char*)frame;
  const size_t most = ring->nr_buf_size, slots = size == 0 ? 1 : (size + most - 1) / most;
  uint32_t at = ring->head;
  if (slots > NETMAP_MAX_FRAGS) return EMSGSIZE;
  if ((ring->tail + ring->num_slots - at) % ring->num_slots < slots) return EAGAIN;
  for (size_t i = 0; i < slots; i++, at = vale_next(ring, at)) {
    struct netmap_slot* slot = &ring->slot[at];
    const size_t n = size - i * most < most ? size - i * most : most;
    memcpy(NETMAP_BUF(ring, slot->buf_idx), from + i * most, n);
    slot->len = (uint16_t)n;
    slot->flags = i + 1 < slots ? NS_MOREFRAG : 0;
  }
  ring->head = ring->cur = at;
  return ioctl(port->fd, NIOCTXSYNC, NULL) == 0 ? 0 : errno;
}

/*
 * The next frame of any ring, copied to `to`: its bytes, of which at most `room` are there; 0 = none
 * has come.
 */
static inline size_t vale_receive(struct vale_port* port, void* to, size_t room) {
  for (int looks = 0; looks < 2; looks++) {
    if (looks == 1) ioctl(port->fd, NIOCRXSYNC, NULL);
    for (uint32_t i = 0; i < port->nifp->ni_rx_rings; i++) {
      struct netmap_ring* ring = NETMAP_RXRING(port->nifp, i);
      uint32_t at = ring->head;
      size_t bytes = 0;
      if (at == ring->tail) continue;
      for (uint16_t more = NS_MOREFRAG; more != 0 && at != ring->tail; at = vale_next(ring, at)) {
        const struct netmap_slot* slot = &ring->slot[at];
        if (bytes < room)
          memcpy((char*)to + bytes, NETMAP_BUF(ring, slot->buf_idx),
                 slot->len < room - bytes ? slot->len : room - bytes);
        bytes += slot->len;
        more = slot->flags & NS_MOREFRAG;
      }
      ring->head = ring->cur = at;
      return bytes;
    }
  }
  return 0;
}

/* Until frames have come: 1; 0 after `ms` (-1: no limit); -1 and errno: a signal, or the port is gone. */
static inline int vale_wait(struct vale_port* port, int ms) {
  struct pollfd one = {port->fd, POLLIN, 0};
  const int found = poll(&one, 1, ms);
  if (found > 0 && (one.revents & POLLIN) == 0) return errno = ENODEV, -1;
  return found;
}

#endif
