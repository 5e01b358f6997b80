/* SPDX-License-Identifier: BSD-2-Clause */
/* Monitors as programs open them: which rings, what they see, what their parent feels, how they end. */
#include "client.h"

#define SENT NR_MONITOR_TX
#define ARRIVING NR_MONITOR_RX
#define BOTH (NR_MONITOR_TX | NR_MONITOR_RX)

static int watch(struct client *c, const char *name, uint64_t flags) {
  memset(c, 0, sizeof *c);
  c->reg.nr_flags = flags;
  return attach_to(c, name);
}

static int watch_error(const char *name, uint64_t flags, uint32_t mode, uint16_t ring) {
  struct client c;
  memset(&c, 0, sizeof c);
  c.reg.nr_flags = flags;
  c.reg.nr_mode = mode;
  c.reg.nr_ringid = ring;
  const int err = attach_to(&c, name);
  close_port(&c);
  return err;
}

/* All frames that wait, their marks in a row; how many. */
static int drain(struct client *c, unsigned ring, char *marks) {
  int n = 0, mark;
  rxsync(c);
  while ((mark = take(c, ring)) >= 0) marks[n++] = (char)mark;
  marks[n] = 0;
  rxsync(c);
  return n;
}

static void opening(void) {
  struct client a, m;
  EQUAL(watch_error("valeM:a", BOTH, 0, 0), EINVAL, "a port that nobody has open");
  EQUAL(watch_error("no-such", BOTH, 0, 0), ENXIO, "what is no port");
  memset(&a, 0, sizeof a);
  a.reg.nr_tx_rings = 2;
  a.reg.nr_rx_rings = 3;
  a.reg.nr_tx_slots = 64;
  a.reg.nr_rx_slots = 128;
  EQUAL(attach_to(&a, "valeM:a"), 0, "the parent");
  EQUAL(watch(&m, "valeM:a", BOTH), 0, "a monitor");
  EQUAL(m.reg.nr_tx_rings, 1, "one tx ring, of no use");
  EQUAL(m.reg.nr_rx_rings, 3, "rx rings for the larger number of the parent's");
  EQUAL(m.reg.nr_rx_slots, 128, "slots");
  EQUAL(m.reg.nr_flags, BOTH, "flags stay");
  CHECK(m.reg.nr_mem_id != a.reg.nr_mem_id, "memory of its own");
  CHECK(strncmp(m.nifp->ni_name, "valeM:a/rt", 10) == 0, "its name is %s", m.nifp->ni_name);
  EQUAL(txsync(&m), 0, "txsync says nothing");
  EQUAL(ask(m.fd, POLLOUT, 0), POLLERR, "but poll does");
  EQUAL(ask(m.fd, POLLIN, 0), 0, "nothing yet");
  close_port(&m);
  memset(&m, 0, sizeof m);
  m.reg.nr_flags = SENT;
  m.reg.nr_rx_slots = 4;
  EQUAL(attach_to(&m, "valeM:a"), 0, "wishes");
  EQUAL(m.reg.nr_rx_slots, 4, "its own slots");
  EQUAL(m.reg.nr_flags, SENT, "flags stay");
  close_port(&m);
  EQUAL(watch_error("valeM:a", SENT, NR_REG_ONE_NIC, 1), 0, "one ring");
  EQUAL(watch_error("valeM:a", ARRIVING, NR_REG_ONE_NIC, 2), 0, "of one direction");
  EQUAL(watch_error("valeM:a", BOTH, NR_REG_ONE_NIC, 3), EINVAL, "that is not there");
  EQUAL(watch_error("valeM:a", BOTH, NR_REG_SW, 0), EINVAL, "host rings");
  EQUAL(watch_error("valeM:a", BOTH, NR_REG_NIC_SW, 0), EINVAL, "with host rings");
  EQUAL(watch_error("valeM:a", BOTH, NR_REG_ONE_SW, 0), EINVAL, "a host ring");
  /* Exclusive use of the parent does not keep watchers out. */
  close_port(&a);
  EQUAL(watch(&a, "valeM:x", NR_EXCLUSIVE), 0, "exclusive");
  EQUAL(watch_error("valeM:x", BOTH, 0, 0), 0, "and watched");
  struct client many[5];
  for (unsigned k = 0; k < 5; k++) EQUAL(watch(&many[k], "valeM:x", BOTH), 0, "watcher %u", k);
  struct nmreq_vale_list l;
  memset(&l, 0, sizeof l);
  const int fd = device();
  EQUAL(control(fd, NETMAP_REQ_VALE_LIST, "", &l), 0, "listing");
  l.nr_port_idx++;
  EQUAL(control(fd, NETMAP_REQ_VALE_LIST, "", &l), ENOENT, "of ports alone");
  close(fd);
  for (unsigned k = 0; k < 5; k++) close_port(&many[k]);
  close_port(&a);
}

