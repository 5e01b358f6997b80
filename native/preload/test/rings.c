/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory, syncs, waiting: what a program sees in its rings. */
#include "client.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>

static double now(void) {
  struct timeval tv;
  gettimeofday(&tv, NULL);
  return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static void layout(void) {
  struct client c;
  memset(&c, 0, sizeof c);
  c.reg.nr_tx_rings = 2;
  c.reg.nr_rx_rings = 3;
  c.reg.nr_tx_slots = 64;
  c.reg.nr_rx_slots = 128;
  EQUAL(attach_to(&c, "vale0:layout"), 0, "open");
  const struct netmap_if *n = c.nifp;
  EQUAL(n->ni_version, NETMAP_API, "ni_version");
  EQUAL(n->ni_flags & NI_PRIV_MEM, NI_PRIV_MEM, "ni_flags");
  EQUAL(n->ni_tx_rings, 2, "ni_tx_rings");
  EQUAL(n->ni_rx_rings, 3, "ni_rx_rings");
  EQUAL(n->ni_host_tx_rings, 1, "ni_host_tx_rings");
  EQUAL(n->ni_host_rx_rings, 1, "ni_host_rx_rings");
  EQUAL(n->ni_bufs_head, 0, "ni_bufs_head");
  EQUAL(strcmp(n->ni_name, "vale0:layout"), 0, "ni_name");
  EQUAL(n->ring_ofs[2], 0, "no host tx ring");
  EQUAL(n->ring_ofs[6], 0, "no host rx ring");
  char *seen = calloc(1, 1 << 20);
  for (unsigned k = 0; k < 5; k++) {
    const int tx = k < 2;
    struct netmap_ring *r = tx ? NETMAP_TXRING(n, k) : NETMAP_RXRING(n, k - 2);
    EQUAL(r->num_slots, tx ? 64 : 128, "num_slots");
    EQUAL(r->ringid, tx ? k : k - 2, "ringid");
    EQUAL(r->dir, !tx, "dir");
    EQUAL(r->head, 0, "head");
    EQUAL(r->cur, 0, "cur");
    EQUAL(r->tail, tx ? 63 : 0, "tail");
    EQUAL(r->flags, 0, "flags");
    EQUAL((uintptr_t)r % 128, 0, "alignment");
    CHECK(r->nr_buf_size >= 1536, "nr_buf_size");
    CHECK((char *)r >= c.mem && (char *)(r + 1) <= c.mem + c.reg.nr_memsize, "in the region");
    unsigned bad = 0;
    for (unsigned i = 0; i < r->num_slots; i++) {
      const struct netmap_slot *s = &r->slot[i];
      const char *p = NETMAP_BUF(r, s->buf_idx);
      if (s->buf_idx < 2 || seen[s->buf_idx] || s->flags != 0 || s->ptr != 0) bad++;
      if (s->len != r->nr_buf_size) bad++;
      if (p < c.mem || p + r->nr_buf_size > c.mem + c.reg.nr_memsize) bad++;
      seen[s->buf_idx] = 1;
    }
    EQUAL(bad, 0, "slots of ring %u", k);
    memset(r->sem, 0x5a, sizeof r->sem);
  }
  EQUAL(rxsync(&c), 0, "rxsync");
  EQUAL(txsync(&c), 0, "txsync");
  CHECK(NETMAP_TXRING(n, 1)->sem[127] == 0x5a && NETMAP_RXRING(n, 2)->sem[0] == 0x5a, "sem stays");
  free(seen);
  /* Other mappings: shorter, by offset, too long. */
  const long page = sysconf(_SC_PAGESIZE);
  char *part = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, c.fd, 0);
  CHECK(part != MAP_FAILED && memcmp(part, c.mem, (size_t)page) == 0, "the first page alone");
  char *second = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, c.fd, page);
  CHECK(second != MAP_FAILED && memcmp(second, c.mem + page, (size_t)page) == 0, "the second");
  CHECK(mmap(NULL, c.reg.nr_memsize + (size_t)page, PROT_READ, MAP_SHARED, c.fd, 0) == MAP_FAILED &&
            errno == EINVAL,
        "longer than the region");
  CHECK(mmap(NULL, c.reg.nr_memsize, PROT_READ, MAP_SHARED, c.fd, page) == MAP_FAILED &&
            errno == EINVAL,
        "beyond its end");
  munmap(part, (size_t)page);
  munmap(second, (size_t)page);
  close_port(&c);
}

