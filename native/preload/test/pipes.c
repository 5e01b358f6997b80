/* SPDX-License-Identifier: BSD-2-Clause */
/* Pipes and null ports as programs open them: names, geometry, memory, hand-over, room, endings. */
#include "client.h"

static int reg_error(const char *name, uint32_t mode, uint64_t flags, uint16_t ring) {
  struct client c;
  memset(&c, 0, sizeof c);
  c.reg.nr_mode = mode;
  c.reg.nr_flags = flags;
  c.reg.nr_ringid = ring;
  const int err = attach_to(&c, name);
  close_port(&c);
  return err;
}

static int info_of(const char *name, struct nmreq_port_info_get *info) {
  const int fd = device();
  memset(info, 0, sizeof *info);
  const int err = control(fd, NETMAP_REQ_PORT_INFO_GET, name, info);
  close(fd);
  return err;
}

static void names(void) {
  static const struct {
    const char *name;
    int err;
  } table[] = {
      {"vale0:a{1", 0},
      {"vale0:a}1", 0},
      {"vale0:a{name", 0},
      {"vale0:a}N_4me", 0},
      {"pp{0", 0},
      {"pp}0", 0},
      {"pp{pipe_with_a_long_name", 0},
      {"vale0:a{", EINVAL},
      {"vale0:a}", EINVAL},
      {"{1", EINVAL},
      {"}1", EINVAL},
      {"a_parent_of_16ch{1", ENXIO},
      {"vale0:a{1{2", EINVAL},
  };
  for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
    EQUAL(reg_error(table[i].name, NR_REG_ALL_NIC, 0, 0), table[i].err, "pipe %s", table[i].name);
  EQUAL(reg_error("vale0:a{1", NR_REG_ONE_NIC, 0, 0), 0, "one ring");
  EQUAL(reg_error("vale0:a{1", NR_REG_ONE_NIC, 0, 1), EINVAL, "a ring it has not");
  EQUAL(reg_error("vale0:a{1", NR_REG_SW, 0, 0), EINVAL, "host rings");
  EQUAL(reg_error("vale0:a{1", NR_REG_NIC_SW, 0, 0), EINVAL, "host rings too");
  EQUAL(reg_error("vale0:a{1", NR_REG_ONE_SW, 0, 0), EINVAL, "one host ring");
  EQUAL(reg_error("vale0:a", NR_REG_PIPE_MASTER, 0, 1), EINVAL, "the mode of before");
  EQUAL(reg_error("vale0:a", NR_REG_PIPE_SLAVE, 0, 1), EINVAL, "and its other end");
  /* The parent goes with the last pipe; what a listing shows is ports of switches. */
  struct nmreq_vale_list l;
  const int fd = device();
  memset(&l, 0, sizeof l);
  EQUAL(control(fd, NETMAP_REQ_VALE_LIST, "vale0:a", &l), ENOENT, "nothing stays");
  struct nmreq_port_hdr hdr = {0, 0};
  EQUAL(control(fd, NETMAP_REQ_PORT_HDR_GET, "vale0:a{1", &hdr), ENODEV, "header of no pipe");
  EQUAL(control(fd, NETMAP_REQ_PORT_HDR_SET, "vale0:a{1", &hdr), ENXIO, "a pipe's header");
  struct nmreq_port_info_get info;
  EQUAL(control(fd, NETMAP_REQ_PORT_INFO_GET, "vale0:a{1", memset(&info, 0, sizeof info)), 0,
        "what it would be");
  EQUAL(info.nr_tx_slots, 1024, "its slots");
  EQUAL(info.nr_host_tx_rings, 0, "no host rings");
  close(fd);
}

