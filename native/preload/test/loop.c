/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings driven through control blocks: CSB_ENABLE, the sync loop, its two ways to sleep, its end. */
#include "client.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

static _Alignas(64) struct nm_csb_atok g_in[64];
static _Alignas(64) struct nm_csb_ktoa g_out[64];

static struct nmreq_opt_csb blocks(void) {
  struct nmreq_opt_csb o;
  memset(&o, 0, sizeof o);
  o.nro_opt.nro_reqtype = NETMAP_REQ_OPT_CSB;
  o.csb_atok = (uintptr_t)g_in;
  o.csb_ktoa = (uintptr_t)g_out;
  return o;
}

static int request(int fd, uint16_t type, const char *name, void *body, void *options) {
  struct nmreq_header h;
  memset(&h, 0, sizeof h);
  h.nr_version = NETMAP_API;
  h.nr_reqtype = type;
  snprintf(h.nr_name, sizeof h.nr_name, "%s", name);
  h.nr_body = (uintptr_t)body;
  h.nr_options = (uintptr_t)options;
  return ioctl(fd, NIOCCTRL, &h) == 0 ? 0 : errno;
}

static int enable(int fd, void *option) { return request(fd, NETMAP_REQ_CSB_ENABLE, "", NULL, option); }
static int stop(int fd) { return request(fd, NETMAP_REQ_SYNC_KLOOP_STOP, "", NULL, NULL); }
static int start(int fd, uint32_t sleep_us, void *options) {
  struct nmreq_sync_kloop_start body = {sleep_us, 0};
  return request(fd, NETMAP_REQ_SYNC_KLOOP_START, "", &body, options);
}

static int open_exclusive(struct client *c, const char *name) {
  memset(c, 0, sizeof *c);
  c->reg.nr_flags = NR_EXCLUSIVE;
  return attach_to(c, name);
}

static void errors(void) {
  struct client c;
  struct nmreq_opt_csb o = blocks();
  const int fd = device();
  EQUAL(enable(fd, NULL), EINVAL, "without the option");
  EQUAL(enable(fd, &o), 0, "without a port: nothing to do");
  EQUAL(start(fd, 100, NULL), ENXIO, "a loop without a port");
  EQUAL(stop(fd), ENXIO, "stop without a port");
  EQUAL(start(fd, 1000001, NULL), EINVAL, "a sleep of more than a second");
  close(fd);
  EQUAL(open_port(&c, "valeC:a"), 0, "a port");
  EQUAL(enable(c.fd, &o), EINVAL, "not exclusive");
  EQUAL(o.nro_opt.nro_status, EINVAL, "its status");
  EQUAL(start(c.fd, 100, NULL), EINVAL, "a loop without blocks");
  EQUAL(txsync(&c), 0, "syncs go on");
  close_port(&c);
  EQUAL(open_exclusive(&c, "valeC:a"), 0, "exclusive");
  o.csb_atok += 8;
  EQUAL(enable(c.fd, &o), EINVAL, "not aligned");
  o = blocks();
  o.csb_ktoa = 64;
  EQUAL(enable(c.fd, &o), EFAULT, "nowhere");
  EQUAL(o.nro_opt.nro_status, EFAULT, "its status");
  o = blocks();
  memset(g_in, 0x77, sizeof g_in);
  memset(g_out, 0x77, sizeof g_out);
  EQUAL(enable(c.fd, &o), 0, "enabled");
  EQUAL(o.nro_opt.nro_status, 0, "its status");
  EQUAL(g_in[0].head, 0, "tx head");
  EQUAL(g_in[0].appl_need_kick, 1, "kick");
  EQUAL(g_in[1].cur, 0, "rx cur");
  EQUAL(g_out[0].hwcur, 0, "tx hwcur");
  EQUAL(g_out[0].hwtail, 1023, "tx hwtail");
  EQUAL(g_out[1].hwtail, 0, "rx hwtail");
  EQUAL(g_out[1].kern_need_kick, 1, "kick");
  EQUAL(g_in[2].head, 0x77777777, "no more than the rings");
  EQUAL(txsync(&c), EBUSY, "no txsync now");
  EQUAL(rxsync(&c), EBUSY, "no rxsync");
  EQUAL(ask(c.fd, POLLIN, 1000), POLLERR, "no poll");
  struct nmreq_opt_sync_kloop_mode mode;
  memset(&mode, 0, sizeof mode);
  mode.nro_opt.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_MODE;
  mode.mode = 4;
  EQUAL(start(c.fd, 100, &mode), EINVAL, "no such mode");
  mode.mode = NM_OPT_SYNC_KLOOP_DIRECT_TX;
  EQUAL(start(c.fd, 100, &mode), EINVAL, "direct, but nobody kicks");
  struct {
    struct nmreq_option o;
    struct nm_loop_eventfd fd[2];
  } ev;
  memset(&ev, 0, sizeof ev);
  ev.o.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS;
  ev.o.nro_size = sizeof ev - 8;
  EQUAL(start(c.fd, 100, &ev), EINVAL, "a descriptor too few");
  EQUAL(ev.o.nro_status, EINVAL, "its status");
  /* Asked to stop before it starts: it does not. */
  EQUAL(stop(c.fd), 0, "stop first");
  EQUAL(start(c.fd, 100, NULL), 0, "then start");
  close_port(&c);
  /* By a registration's option. */
  memset(&c, 0, sizeof c);
  c.reg.nr_mode = NR_REG_ALL_NIC;
  c.fd = device();
  o = blocks();
  EQUAL(request(c.fd, NETMAP_REQ_REGISTER, "valeC:a", &c.reg, &o), EINVAL, "not exclusive");
  EQUAL(txsync(&c), ENXIO, "not registered");
  c.reg.nr_flags = NR_EXCLUSIVE;
  EQUAL(request(c.fd, NETMAP_REQ_REGISTER, "valeC:a", &c.reg, &o), 0, "with the option");
  EQUAL(o.nro_opt.nro_status, 0, "its status");
  EQUAL(txsync(&c), EBUSY, "enabled at once");
  close(c.fd);
}

