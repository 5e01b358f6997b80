/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small netmap client: what a program does that was written for /dev/netmap, and how the tests count.
 */
#ifndef CLIENT_H
#define CLIENT_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netmap_control.h"

static int passed, failed;

#define CHECK(cond, ...)                           \
  do {                                             \
    if (cond) {                                    \
      passed++;                                    \
    } else {                                       \
      failed++;                                    \
      printf("not ok %s:%d ", __FILE__, __LINE__); \
      printf(__VA_ARGS__);                         \
      printf("\n");                                \
    }                                              \
  } while (0)

#define EQUAL(got, want, ...)                                           \
  do {                                                                  \
    const long long got_ = (long long)(got), want_ = (long long)(want); \
    if (got_ == want_) {                                                \
      passed++;                                                         \
    } else {                                                            \
      failed++;                                                         \
      printf("not ok %s:%d ", __FILE__, __LINE__);                      \
      printf(__VA_ARGS__);                                              \
      printf(": expected %lld, got %lld\n", want_, got_);               \
    }                                                                   \
  } while (0)

static inline int finish(void) {
  printf("%d passed, %d failed, 0 skipped\n", passed, failed);
  return failed != 0;
}

/* One port of ours. */
struct client {
  int fd;
  struct nmreq_register reg;
  char* mem;
  struct netmap_if* nifp;
};

static inline int device(void) { return open("/dev/netmap", O_RDWR); }

/* 0 or the errno. */
static inline int control(int fd, uint16_t type, const char* name, void* body) {
  struct nmreq_header h;
  memset(&h, 0, sizeof h);
  h.nr_version = NETMAP_API;
  h.nr_reqtype = type;
  snprintf(h.nr_name, sizeof h.nr_name, "%s", name);
  h.nr_body = (uintptr_t)body;
  return ioctl(fd, NIOCCTRL, &h) == 0 ? 0 : errno;
}

static inline int map(struct client* c) {
  c->mem = mmap(NULL, c->reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
  if (c->mem == MAP_FAILED) return errno;
  c->nifp = NETMAP_IF(c->mem, c->reg.nr_offset);
  return 0;
}

/* c->reg holds the wishes, `option` begins a list of options. 0 or the errno. */
static inline int open_with(struct client* c, const char* name, void* option) {
  struct nmreq_header h;
  memset(&h, 0, sizeof h);
  h.nr_version = NETMAP_API;
  h.nr_reqtype = NETMAP_REQ_REGISTER;
  snprintf(h.nr_name, sizeof h.nr_name, "%s", name);
  h.nr_body = (uintptr_t)&c->reg;
  h.nr_options = (uintptr_t)option;
  if (c->reg.nr_mode == 0) c->reg.nr_mode = NR_REG_ALL_NIC;
  c->mem = NULL;
  c->fd = device();
  if (c->fd < 0) return errno;
  int err = ioctl(c->fd, NIOCCTRL, &h) == 0 ? 0 : errno;
  if (err == 0) err = map(c);
  if (err != 0) {
    close(c->fd);
    c->fd = -1;
  }
  return err;
}

static inline int fresh_with(struct client* c, const char* name, void* option) {
  memset(c, 0, sizeof *c);
  return open_with(c, name, option);
}

static inline int attach_to(struct client* c, const char* name) { return open_with(c, name, NULL); }

static inline int open_port(struct client* c, const char* name) {
  memset(c, 0, sizeof *c);
  return attach_to(c, name);
}

static inline void close_port(struct client* c) {
  if (c->mem != NULL && c->mem != MAP_FAILED) munmap(c->mem, c->reg.nr_memsize);
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
}

static inline uint32_t next_slot(const struct netmap_ring* r, uint32_t i) {
  return i + 1 == r->num_slots ? 0 : i + 1;
}
static inline uint32_t pending(const struct netmap_ring* r) {
  return (r->tail + r->num_slots - r->head) % r->num_slots;
}

/* A frame of `len` bytes whose last byte is `mark`, in the next slot; not yet synced. */
static inline int put(struct client* c, unsigned ring, const char* dst, const char* src,
                      unsigned len, unsigned char mark) {
  struct netmap_ring* r = NETMAP_TXRING(c->nifp, ring);
  if (pending(r) == 0) return 0;
  struct netmap_slot* s = &r->slot[r->head];
  char* p = NETMAP_BUF(r, s->buf_idx);
  memset(p, 0, len);
  memcpy(p, dst, 6);
  memcpy(p + 6, src, 6);
  p[len - 1] = (char)mark;
  s->len = (uint16_t)len;
  s->flags = 0;
  r->head = r->cur = next_slot(r, r->head);
  return 1;
}

/* The next frame's last byte, which is then released (at the next sync); -1 when there is none. */
static inline int take(struct client* c, unsigned ring) {
  struct netmap_ring* r = NETMAP_RXRING(c->nifp, ring);
  if (pending(r) == 0) return -1;
  const struct netmap_slot* s = &r->slot[r->head];
  const int mark = (unsigned char)NETMAP_BUF(r, s->buf_idx)[s->len - 1];
  r->head = r->cur = next_slot(r, r->head);
  return mark;
}

#define ALL "\377\377\377\377\377\377"
#define MAC(n) "\002\0\0\0\0" n

static inline int txsync(struct client* c) {
  return ioctl(c->fd, NIOCTXSYNC, NULL) == 0 ? 0 : errno;
}
static inline int rxsync(struct client* c) {
  return ioctl(c->fd, NIOCRXSYNC, NULL) == 0 ? 0 : errno;
}

/* poll(2) on one descriptor: its revents, 0 after the timeout, -1 for an error. */
static inline int ask(int fd, short events, int ms) {
  struct pollfd p = {fd, events, 0};
  const int n = poll(&p, 1, ms);
  return n < 0 ? -1 : n == 0 ? 0 : p.revents;
}

#endif