static void geometry(void) {
  struct client a, m, s;
  memset(&a, 0, sizeof a);
  a.reg.nr_tx_slots = 128;
  a.reg.nr_rx_slots = 256;
  a.reg.nr_tx_rings = 2;
  EQUAL(attach_to(&a, "valeG:a"), 0, "the parent");
  EQUAL(open_port(&m, "valeG:a{1"), 0, "an end");
  EQUAL(m.reg.nr_mem_id, a.reg.nr_mem_id, "the parent's memory");
  EQUAL(m.reg.nr_memsize, a.reg.nr_memsize, "all of it");
  EQUAL(m.reg.nr_tx_rings, 1, "one ring unless more are asked for");
  EQUAL(m.reg.nr_rx_rings, 1, "each way");
  EQUAL(m.reg.nr_tx_slots, 128, "the parent's tx slots");
  EQUAL(m.reg.nr_rx_slots, 256, "the parent's rx slots");
  EQUAL(open_port(&s, "valeG:a}1"), 0, "the other end");
  EQUAL(s.reg.nr_tx_slots, 256, "the other way round");
  EQUAL(s.reg.nr_rx_slots, 128, "the other way round");
  EQUAL(s.reg.nr_mem_id, a.reg.nr_mem_id, "the same memory");
  EQUAL(memcmp(m.nifp->ni_name, "valeG:a{1", 10), 0, "ni_name %s", m.nifp->ni_name);
  EQUAL(m.nifp->ni_host_tx_rings, 1, "as every port says");
  EQUAL(m.reg.nr_host_tx_rings, 0, "but there is none");
  struct netmap_ring *t = NETMAP_TXRING(m.nifp, 0), *r = NETMAP_RXRING(s.nifp, 0);
  unsigned differ = 0;
  for (unsigned i = 0; i < t->num_slots; i++) differ += t->slot[i].buf_idx != r->slot[i].buf_idx;
  EQUAL(differ, 0, "slot k of both is one buffer");
  t = NETMAP_TXRING(s.nifp, 0), r = NETMAP_RXRING(m.nifp, 0);
  for (unsigned i = 0; i < t->num_slots; i++) differ += t->slot[i].buf_idx != r->slot[i].buf_idx;
  EQUAL(differ, 0, "and the other way");
  struct nmreq_port_info_get info;
  EQUAL(info_of("valeG:a}1", &info), 0, "info");
  EQUAL(info.nr_tx_slots, 256, "of this end");
  EQUAL(info.nr_mem_id, a.reg.nr_mem_id, "of its memory");
  close_port(&m);
  close_port(&s);
  close_port(&a);
  /* Wishes; the first decides. */
  memset(&m, 0, sizeof m);
  m.reg.nr_tx_rings = 2;
  m.reg.nr_rx_rings = 3;
  m.reg.nr_tx_slots = 32;
  m.reg.nr_rx_slots = 64;
  EQUAL(attach_to(&m, "ppg{x"), 0, "of no port");
  EQUAL(m.reg.nr_tx_rings, 2, "tx rings");
  EQUAL(m.reg.nr_rx_rings, 3, "rx rings");
  memset(&s, 0, sizeof s);
  s.reg.nr_tx_slots = 999;
  EQUAL(attach_to(&s, "ppg}x"), 0, "its other end");
  EQUAL(s.reg.nr_tx_rings, 3, "tx rings");
  EQUAL(s.reg.nr_rx_rings, 2, "rx rings");
  EQUAL(s.reg.nr_tx_slots, 64, "not what is asked for later");
  const int fd = device();
  struct nmreq_vale_newif wish;
  memset(&wish, 0, sizeof wish);
  EQUAL(control(fd, NETMAP_REQ_VALE_NEWIF, "ppg", &wish), EEXIST, "the hidden parent's name");
  EQUAL(control(fd, NETMAP_REQ_VALE_DELIF, "ppg", NULL), EINVAL, "is not to be removed");
  close_port(&m);
  EQUAL(control(fd, NETMAP_REQ_VALE_DELIF, "ppg", NULL), EINVAL, "while one end is open");
  close_port(&s);
  EQUAL(control(fd, NETMAP_REQ_VALE_DELIF, "ppg", NULL), ENXIO, "gone with the last");
  /* Of a persistent port, which cannot go meanwhile. An interface's name may be a parent's too. */
  EQUAL(control(fd, NETMAP_REQ_VALE_NEWIF, "ppk", &wish), 0, "persistent");
  EQUAL(open_port(&m, "ppk{1"), 0, "its pipe");
  EQUAL(m.reg.nr_mem_id, wish.nr_mem_id, "in its memory");
  EQUAL(control(fd, NETMAP_REQ_VALE_DELIF, "ppk", NULL), EBUSY, "in use");
  close_port(&m);
  EQUAL(control(fd, NETMAP_REQ_VALE_DELIF, "ppk", NULL), 0, "no more");
  close(fd);
  EQUAL(open_port(&m, "lo{1"), 0, "an interface's name");
  EQUAL(open_port(&s, "lo}1"), 0, "both ends");
  EQUAL(open_port(&a, "lo"), ENXIO, "which is no port");
  close_port(&m);
  close_port(&s);
  /* Memory by its id. */
  EQUAL(open_port(&a, "valeG:b"), 0, "a port");
  memset(&m, 0, sizeof m);
  m.reg.nr_mem_id = a.reg.nr_mem_id;
  EQUAL(attach_to(&m, "valeG:b{1"), 0, "the id that it has anyway");
  close_port(&m);
  memset(&m, 0, sizeof m);
  m.reg.nr_mem_id = 54321;
  EQUAL(attach_to(&m, "valeG:b{1"), EINVAL, "an id that is none");
  /* Exclusive; one direction. */
  memset(&m, 0, sizeof m);
  m.reg.nr_flags = NR_EXCLUSIVE | NR_TX_RINGS_ONLY;
  EQUAL(attach_to(&m, "valeG:b{1"), 0, "exclusive, tx only");
  CHECK(m.nifp->ring_ofs[0] != 0 && m.nifp->ring_ofs[2] == 0, "one direction");
  EQUAL(reg_error("valeG:b{1", NR_REG_ALL_NIC, 0, 0), EBUSY, "taken");
  EQUAL(reg_error("valeG:b{1", NR_REG_ALL_NIC, NR_RX_RINGS_ONLY, 0), 0, "the rest of it");
  EQUAL(reg_error("valeG:b}1", NR_REG_ALL_NIC, NR_EXCLUSIVE, 0), 0, "the other end is another");
  close_port(&m);
  close_port(&a);
}