static int g_fd;
static void *g_options;
static void *loop(void *result) {
  *(int *)result = start(g_fd, 200, g_options);
  return NULL;
}

static int wait_for(const uint32_t *word, uint32_t value) {
  for (int i = 0; i < 5000; i++) {
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) return 1;
    usleep(1000);
  }
  return 0;
}

/* Frames both ways; with eventfds the loop sleeps until it is kicked, and kicks back. */
static void running(int events) {
  struct client c, peer;
  struct nmreq_opt_csb o = blocks();
  EQUAL(open_port(&peer, "valeC:peer"), 0, "a peer");
  EQUAL(open_exclusive(&c, "valeC:a"), 0, "a port");
  EQUAL(enable(c.fd, &o), 0, "blocks");
  struct {
    struct nmreq_option o;
    struct nm_loop_eventfd fd[2];
  } ev;
  struct nmreq_opt_sync_kloop_mode mode;
  memset(&ev, 0, sizeof ev);
  memset(&mode, 0, sizeof mode);
  ev.o.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS;
  ev.o.nro_size = sizeof ev;
  for (int i = 0; i < 2; i++) {
    ev.fd[i].ioeventfd = events ? eventfd(0, 0) : -1;
    ev.fd[i].irqfd = eventfd(0, 0);
  }
  mode.nro_opt.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_MODE;
  mode.mode = events == 2 ? NM_OPT_SYNC_KLOOP_DIRECT_TX | NM_OPT_SYNC_KLOOP_DIRECT_RX : 0;
  ev.o.nro_next = (uintptr_t)&mode;
  g_fd = c.fd;
  g_options = &ev;
  int result = -1;
  pthread_t thread;
  EQUAL(pthread_create(&thread, NULL, loop, &result), 0, "a thread for the loop");
  struct netmap_ring *t = NETMAP_TXRING(c.nifp, 0), *r = NETMAP_RXRING(c.nifp, 0);
  const uint64_t one = 1;
  uint64_t count;
  for (uint32_t k = 0; k < 20; k++) {
    struct netmap_slot *s = &t->slot[k];
    char *p = NETMAP_BUF(t, s->buf_idx);
    memset(p, 0, 60);
    memcpy(p, ALL MAC("a"), 12);
    p[59] = (char)k;
    s->len = 60;
    s->flags = 0;
    if (events == 1 && k % 4 == 0) usleep(20000); /* let it fall asleep */
    __atomic_store_n(&g_in[0].cur, k + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&g_in[0].head, k + 1, __ATOMIC_SEQ_CST);
    if (events && __atomic_load_n(&g_out[0].kern_need_kick, __ATOMIC_SEQ_CST))
      CHECK(write(ev.fd[0].ioeventfd, &one, 8) == 8, "kick");
    CHECK(wait_for(&g_out[0].hwcur, k + 1), "taken");
    EQUAL(ask(peer.fd, POLLIN, 5000), POLLIN, "sent");
    EQUAL(take(&peer, 0), k, "which");
    rxsync(&peer);
    put(&peer, 0, ALL, MAC("p"), 60, (unsigned char)(100 + k));
    txsync(&peer);
    struct pollfd irq = {ev.fd[1].irqfd, POLLIN, 0};
    EQUAL(poll(&irq, 1, 5000), 1, "told of a frame");
    CHECK(read(ev.fd[1].irqfd, &count, 8) == 8, "read");
    CHECK(wait_for(&g_out[1].hwtail, k + 1), "shown");
    EQUAL(NETMAP_BUF(r, r->slot[k].buf_idx)[59], 100 + k, "the frame");
    g_in[1].cur = k + 1;
    __atomic_store_n(&g_in[1].head, k + 1, __ATOMIC_SEQ_CST);
    if (events && __atomic_load_n(&g_out[1].kern_need_kick, __ATOMIC_SEQ_CST))
      CHECK(write(ev.fd[1].ioeventfd, &one, 8) == 8, "kick");
    CHECK(wait_for(&g_out[1].hwcur, k + 1), "released");
  }
  EQUAL(start(c.fd, 100, NULL), EBUSY, "a second loop");
  EQUAL(enable(c.fd, &o), EBUSY, "blocks anew");
  EQUAL(txsync(&c), EBUSY, "a sync");
  /* Nonsense in a block harms nobody. */
  g_in[0].head = 99999;
  if (events) CHECK(write(ev.fd[0].ioeventfd, &one, 8) == 8, "kick");
  usleep(5000);
  g_in[0].head = 20;
  /* Another process that has the descriptor stops it; its own start finds no blocks. */
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) _exit(start(c.fd, 100, NULL) != EINVAL ? 1 : stop(c.fd) != 0 ? 2 : 0);
  int status;
  waitpid(child, &status, 0);
  EQUAL(status, 0, "stopped by a child");
  EQUAL(pthread_join(thread, NULL), 0, "ended");
  EQUAL(result, 0, "well");
  /* It may run again, and ends when the port is closed. */
  EQUAL(pthread_create(&thread, NULL, loop, &result), 0, "again");
  usleep(20000);
  EQUAL(stop(c.fd), 0, "and stopped");
  pthread_join(thread, NULL);
  EQUAL(pthread_create(&thread, NULL, loop, &result), 0, "once more");
  usleep(20000);
  close_port(&c);
  if (events) CHECK(write(ev.fd[0].ioeventfd, &one, 8) == 8, "kick");
  pthread_join(thread, NULL);
  EQUAL(result, 0, "closed under it");
  close_port(&peer);
  for (int i = 0; i < 2; i++) {
    if (events) close(ev.fd[i].ioeventfd);
    close(ev.fd[i].irqfd);
  }
}

/* A loop that is killed with its process leaves the descriptor free for others. */
static void killed(void) {
  struct client c;
  struct nmreq_opt_csb o = blocks();
  EQUAL(open_exclusive(&c, "valeC:k"), 0, "a port");
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    enable(c.fd, &o);
    start(c.fd, 100, NULL);
    _exit(0);
  }
  usleep(100000);
  EQUAL(txsync(&c), EBUSY, "enabled by the child");
  EQUAL(start(c.fd, 100, NULL), EINVAL, "whose blocks are the child's");
  EQUAL(enable(c.fd, &o), EBUSY, "while its loop runs");
  kill(child, SIGKILL);
  int status;
  waitpid(child, &status, 0);
  EQUAL(enable(c.fd, &o), 0, "then no more");
  EQUAL(stop(c.fd), 0, "nothing to stop");
  EQUAL(start(c.fd, 100, NULL), 0, "but the next one");
  close_port(&c);
}

int main(void) {
  errors();
  for (int events = 0; events < 3; events++) running(events);
  killed();
  return finish();
}