static void watching(void) {
  struct client a, b, both, sent, arriving, b_all;
  char marks[64];
  EQUAL(open_port(&a, "valeW:a"), 0, "a");
  EQUAL(open_port(&b, "valeW:b"), 0, "b");
  EQUAL(watch(&both, "valeW:a", BOTH), 0, "/rt");
  EQUAL(watch(&sent, "valeW:a", SENT), 0, "/t");
  EQUAL(watch(&arriving, "valeW:a", ARRIVING), 0, "/r");
  EQUAL(watch(&b_all, "valeW:b", BOTH), 0, "of the other");
  put(&a, 0, ALL, MAC("a"), 60, 'x');
  rxsync(&both);
  EQUAL(pending(NETMAP_RXRING(both.nifp, 0)), 0, "nothing before the sync");
  txsync(&a);
  put(&b, 0, ALL, MAC("b"), 200, 'y');
  txsync(&b);
  EQUAL(ask(both.fd, POLLIN, 0), POLLIN, "something to see");
  const struct netmap_ring *r = NETMAP_RXRING(both.nifp, 0);
  EQUAL(r->slot[0].flags & NS_TXMON, NS_TXMON, "sent by the parent");
  EQUAL(r->slot[1].flags & NS_TXMON, 0, "arrived at the parent, which has not looked");
  EQUAL(r->slot[0].len, 60, "len");
  EQUAL(r->slot[1].len, 200, "len");
  EQUAL(drain(&both, 0, marks), 2, "two");
  EQUAL(strcmp(marks, "xy"), 0, "in order: %s", marks);
  drain(&sent, 0, marks);
  EQUAL(strcmp(marks, "x"), 0, "/t: %s", marks);
  drain(&arriving, 0, marks);
  EQUAL(strcmp(marks, "y"), 0, "/r: %s", marks);
  drain(&b_all, 0, marks);
  EQUAL(strcmp(marks, "xy"), 0, "at b: %s", marks);
  rxsync(&a);
  EQUAL(take(&a, 0), 'y', "the parent gets its own");
  rxsync(&a);
  /* Also what finds no destination is sent; what a full ring refuses does not arrive. */
  close_port(&b_all);
  close_port(&b);
  put(&a, 0, ALL, MAC("a"), 60, 'z');
  txsync(&a);
  drain(&sent, 0, marks);
  EQUAL(strcmp(marks, "z"), 0, "to nobody: %s", marks);
  /* Fragments. */
  struct netmap_ring *t = NETMAP_TXRING(a.nifp, 0);
  const uint32_t first = t->head;
  put(&a, 0, ALL, MAC("a"), 60, '1');
  put(&a, 0, ALL, MAC("a"), 60, '2');
  t->slot[first].flags = NS_MOREFRAG;
  txsync(&a);
  rxsync(&sent);
  r = NETMAP_RXRING(sent.nifp, 0);
  EQUAL(pending(r), 2, "both slots");
  EQUAL(r->slot[r->head].flags, NS_MOREFRAG | NS_TXMON, "flags of the first");
  EQUAL(r->slot[next_slot(r, r->head)].flags, NS_TXMON, "flags of the last");
  drain(&sent, 0, marks);
  close_port(&sent);
  close_port(&arriving);
  close_port(&both);
  close_port(&a);
}