static void hand_over(void) {
  struct client m, s;
  memset(&m, 0, sizeof m);
  m.reg.nr_tx_slots = m.reg.nr_rx_slots = 8;
  EQUAL(attach_to(&m, "valeH:a{1"), 0, "an end alone");
  struct netmap_ring *t = NETMAP_TXRING(m.nifp, 0);
  EQUAL(t->tail, 7, "room");
  int sent = 0;
  while (put(&m, 0, ALL, MAC("m"), 60, (unsigned char)(sent + 1))) sent++;
  EQUAL(sent, 7, "it fills");
  t->slot[2].flags = NS_BUF_CHANGED | NS_REPORT;
  t->slot[3].ptr = 0x123456789;
  t->slot[4].len = 0;
  EQUAL(txsync(&m), 0, "txsync");
  EQUAL(t->tail, 7, "nobody released anything");
  EQUAL(t->slot[2].flags, NS_REPORT, "NS_BUF_CHANGED is cleared, nothing else");
  EQUAL(ask(m.fd, POLLOUT, 0), 0, "no room");
  EQUAL(ask(m.fd, POLLIN | POLLOUT, 0), 0, "no room, nothing in");
  EQUAL(open_port(&s, "valeH:a}1"), 0, "the other end, later");
  struct netmap_ring *r = NETMAP_RXRING(s.nifp, 0);
  EQUAL(ask(s.fd, POLLIN, 0), POLLIN, "frames wait");
  EQUAL(r->tail, 7, "all");
  EQUAL(r->slot[0].flags, 0, "flags as they were sent, no number of slots");
  EQUAL(r->slot[2].flags, NS_REPORT, "flags pass");
  EQUAL(r->slot[3].ptr, 0x123456789, "ptr passes");
  EQUAL(r->slot[4].len, 0, "an empty slot passes");
  EQUAL(r->slot[5].buf_idx, t->slot[5].buf_idx, "no copy");
  EQUAL(take(&s, 0), 1, "first");
  EQUAL(take(&s, 0), 2, "second");
  EQUAL(txsync(&m), 0, "not released yet");
  EQUAL(t->tail, 7, "no room");
  EQUAL(rxsync(&s), 0, "release");
  EQUAL(ask(m.fd, POLLOUT, 1000), POLLOUT, "room");
  EQUAL(t->tail, 1, "as much as was released");
  EQUAL(put(&m, 0, ALL, MAC("m"), 60, 8), 1, "one more");
  EQUAL(put(&m, 0, ALL, MAC("m"), 60, 9), 1, "and one");
  EQUAL(put(&m, 0, ALL, MAC("m"), 60, 10), 0, "full");
  EQUAL(txsync(&m), 0, "send");
  /* A receiver that swaps says so, and the sender finds the buffer. */
  const uint32_t other = r->slot[0].buf_idx;
  const uint32_t mine = r->slot[r->head].buf_idx;
  EQUAL(r->head, 2, "third slot");
  r->slot[2].buf_idx = other;
  r->slot[2].flags |= NS_BUF_CHANGED;
  r->slot[0].buf_idx = mine;
  r->head = r->cur = 3;
  EQUAL(rxsync(&s), 0, "release");
  EQUAL(txsync(&m), 0, "look");
  EQUAL(t->slot[2].buf_idx, other, "the swapped buffer");
  EQUAL(t->slot[2].flags & NS_BUF_CHANGED, NS_BUF_CHANGED, "and that it changed");
  t->slot[2].buf_idx = mine;
  /* Frames of several slots appear whole. */
  while (pending(r) != 0) r->head = r->cur = next_slot(r, r->head);
  EQUAL(rxsync(&s), 0, "empty it");
  while (take(&s, 0) >= 0) {
  }
  rxsync(&s);
  txsync(&m);
  const uint32_t first = t->head;
  put(&m, 0, ALL, MAC("m"), 60, 1);
  put(&m, 0, ALL, MAC("m"), 60, 2);
  t->slot[next_slot(t, first)].flags = NS_MOREFRAG;
  EQUAL(txsync(&m), 0, "a frame and a part");
  rxsync(&s);
  EQUAL(pending(r), 1, "the whole one alone");
  put(&m, 0, ALL, MAC("m"), 60, 3);
  EQUAL(txsync(&m), 0, "its end");
  rxsync(&s);
  EQUAL(pending(r), 3, "both parts");
  EQUAL(r->slot[next_slot(r, r->head)].flags, NS_MOREFRAG, "as it was sent");
  take(&s, 0);
  take(&s, 0);
  take(&s, 0);
  rxsync(&s);
  /* Indices that make no sense harm nobody. */
  t->head = 99;
  EQUAL(txsync(&m), 0, "a head beyond the ring");
  CHECK(t->head < 8 && t->cur == t->head, "is put back");
  EQUAL(txsync(&m), 0, "all is free");
  EQUAL(put(&m, 0, ALL, MAC("m"), 60, 9), 1, "goes on");
  EQUAL(txsync(&m), 0, "send");
  const uint32_t at = t->head;
  t->cur = t->head = (t->tail + 1) % 8;
  EQUAL(txsync(&m), 0, "a head beyond the tail");
  EQUAL(t->head, at, "is put back");
  r->cur = 77;
  EQUAL(rxsync(&s), 0, "a cur beyond the ring");
  EQUAL(take(&s, 0), 9, "arrived");
  EQUAL(rxsync(&s), 0, "release");
  EQUAL(ask(s.fd, POLLIN, 0), 0, "nothing else was sent");
  /* Closing an end keeps what is on the way; both closed, it is gone. */
  put(&m, 0, ALL, MAC("m"), 60, 5);
  put(&m, 0, ALL, MAC("m"), 60, 6);
  txsync(&m);
  close_port(&s);
  EQUAL(txsync(&m), 0, "alone again");
  EQUAL(open_port(&s, "valeH:a}1"), 0, "reopened");
  rxsync(&s);
  EQUAL(take(&s, 0), 5, "where it was");
  rxsync(&s);
  close_port(&m);
  EQUAL(ask(s.fd, POLLIN, 0), POLLIN, "the sender left");
  EQUAL(take(&s, 0), 6, "what it sent stays");
  EQUAL(ask(s.fd, POLLIN, 20), 0, "no error, just nothing");
  close_port(&s);
  EQUAL(open_port(&s, "valeH:a}1"), 0, "a new one");
  rxsync(&s);
  EQUAL(pending(NETMAP_RXRING(s.nifp, 0)), 0, "is empty");
  EQUAL(s.reg.nr_tx_slots, 1024, "and has its own size");
  close_port(&s);
}