static void transmission(void) {
  struct client a, b, c;
  EQUAL(open_port(&a, "valeT:a"), 0, "a");
  EQUAL(open_port(&b, "valeT:b"), 0, "b");
  EQUAL(open_port(&c, "valeT:c"), 0, "c");
  struct netmap_ring *t = NETMAP_TXRING(a.nifp, 0);
  struct netmap_ring *r = NETMAP_RXRING(b.nifp, 0);
  for (int i = 0; i < 10; i++) put(&a, 0, ALL, MAC("a"), 60, (unsigned char)i);
  EQUAL(r->tail, 0, "nothing before the sync");
  EQUAL(txsync(&a), 0, "txsync");
  EQUAL(t->tail, 9, "complete at once: tail = head - 1");
  EQUAL(t->ts.tv_sec, 0, "no time for what is sent");
  EQUAL(r->tail, 0, "not seen before rxsync");
  EQUAL(rxsync(&b), 0, "rxsync");
  EQUAL(r->tail, 10, "then seen");
  CHECK(r->ts.tv_sec > 1600000000, "time of the sync");
  EQUAL(r->slot[0].flags, 0x0100, "flags of a frame in one slot");
  EQUAL(r->slot[0].len, 60, "len");
  for (int i = 0; i < 10; i++) EQUAL(take(&b, 0), i, "in order");
  rxsync(&c);
  for (int i = 0; i < 10; i++) EQUAL(take(&c, 0), i, "to everybody");
  /* b speaks, then unicast to b goes there only. */
  rxsync(&b);
  rxsync(&c);
  put(&b, 0, ALL, MAC("b"), 60, 1);
  txsync(&b);
  rxsync(&c);
  EQUAL(take(&c, 0), 1, "flood of b");
  rxsync(&c);
  put(&a, 0, MAC("b"), MAC("a"), 60, 77);
  txsync(&a);
  rxsync(&b);
  rxsync(&c);
  EQUAL(take(&b, 0), 77, "unicast arrives");
  EQUAL(take(&c, 0), -1, "there only");
  put(&a, 0, MAC("a"), MAC("a"), 60, 78);
  put(&a, 0, MAC("z"), MAC("a"), 60, 79);
  txsync(&a);
  rxsync(&b);
  EQUAL(take(&b, 0), 79, "to itself: dropped; unknown: flooded");
  /* Several slots make one frame. */
  rxsync(&b);
  for (int i = 0; i < 3; i++) {
    const uint32_t at = t->head;
    put(&a, 0, MAC("b"), MAC("a"), 100, (unsigned char)(10 + i));
    if (i < 2) t->slot[at].flags = NS_MOREFRAG;
  }
  txsync(&a);
  rxsync(&b);
  EQUAL(pending(r), 3, "three slots");
  EQUAL(r->slot[r->head].flags, 3 << 8 | NS_MOREFRAG, "the first says so");
  for (int i = 0; i < 3; i++) EQUAL(take(&b, 0), 10 + i, "fragment %d", i);
  const uint32_t last = (r->head + r->num_slots - 1) % r->num_slots;
  EQUAL(r->slot[last].flags, 3 << 8, "the last has no MOREFRAG");
  /* Flags that the switch has no use for. */
  rxsync(&b);
  put(&a, 0, MAC("b"), MAC("a"), 60, 5);
  t->slot[(t->head + t->num_slots - 1) % t->num_slots].flags = NS_BUF_CHANGED | NS_REPORT;
  txsync(&a);
  EQUAL(t->slot[(t->head + t->num_slots - 1) % t->num_slots].flags, NS_REPORT, "is taken note of");
  rxsync(&b);
  EQUAL(take(&b, 0), 5, "arrives as any other");
  /* Indirect: from the sender's own memory. */
  rxsync(&b);
  char own[60];
  memset(own, 0, sizeof own);
  memcpy(own, MAC("b") MAC("a"), 12);
  own[59] = 42;
  put(&a, 0, MAC("b"), MAC("a"), 60, 0);
  struct netmap_slot *s = &t->slot[(t->head + t->num_slots - 1) % t->num_slots];
  s->flags = NS_INDIRECT;
  s->ptr = (uintptr_t)own;
  txsync(&a);
  rxsync(&b);
  EQUAL(take(&b, 0), 42, "indirect");
  put(&a, 0, MAC("b"), MAC("a"), 60, 0);
  s = &t->slot[(t->head + t->num_slots - 1) % t->num_slots];
  s->flags = NS_INDIRECT;
  s->ptr = 8;
  EQUAL(txsync(&a), 0, "indirect from nowhere");
  rxsync(&b);
  /* A full ring drops what does not fit and nobody waits. */
  while (take(&b, 0) >= 0) {
  }
  rxsync(&b);
  int sent = 0;
  for (int k = 0; k < 3; k++) {
    for (int i = 0; i < 500; i++) sent += put(&a, 0, MAC("b"), MAC("a"), 60, (unsigned char)i);
    EQUAL(txsync(&a), 0, "into a ring that fills");
  }
  EQUAL(sent, 1500, "all were taken");
  rxsync(&b);
  EQUAL(pending(r), 1023, "a ring of n slots holds n - 1");
  close_port(&b);
  put(&a, 0, MAC("b"), MAC("a"), 60, 1);
  EQUAL(txsync(&a), 0, "to a port that is gone");
  close_port(&c);
  put(&a, 0, ALL, MAC("a"), 60, 1);
  EQUAL(txsync(&a), 0, "alone on the switch");
  close_port(&a);
}