static void full(void) {
  struct client a, b, m;
  char marks[64];
  EQUAL(open_port(&a, "valeF:a"), 0, "a");
  EQUAL(open_port(&b, "valeF:b"), 0, "b");
  memset(&m, 0, sizeof m);
  m.reg.nr_flags = SENT;
  m.reg.nr_rx_slots = 4;
  EQUAL(attach_to(&m, "valeF:a"), 0, "a small monitor");
  for (int i = 0; i < 10; i++) put(&a, 0, ALL, MAC("a"), 60, (unsigned char)('0' + i));
  txsync(&a);
  EQUAL(drain(&b, 0, marks), 10, "all of them arrive");
  EQUAL(drain(&m, 0, marks), 3, "as many as it holds");
  EQUAL(strcmp(marks, "789"), 0, "the newest: %s", marks);
  close_port(&m);
  close_port(&b);
  close_port(&a);
}

static void rings(void) {
  struct client a, b, m, one;
  char marks[64];
  memset(&a, 0, sizeof a);
  a.reg.nr_tx_rings = a.reg.nr_rx_rings = 2;
  EQUAL(attach_to(&a, "valeK:a"), 0, "two rings");
  EQUAL(open_port(&b, "valeK:b"), 0, "b");
  EQUAL(watch(&m, "valeK:a", SENT), 0, "all rings");
  memset(&one, 0, sizeof one);
  one.reg.nr_flags = SENT;
  one.reg.nr_mode = NR_REG_ONE_NIC;
  one.reg.nr_ringid = 1;
  EQUAL(attach_to(&one, "valeK:a"), 0, "ring 1");
  EQUAL(one.reg.nr_rx_rings, 2, "its rings are those of the parent");
  put(&a, 0, ALL, MAC("a"), 60, 'p');
  put(&a, 1, ALL, MAC("a"), 60, 'q');
  txsync(&a);
  drain(&m, 0, marks);
  EQUAL(strcmp(marks, "p"), 0, "ring 0 in ring 0: %s", marks);
  drain(&m, 1, marks);
  EQUAL(strcmp(marks, "q"), 0, "ring 1 in ring 1: %s", marks);
  drain(&one, 0, marks);
  EQUAL(strcmp(marks, ""), 0, "not what it does not watch: %s", marks);
  drain(&one, 1, marks);
  EQUAL(strcmp(marks, "q"), 0, "its ring: %s", marks);
  close_port(&one);
  close_port(&m);
  close_port(&b);
  close_port(&a);
}

static void pipes(void) {
  struct client m, s, w;
  char marks[64];
  EQUAL(open_port(&m, "valeV:a{1"), 0, "a pipe");
  EQUAL(open_port(&s, "valeV:a}1"), 0, "its other end");
  EQUAL(watch(&w, "valeV:a}1", ARRIVING), 0, "what arrives at one end");
  put(&m, 0, ALL, MAC("m"), 60, 'u');
  txsync(&m);
  drain(&w, 0, marks);
  EQUAL(strcmp(marks, "u"), 0, "is seen: %s", marks);
  rxsync(&s);
  EQUAL(take(&s, 0), 'u', "and arrives");
  close_port(&w);
  EQUAL(watch(&w, "valeV:a{1", SENT), 0, "what the other sends");
  put(&m, 0, ALL, MAC("m"), 60, 'v');
  txsync(&m);
  drain(&w, 0, marks);
  EQUAL(strcmp(marks, "v"), 0, "is seen: %s", marks);
  close_port(&w);
  close_port(&m);
  close_port(&s);
}