/* A process that waits for room, or for a frame, is woken by the other. */
static void sleeping(void) {
  struct client m, s;
  memset(&m, 0, sizeof m);
  m.reg.nr_tx_slots = m.reg.nr_rx_slots = 4;
  EQUAL(attach_to(&m, "ppw{1"), 0, "one end");
  EQUAL(open_port(&s, "ppw}1"), 0, "the other");
  for (int direction = 0; direction < 2; direction++) {
    while (direction == 1 && put(&m, 0, ALL, MAC("m"), 60, 3)) txsync(&m);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      usleep(30000);
      if (direction == 0) {
        put(&m, 0, ALL, MAC("m"), 60, 2);
        _exit(txsync(&m) != 0);
      }
      rxsync(&s);
      take(&s, 0);
      _exit(rxsync(&s) != 0);
    }
    if (direction == 0) {
      EQUAL(ask(s.fd, POLLIN, 5000), POLLIN, "woken by a frame");
      EQUAL(take(&s, 0), 2, "which one");
      rxsync(&s);
    } else {
      EQUAL(ask(m.fd, POLLOUT, 5000), POLLOUT, "woken by room");
    }
    int status;
    waitpid(child, &status, 0);
    EQUAL(status, 0, "the child's part");
  }
  close_port(&m);
  close_port(&s);
}