static void wrong_indices(void) {
  struct client a, b;
  EQUAL(open_port(&a, "valeW:a"), 0, "a");
  EQUAL(open_port(&b, "valeW:b"), 0, "b");
  struct netmap_ring *t = NETMAP_TXRING(a.nifp, 0), *r = NETMAP_RXRING(b.nifp, 0);
  static const uint32_t wrong[] = {1024, 5000, 0xffffffff};
  for (unsigned i = 0; i < 3; i++) {
    t->head = wrong[i];
    EQUAL(txsync(&a), 0, "tx head %u", wrong[i]);
    EQUAL(t->head, 0, "put back");
    t->cur = wrong[i];
    EQUAL(txsync(&a), 0, "tx cur %u", wrong[i]);
    EQUAL(t->cur, 0, "put back");
    r->head = wrong[i];
    EQUAL(rxsync(&b), 0, "rx head %u", wrong[i]);
    EQUAL(r->head, 0, "put back");
    t->tail = wrong[i];
    EQUAL(txsync(&a), 0, "tx tail %u", wrong[i]);
    EQUAL(t->tail, 1023, "tail is the switch's");
    r->tail = wrong[i];
    EQUAL(rxsync(&b), 0, "rx tail %u", wrong[i]);
    EQUAL(r->tail, 0, "tail is the switch's");
  }
  /* A sync says nothing of it; poll does, once. */
  t->head = 5000;
  EQUAL(ask(a.fd, POLLOUT, 0), POLLOUT | POLLERR, "poll with a wrong tx head");
  EQUAL(ask(a.fd, POLLOUT, 0), POLLOUT, "and when it was put back");
  r->cur = 5000;
  EQUAL(ask(b.fd, POLLIN, 1000), POLLERR, "poll with a wrong rx cur");
  EQUAL(ask(b.fd, POLLIN, 0), 0, "and when it was put back");
  const uint32_t index = t->slot[0].buf_idx;
  static const uint32_t buffers[] = {0, 1, 0x7fffffff, 0xffffffff};
  for (unsigned i = 0; i < 4; i++) {
    const uint32_t at = t->head;
    const uint32_t own = t->slot[at].buf_idx;
    put(&a, 0, ALL, MAC("a"), 60, 1);
    t->slot[at].buf_idx = buffers[i];
    EQUAL(txsync(&a), 0, "buffer %u", buffers[i]);
    t->slot[at].buf_idx = own;
  }
  const uint32_t at = t->head;
  put(&a, 0, ALL, MAC("a"), 60, 9);
  t->slot[at].len = 65535;
  EQUAL(txsync(&a), 0, "too long a slot");
  put(&a, 0, ALL, MAC("a"), 60, 10);
  txsync(&a);
  rxsync(&b);
  EQUAL(take(&b, 0), 10, "the good one arrives");
  EQUAL(t->slot[0].buf_idx, index, "buffers stay the application's");
  close_port(&a);
  close_port(&b);
}