static void endings(void) {
  struct client a, b, m;
  EQUAL(open_port(&a, "valeE:a"), 0, "a");
  EQUAL(open_port(&b, "valeE:b"), 0, "b");
  EQUAL(watch(&m, "valeE:a", BOTH), 0, "a monitor");
  put(&a, 0, ALL, MAC("a"), 60, 7);
  txsync(&a);
  close_port(&a);
  EQUAL(ask(m.fd, POLLIN, 0), POLLIN, "what was seen stays");
  EQUAL(take(&m, 0), 7, "and is read");
  EQUAL(rxsync(&m), 0, "rxsync never says so");
  EQUAL(ask(m.fd, POLLIN, 1000), POLLERR, "but poll does, at once");
  EQUAL(rxsync(&m), 0, "nor later");
  EQUAL(open_port(&a, "valeE:a"), 0, "another port of that name");
  put(&a, 0, ALL, MAC("a"), 60, 8);
  txsync(&a);
  EQUAL(ask(m.fd, POLLIN, 0), POLLERR, "is another port");
  close_port(&m);
  close_port(&b);
  close_port(&a);
}

static void zero_copy(void) {
  struct client a, b, z, other;
  char marks[64];
  EQUAL(watch_error("valeZ:a", NR_ZCOPY_MON, 0, 0), EINVAL, "a port that nobody has open");
  EQUAL(open_port(&a, "valeZ:a"), 0, "a");
  EQUAL(open_port(&b, "valeZ:b"), 0, "b");
  EQUAL(watch(&z, "valeZ:a", NR_ZCOPY_MON), 0, "/z");
  EQUAL(z.reg.nr_flags, NR_ZCOPY_MON | BOTH, "both directions");
  EQUAL(z.reg.nr_mem_id, a.reg.nr_mem_id, "the parent's memory");
  EQUAL(z.reg.nr_memsize, a.reg.nr_memsize, "all of it");
  EQUAL(watch(&other, "valeZ:a", NR_ZCOPY_MON | SENT), 0, "another");
  struct netmap_ring *t = NETMAP_TXRING(a.nifp, 0), *r = NETMAP_RXRING(z.nifp, 0);
  const uint32_t sent = t->slot[0].buf_idx, spare = r->slot[0].buf_idx;
  put(&a, 0, ALL, MAC("a"), 60, 'x');
  txsync(&a);
  EQUAL(t->slot[0].buf_idx, spare, "a buffer for a buffer");
  EQUAL(t->slot[0].flags, NS_BUF_CHANGED, "which the flag says");
  EQUAL(ask(z.fd, POLLIN, 0), POLLIN, "seen");
  EQUAL(r->slot[0].buf_idx, sent, "the very buffer");
  EQUAL(r->slot[0].flags, NS_TXMON, "sent by the parent");
  EQUAL(pending(NETMAP_RXRING(other.nifp, 0)), 0, "the second waits for the first");
  EQUAL(drain(&z, 0, marks), 1, "one");
  EQUAL(drain(&other, 0, marks), 1, "now it has it");
  EQUAL(strcmp(marks, "x"), 0, "the frame: %s", marks);
  put(&b, 0, ALL, MAC("b"), 60, 'y');
  txsync(&b);
  EQUAL(drain(&z, 0, marks), 0, "arrived, but not released");
  rxsync(&a);
  EQUAL(take(&a, 0), 'y', "read");
  EQUAL(drain(&z, 0, marks), 0, "read, but not released");
  rxsync(&a);
  EQUAL(drain(&z, 0, marks), 1, "released");
  EQUAL(strcmp(marks, "y"), 0, "the frame: %s", marks);
  EQUAL(ask(z.fd, POLLOUT, 0), POLLERR, "nothing to send by");
  close_port(&z);
  put(&a, 0, ALL, MAC("a"), 60, 'z');
  txsync(&a);
  EQUAL(drain(&other, 0, marks), 2, "the second is the first now");
  EQUAL(strcmp(marks, "yz"), 0, "the frames: %s", marks);
  close_port(&a);
  EQUAL(ask(other.fd, POLLIN, 1000), POLLERR, "the parent is gone");
  EQUAL(rxsync(&other), 0, "which no sync says");
  close_port(&other);
  close_port(&b);
}

int main(void) {
  zero_copy();
  opening();
  watching();
  full();
  rings();
  pipes();
  endings();
  return finish();
}