/* The older requests name a pipe by mode and number. */
static void older(void) {
  struct nmreq q;
  int fd[2];
  for (unsigned k = 0; k < 2; k++) {
    memset(&q, 0, sizeof q);
    q.nr_version = NETMAP_API;
    strcpy(q.nr_name, "valeQ:o");
    q.nr_ringid = 3;
    q.nr_flags = k == 0 ? NR_REG_PIPE_MASTER : NR_REG_PIPE_SLAVE;
    fd[k] = device();
    EQUAL(ioctl(fd[k], NIOCREGIF, &q) ? errno : 0, 0, "end %u", k);
    EQUAL(q.nr_ringid, 3, "ringid stays");
    EQUAL(q.nr_flags, k == 0 ? NR_REG_PIPE_MASTER : NR_REG_PIPE_SLAVE, "flags stay");
    EQUAL(strcmp(q.nr_name, "valeQ:o"), 0, "the name stays");
  }
  struct client m;
  EQUAL(open_port(&m, "valeQ:o{3"), 0, "the same by its name");
  EQUAL(m.reg.nr_mem_id, q.nr_arg2, "the same memory");
  close_port(&m);
  close(fd[0]);
  close(fd[1]);
}

static void null_ports(void) {
  struct client a, n;
  EQUAL(reg_error("anything", NR_REG_NULL, 0, 0), EINVAL, "without a memory");
  EQUAL(open_port(&a, "valeU:a"), 0, "a port");
  memset(&n, 0, sizeof n);
  n.reg.nr_mode = NR_REG_NULL;
  n.reg.nr_mem_id = 54321;
  EQUAL(attach_to(&n, "anything"), EINVAL, "in a memory that is none");
  memset(&n, 0, sizeof n);
  n.reg.nr_mode = NR_REG_NULL;
  n.reg.nr_mem_id = a.reg.nr_mem_id;
  n.reg.nr_extra_bufs = 5;
  EQUAL(attach_to(&n, "any {name}"), 0, "in one that is there");
  EQUAL(n.reg.nr_tx_rings, 0, "no rings");
  EQUAL(n.reg.nr_rx_rings, 0, "none at all");
  EQUAL(n.reg.nr_extra_bufs, 5, "extra buffers");
  EQUAL(n.reg.nr_memsize, a.reg.nr_memsize, "that memory");
  const struct netmap_ring *r = NETMAP_TXRING(a.nifp, 0);
  unsigned count = 0;
  for (uint32_t i = n.nifp->ni_bufs_head; i != 0 && count < 10; count++) {
    CHECK(i >= 2, "no reserved buffer");
    memcpy(&i, NETMAP_BUF(r, i), sizeof i);
  }
  EQUAL(count, 5, "in a list");
  EQUAL(txsync(&n), 0, "txsync does nothing");
  EQUAL(rxsync(&n), 0, "rxsync does nothing");
  EQUAL(ask(n.fd, POLLIN | POLLOUT, 0), 0, "nothing to wait for");
  close_port(&n);
  memset(&n, 0, sizeof n);
  n.reg.nr_mode = NR_REG_NULL;
  n.reg.nr_mem_id = a.reg.nr_mem_id;
  n.reg.nr_tx_rings = 2;
  n.reg.nr_rx_rings = 1;
  n.reg.nr_tx_slots = 16;
  EQUAL(attach_to(&n, ""), 0, "with rings");
  EQUAL(n.reg.nr_tx_rings, 2, "as many");
  EQUAL(NETMAP_TXRING(n.nifp, 1)->num_slots, 16, "as long");
  EQUAL(open_port(&n, "valeU:none"), 0, "another port");
  close_port(&n);
  struct nmreq_vale_attach at;
  memset(&at, 0, sizeof at);
  at.reg.nr_mode = NR_REG_NULL;
  const int fd = device();
  EQUAL(control(fd, NETMAP_REQ_VALE_ATTACH, "valeU:nul", &at), EINVAL, "attached to a switch");
  close(fd);
  close_port(&a);
}

/* Programs written for the reference share extra buffers and many pipes with one port, as lb(8) does. */
static void many(void) {
  struct client in, out[8];
  memset(&in, 0, sizeof in);
  in.reg.nr_extra_bufs = 64;
  in.reg.nr_flags = NR_EXCLUSIVE;
  EQUAL(attach_to(&in, "valeY:in"), 0, "the input");
  EQUAL(in.reg.nr_extra_bufs, 64, "its extra buffers");
  for (unsigned k = 0; k < 8; k++) {
    char name[32];
    snprintf(name, sizeof name, "valeY:in{%u", k);
    memset(&out[k], 0, sizeof out[k]);
    out[k].reg.nr_flags = NR_EXCLUSIVE | NR_TX_RINGS_ONLY;
    out[k].reg.nr_mem_id = in.reg.nr_mem_id;
    EQUAL(attach_to(&out[k], name), 0, "output %u", k);
    EQUAL(out[k].reg.nr_mem_id, in.reg.nr_mem_id, "in one memory");
  }
  for (unsigned k = 0; k < 8; k++) close_port(&out[k]);
  close_port(&in);
}

int main(void) {
  names();
  geometry();
  hand_over();
  sleeping();
  older();
  null_ports();
  many();
  return finish();
}