static void on_alarm(int signal) { (void)signal; }

static void waiting(void) {
  struct client a, b;
  EQUAL(open_port(&a, "valeP:a"), 0, "a");
  EQUAL(open_port(&b, "valeP:b"), 0, "b");
  EQUAL(ask(a.fd, POLLOUT, 0), POLLOUT, "there is room");
  EQUAL(ask(a.fd, POLLOUT | POLLWRNORM, -1), POLLOUT | POLLWRNORM, "its synonym");
  EQUAL(ask(b.fd, POLLIN, 0), 0, "nothing there");
  double start = now();
  EQUAL(ask(b.fd, POLLIN, 100), 0, "nothing comes");
  CHECK(now() - start > 0.09, "for that long");
  EQUAL(ask(b.fd, 0, 10), 0, "for nothing");
  put(&a, 0, ALL, MAC("a"), 60, 1);
  EQUAL(ask(a.fd, POLLIN, 0), 0, "poll for input sends what is pending");
  EQUAL(ask(b.fd, POLLIN, 1000), POLLIN, "it arrives");
  EQUAL(ask(b.fd, POLLIN | POLLRDNORM | POLLOUT, 0), POLLIN | POLLRDNORM | POLLOUT, "all of it");
  EQUAL(ask(b.fd, POLLIN, 0), POLLIN, "level-triggered");
  NETMAP_RXRING(b.nifp, 0)->cur = NETMAP_RXRING(b.nifp, 0)->tail;
  EQUAL(ask(b.fd, POLLIN, 10), 0, "cur is the wake-up point");
  EQUAL(take(&b, 0), 1, "the frame is still there");
  /* Sleep until another process sends. */
  for (int way = 0; way < 6; way++) {
    const pid_t child = fork();
    if (child == 0) {
      usleep(50000);
      put(&a, 0, ALL, MAC("a"), 60, 2);
      _exit(txsync(&a));
    }
    int got = -2;
    if (way == 0) got = ask(b.fd, POLLIN, 5000) == POLLIN;
    if (way == 1) {
      struct pollfd p = {b.fd, POLLIN, 0};
      const struct timespec ts = {5, 0};
      got = ppoll(&p, 1, &ts, NULL) == 1 && p.revents == POLLIN;
    }
    if (way == 2 || way == 3) {
      fd_set in, out;
      FD_ZERO(&in);
      FD_ZERO(&out);
      FD_SET(b.fd, &in);
      struct timeval tv = {5, 0};
      const struct timespec ts = {5, 0};
      got = way == 2 ? select(b.fd + 1, &in, &out, NULL, &tv)
                     : pselect(b.fd + 1, &in, NULL, NULL, &ts, NULL);
      got = got == 1 && FD_ISSET(b.fd, &in);
      if (way == 2) CHECK(tv.tv_sec == 4, "select leaves the rest of its time");
    }
    if (way >= 4) {
      const int e = epoll_create1(0);
      struct epoll_event ev = {EPOLLIN, {.u64 = 99}}, out = {0, {.u64 = 0}};
      EQUAL(epoll_ctl(e, EPOLL_CTL_ADD, b.fd, &ev), 0, "epoll_ctl");
      if (way == 4) {
        got = epoll_wait(e, &out, 1, 5000) == 1 && out.events == EPOLLIN && out.data.u64 == 99;
      } else { /* an epoll descriptor in poll */
        got = ask(e, POLLIN, 5000) == POLLIN;
      }
      close(e);
    }
    EQUAL(got, 1, "woken, way %d", way);
    int status;
    waitpid(child, &status, 0);
    EQUAL(status, 0, "the child sent");
    EQUAL(take(&b, 0), 2, "the frame");
    rxsync(&b);
  }
  /* Beside other descriptors. */
  int pair[2];
  EQUAL(pipe(pair), 0, "pipe");
  struct pollfd two[3] = {{b.fd, POLLIN, 0}, {pair[0], POLLIN, 0}, {-1, POLLIN, 0}};
  EQUAL(poll(two, 3, 10), 0, "neither");
  CHECK(write(pair[1], "x", 1) == 1, "write");
  EQUAL(poll(two, 3, 1000), 1, "the pipe");
  CHECK(two[0].revents == 0 && two[1].revents == POLLIN, "which");
  put(&a, 0, ALL, MAC("a"), 60, 3);
  txsync(&a);
  EQUAL(poll(two, 3, 1000), 2, "both");
  two[1].fd = 999;
  EQUAL(poll(two, 3, 0), 2, "one that is not open");
  EQUAL(two[1].revents, POLLNVAL, "says so");
  /* Epoll: edges, one shot, changes. */
  const int e = epoll_create1(0);
  struct epoll_event ev = {EPOLLIN | EPOLLET, {.fd = 7}}, out[4];
  EQUAL(epoll_ctl(e, EPOLL_CTL_ADD, b.fd, &ev), 0, "edge");
  CHECK(epoll_ctl(e, EPOLL_CTL_ADD, b.fd, &ev) == -1 && errno == EEXIST, "twice");
  EQUAL(epoll_wait(e, out, 4, 0), 1, "first");
  EQUAL(epoll_wait(e, out, 4, 0), 0, "not again");
  put(&a, 0, ALL, MAC("a"), 60, 4);
  txsync(&a);
  EQUAL(epoll_wait(e, out, 4, 1000), 1, "another edge");
  ev.events = EPOLLIN | EPOLLONESHOT;
  EQUAL(epoll_ctl(e, EPOLL_CTL_MOD, b.fd, &ev), 0, "one shot");
  EQUAL(epoll_wait(e, out, 4, 0), 1, "the shot");
  EQUAL(epoll_wait(e, out, 4, 0), 0, "no more");
  ev.events = EPOLLIN;
  EQUAL(epoll_ctl(e, EPOLL_CTL_ADD, pair[0], &ev), 0, "a pipe beside it");
  EQUAL(epoll_ctl(e, EPOLL_CTL_MOD, b.fd, &ev), 0, "again");
  EQUAL(epoll_wait(e, out, 4, 0), 2, "both");
  EQUAL(epoll_wait(e, out, 1, 0), 1, "no more than asked for");
  EQUAL(epoll_ctl(e, EPOLL_CTL_DEL, b.fd, NULL), 0, "out");
  CHECK(epoll_ctl(e, EPOLL_CTL_DEL, b.fd, NULL) == -1 && errno == ENOENT, "twice out");
  CHECK(epoll_ctl(e, EPOLL_CTL_MOD, b.fd, &ev) == -1 && errno == ENOENT, "not in");
  close(e);
  close(pair[0]);
  close(pair[1]);
  while (take(&b, 0) >= 0) {
  }
  rxsync(&b);
  /* A signal interrupts. */
  struct sigaction act;
  memset(&act, 0, sizeof act);
  act.sa_handler = on_alarm;
  sigaction(SIGALRM, &act, NULL);
  const struct itimerval soon = {{0, 0}, {0, 50000}};
  setitimer(ITIMER_REAL, &soon, NULL);
  struct pollfd p = {b.fd, POLLIN, 0};
  CHECK(poll(&p, 1, 5000) == -1 && errno == EINTR, "EINTR");
  /* NR_NO_TX_POLL */
  struct client n;
  memset(&n, 0, sizeof n);
  n.reg.nr_flags = NR_NO_TX_POLL;
  EQUAL(attach_to(&n, "valeP:n"), 0, "without tx in poll");
  put(&n, 0, ALL, MAC("n"), 60, 9);
  ask(n.fd, POLLIN, 0);
  EQUAL(ask(b.fd, POLLIN, 0), 0, "not sent by a poll for input");
  EQUAL(ask(n.fd, POLLOUT, 0), POLLOUT, "but by one for output");
  EQUAL(ask(b.fd, POLLIN, 100), POLLIN, "sent");
  close_port(&n);
  close_port(&a);
  close_port(&b);
}

int main(void) {
  layout();
  transmission();
  wrong_indices();
  waiting();
  return finish();
}
