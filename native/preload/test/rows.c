/* SPDX-License-Identifier: BSD-2-Clause */
/* What requests say of memory, names and states that the other programs here do not come to, and what the
 * switch makes of rings, flags and chains of slots. */
#include "client.h"

#include <sys/socket.h>
#include <time.h>

static int simple(uint16_t type, const char *name, void *body) {
  const int fd = device();
  const int err = control(fd, type, name, body);
  close(fd);
  return err;
}

static void memory(void) {
  struct client c;
  EQUAL(open_port(&c, "valeR:m"), 0, "a port");
  struct nmreq_pools_info p;
  memset(&p, 0, sizeof p);
  EQUAL(simple(NETMAP_REQ_POOLS_INFO_GET, "valeR:m", &p), 0, "its pools");
  EQUAL(p.nr_memsize, c.reg.nr_memsize, "memsize");
  EQUAL(p.nr_mem_id, c.reg.nr_mem_id, "memory");
  CHECK(c.reg.nr_offset >= p.nr_if_pool_offset &&
            c.reg.nr_offset < p.nr_if_pool_offset +
                                  (uint64_t)p.nr_if_pool_objtotal * p.nr_if_pool_objsize,
        "the netmap_if is in the first");
  const uint64_t ring = (uint64_t)((char *)NETMAP_TXRING(c.nifp, 0) - c.mem);
  CHECK(ring >= p.nr_ring_pool_offset && (ring - p.nr_ring_pool_offset) % p.nr_ring_pool_objsize == 0,
        "rings are objects of the second");
  EQUAL(c.nifp == NULL ? 0 : NETMAP_TXRING(c.nifp, 0)->nr_buf_size, p.nr_buf_pool_objsize,
        "a buffer's size");
  EQUAL(NETMAP_BUF(NETMAP_TXRING(c.nifp, 0), 0) - c.mem, p.nr_buf_pool_offset, "buffer 0");
  CHECK(p.nr_if_pool_offset < p.nr_ring_pool_offset && p.nr_ring_pool_offset < p.nr_buf_pool_offset,
        "in this order");
  CHECK(p.nr_buf_pool_objtotal >= 2050, "buffers for its rings");
  CHECK(p.nr_buf_pool_offset + (uint64_t)p.nr_buf_pool_objtotal * p.nr_buf_pool_objsize <=
            p.nr_memsize,
        "within the memory");
  EQUAL(simple(NETMAP_REQ_POOLS_INFO_GET, "", &p), ENXIO, "of no port");
  EQUAL(simple(NETMAP_REQ_POOLS_INFO_GET, "no-such-nic", &p), ENXIO, "of nothing");
  EQUAL(simple(NETMAP_REQ_POOLS_INFO_GET, "valeR:to-be", &p), 0, "of a port to be");
  struct nmreq_port_info_get i;
  memset(&i, 0, sizeof i);
  i.nr_mem_id = c.reg.nr_mem_id;
  EQUAL(simple(NETMAP_REQ_PORT_INFO_GET, "", &i), 0, "a memory by its number");
  EQUAL(i.nr_memsize, c.reg.nr_memsize, "its size");
  memset(&i, 0, sizeof i);
  i.nr_mem_id = 54321;
  EQUAL(simple(NETMAP_REQ_PORT_INFO_GET, "", &i), EINVAL, "no such memory");
  /* Two ports in one memory. */
  struct client d;
  memset(&d, 0, sizeof d);
  d.reg.nr_mem_id = c.reg.nr_mem_id;
  EQUAL(attach_to(&d, "valeR:beside"), 0, "in the memory of another port");
  EQUAL(d.reg.nr_mem_id, c.reg.nr_mem_id, "is there");
  EQUAL(d.reg.nr_memsize, c.reg.nr_memsize, "as large");
  CHECK(NETMAP_TXRING(d.nifp, 0)->slot[0].buf_idx != NETMAP_TXRING(c.nifp, 0)->slot[0].buf_idx,
        "other buffers");
  close_port(&d);
  close_port(&c);
}

static void states(void) {
  struct nmreq_vale_attach at;
  struct nmreq_vale_detach de;
  struct nmreq_vale_newif wish = {0, 5000, 99, 0, 0, 0};
  struct nmreq_port_hdr hdr = {0, 0};
  EQUAL(simple(NETMAP_REQ_VALE_NEWIF, "pr0", &wish), 0, "a persistent port");
  EQUAL(wish.nr_tx_slots, 1024, "0 is 1024");
  EQUAL(wish.nr_rx_slots, 4096, "4096 at most");
  EQUAL(wish.nr_tx_rings, 16, "16 at most");
  EQUAL(wish.nr_rx_rings, 1, "0 is 1");
  memset(&at, 0, sizeof at);
  at.reg.nr_mode = NR_REG_ALL_NIC;
  at.reg.nr_mem_id = 54321;
  EQUAL(simple(NETMAP_REQ_VALE_ATTACH, "valeR:pr0", &at), EINVAL, "attached in an unknown memory");
  at.reg.nr_mem_id = 0;
  EQUAL(simple(NETMAP_REQ_VALE_ATTACH, "valeABCDEFGHIJKLMN:pr0", &at), ENOMEM, "a long switch");
  EQUAL(simple(NETMAP_REQ_VALE_ATTACH, "vale-x:pr0", &at), ENOMEM, "no name of a switch");
  EQUAL(simple(NETMAP_REQ_VALE_ATTACH, "valeR:", &at), EINVAL, "nothing");
  EQUAL(simple(NETMAP_REQ_VALE_DELIF, "lo", NULL), EINVAL, "an interface is not removed");
  EQUAL(simple(NETMAP_REQ_VALE_DETACH, "valeR:pr0", &de), ENXIO, "detached from where it is not");
  EQUAL(simple(NETMAP_REQ_VALE_DETACH, "valeABCDEFGHIJKLMN:x", &de), ENXIO, "a name too long");
  EQUAL(simple(NETMAP_REQ_PORT_HDR_GET, "pr0", &hdr), 0, "its header length, attached to nothing");
  EQUAL(simple(NETMAP_REQ_PORT_HDR_SET, "pr0", &hdr), ENXIO, "is set by the name on a switch");
  EQUAL(simple(NETMAP_REQ_PORT_HDR_GET, "valeR:x{1", &hdr), ENODEV, "of a pipe that is not there");
  at.reg.nr_mode = NR_REG_ONE_NIC; /* of meaning for interfaces alone */
  EQUAL(simple(NETMAP_REQ_VALE_ATTACH, "valeR:pr0", &at), 0, "attached");
  EQUAL(simple(NETMAP_REQ_VALE_ATTACH, "valeR2:pr0", &at), EBUSY, "to a second switch");
  /* Nobody has it open: it gets nothing, and is no destination. */
  struct client s, c;
  EQUAL(open_port(&s, "valeR:s"), 0, "a sender");
  put(&s, 0, ALL, MAC("s"), 60, 1);
  EQUAL(txsync(&s), 0, "to a port that is not open");
  EQUAL(open_port(&c, "valeR:pr0"), 0, "opened");
  EQUAL(pending(NETMAP_RXRING(c.nifp, 0)), 0, "nothing was kept for it");
  close_port(&c);
  close_port(&s);
  EQUAL(simple(NETMAP_REQ_VALE_DETACH, "valeR:pr0", &de), 0, "detached");
  EQUAL(simple(NETMAP_REQ_VALE_DELIF, "pr0", NULL), 0, "removed");
  struct nmreq q;
  memset(&q, 0, sizeof q);
  q.nr_version = NETMAP_API + 100;
  memset(q.nr_name, 'v', sizeof q.nr_name);
  memcpy(q.nr_name, "valeR:", 6);
  const int fd = device();
  EQUAL(ioctl(fd, NIOCGINFO, &q) ? errno : 0, 0, "a name of 16 characters without its end");
  q.nr_cmd = 9;
  EQUAL(ioctl(fd, NIOCREGIF, &q) ? errno : 0, ENOMEM, "command 9");
  q.nr_cmd = 77;
  EQUAL(ioctl(fd, NIOCREGIF, &q) ? errno : 0, EINVAL, "command 77");
  char settings[272] = "";
  EQUAL(ioctl(fd, NIOCCONFIG, settings) ? errno : 0, EINVAL, "settings of a switch that has none");
  close(fd);
}

/* Unicast stays in its ring, as far as the receiver has one; floods are in ring 0. */
static void rings(void) {
  struct client a, b;
  memset(&a, 0, sizeof a);
  a.reg.nr_tx_rings = 4;
  EQUAL(attach_to(&a, "valeR:a"), 0, "four to send");
  memset(&b, 0, sizeof b);
  b.reg.nr_rx_rings = 2;
  EQUAL(attach_to(&b, "valeR:b"), 0, "two to receive");
  put(&b, 0, ALL, MAC("b"), 60, 0);
  txsync(&b);
  for (unsigned k = 0; k < 4; k++) put(&a, k, MAC("b"), MAC("a"), 60, (unsigned char)(10 + k));
  for (unsigned k = 0; k < 4; k++) put(&a, k, ALL, MAC("a"), 60, (unsigned char)(20 + k));
  EQUAL(txsync(&a), 0, "sent");
  EQUAL(rxsync(&b), 0, "received");
  static const int first[] = {10, 20, 21, 12, 22, 23}, second[] = {11, 13};
  for (unsigned i = 0; i < 6; i++) EQUAL(take(&b, 0), first[i], "ring 0, frame %u", i);
  for (unsigned i = 0; i < 2; i++) EQUAL(take(&b, 1), second[i], "ring 1, frame %u", i);
  EQUAL(take(&b, 0), -1, "no more in ring 0");
  EQUAL(take(&b, 1), -1, "no more in ring 1");
  close_port(&b);
  close_port(&a);
}

static struct netmap_slot *last_slot(struct client *c) {
  struct netmap_ring *t = NETMAP_TXRING(c->nifp, 0);
  return &t->slot[(t->head + t->num_slots - 1) % t->num_slots];
}

static void chains(void) {
  struct client a, b, c;
  EQUAL(open_port(&a, "valeC:a"), 0, "a");
  EQUAL(open_port(&b, "valeC:b"), 0, "b");
  EQUAL(open_port(&c, "valeC:c"), 0, "c");
  struct netmap_ring *r = NETMAP_RXRING(b.nifp, 0);
  /* A chain without an end is one as it is. */
  put(&a, 0, ALL, MAC("a"), 60, 1);
  last_slot(&a)->flags = NS_MOREFRAG;
  put(&a, 0, ALL, MAC("a"), 60, 2);
  last_slot(&a)->flags = NS_MOREFRAG;
  EQUAL(txsync(&a), 0, "a chain without an end");
  EQUAL(rxsync(&b), 0, "rxsync");
  EQUAL(pending(r), 2, "both slots");
  EQUAL(r->slot[r->head].flags & NS_MOREFRAG, NS_MOREFRAG, "the first goes on");
  EQUAL(r->slot[next_slot(r, r->head)].flags & NS_MOREFRAG, 0, "the second ends it");
  take(&b, 0), take(&b, 0);
  rxsync(&b);
  /* More than 64 slots are none. */
  for (unsigned i = 0; i < 70; i++) {
    put(&a, 0, ALL, MAC("a"), 60, (unsigned char)i);
    if (i < 69) last_slot(&a)->flags = NS_MOREFRAG;
  }
  put(&a, 0, ALL, MAC("a"), 60, 99);
  EQUAL(txsync(&a), 0, "a chain of 70");
  rxsync(&b);
  EQUAL(take(&b, 0), 99, "is dropped, what follows arrives");
  /* Too short for an address. */
  put(&a, 0, ALL, MAC("a"), 60, 1);
  last_slot(&a)->len = 13;
  put(&a, 0, ALL, MAC("a"), 60, 2);
  last_slot(&a)->len = 0;
  put(&a, 0, ALL, MAC("a"), 60, 98);
  EQUAL(txsync(&a), 0, "13 bytes, and none");
  rxsync(&b);
  EQUAL(take(&b, 0), 98, "are dropped");
  EQUAL(take(&b, 0), -1, "alone");
  /* NS_NO_LEARN: its address is not noted. */
  while (take(&c, 0) >= 0 || (rxsync(&c), pending(NETMAP_RXRING(c.nifp, 0)) != 0)) {
  }
  put(&b, 0, ALL, MAC("n"), 60, 5);
  last_slot(&b)->flags = NS_NO_LEARN;
  txsync(&b);
  rxsync(&c);
  EQUAL(take(&c, 0), 5, "sent");
  put(&a, 0, MAC("n"), MAC("a"), 60, 6);
  txsync(&a);
  rxsync(&c);
  EQUAL(take(&c, 0), 6, "unknown still: flooded");
  put(&b, 0, ALL, MAC("n"), 60, 7);
  txsync(&b);
  rxsync(&c);
  EQUAL(take(&c, 0), 7, "sent without the flag");
  put(&a, 0, MAC("n"), MAC("a"), 60, 8);
  txsync(&a);
  rxsync(&c);
  EQUAL(take(&c, 0), -1, "known now");
  /* The address moves with its next frame. */
  put(&c, 0, ALL, MAC("n"), 60, 9);
  txsync(&c);
  put(&a, 0, MAC("n"), MAC("a"), 60, 10);
  txsync(&a);
  rxsync(&c);
  EQUAL(take(&c, 0), 10, "to where it moved");
  /* A group address is never a source. */
  put(&b, 0, MAC("z"), "\001\0\0\0\0\1", 60, 11);
  txsync(&b);
  rxsync(&c);
  EQUAL(take(&c, 0), 11, "from a group address");
  put(&a, 0, "\001\0\0\0\0\1", MAC("a"), 60, 12);
  txsync(&a);
  rxsync(&c);
  EQUAL(take(&c, 0), 12, "to that group: everybody");
  close_port(&c);
  close_port(&b);
  close_port(&a);
}

/* A receiver keeps a buffer and puts another one into the slot that it gives back. */
static void swapping(void) {
  struct client a, b;
  EQUAL(open_port(&a, "valeS:a"), 0, "a sender");
  memset(&b, 0, sizeof b);
  b.reg.nr_extra_bufs = 1;
  b.reg.nr_flags = NR_DO_RX_POLL; /* taken, and of no effect */
  EQUAL(attach_to(&b, "valeS:b"), 0, "a receiver with a buffer to spare");
  EQUAL(b.reg.nr_flags, NR_DO_RX_POLL, "flags stay");
  struct netmap_ring *r = NETMAP_RXRING(b.nifp, 0);
  const uint32_t spare = b.nifp->ni_bufs_head, kept = r->slot[0].buf_idx;
  put(&a, 0, ALL, MAC("a"), 60, 77);
  txsync(&a);
  rxsync(&b);
  r->slot[0].buf_idx = spare;
  r->slot[0].flags |= NS_BUF_CHANGED;
  r->head = r->cur = 1;
  EQUAL(rxsync(&b), 0, "released with another buffer");
  b.nifp->ni_bufs_head = 0;
  /* Once round the ring: the first slot is filled again. */
  for (unsigned sent = 1; sent <= r->num_slots; sent += 64) {
    for (unsigned i = 0; i < 64; i++) put(&a, 0, ALL, MAC("a"), 60, (unsigned char)(i + 1));
    txsync(&a);
    rxsync(&b);
    if (sent + 64 <= r->num_slots)
      while (take(&b, 0) >= 0) continue;
  }
  EQUAL(r->slot[0].buf_idx, spare, "the buffer that was put there");
  EQUAL(r->slot[0].flags, 0x0100, "flags of a frame, as if nothing had changed");
  EQUAL(NETMAP_BUF(r, spare)[59], 64, "has the frame in it");
  EQUAL(NETMAP_BUF(r, kept)[59], 77, "and the one that was kept has its own");
  close_port(&b);
  /* Extra buffers are free again at the end: they never run out. */
  int err = 0;
  for (unsigned i = 0; i < 40 && err == 0; i++) {
    memset(&b, 0, sizeof b);
    b.reg.nr_extra_bufs = 2000;
    err = attach_to(&b, "valeS:a");
    if (err == 0 && b.reg.nr_extra_bufs < 1000) err = ENOMEM;
    close_port(&b);
  }
  EQUAL(err, 0, "of the port that another has open");
  close_port(&a);
}

/* NS_PORT: the sender says itself where a frame goes, by the index that listings show. */
static void steering(void) {
  struct client a, b, c;
  struct nmreq_vale_list l;
  memset(&l, 0, sizeof l);
  EQUAL(open_port(&a, "valeN:a"), 0, "a");
  EQUAL(open_port(&b, "valeN:b"), 0, "b");
  EQUAL(open_port(&c, "valeN:c"), 0, "c");
  EQUAL(simple(NETMAP_REQ_VALE_LIST, "valeN:c", &l), 0, "where c is");
  put(&a, 0, ALL, MAC("a"), 60, 9);
  last_slot(&a)->flags = (uint16_t)(l.nr_port_idx << NS_PORT_SHIFT);
  EQUAL(txsync(&a), 0, "sent to c alone");
  rxsync(&b);
  rxsync(&c);
  EQUAL(take(&b, 0), -1, "not to b");
  EQUAL(take(&c, 0), 9, "to c, broadcast or not");
  close_port(&c);
  close_port(&b);
  close_port(&a);
}

/* A header that only one of two ports has is put before a frame, or taken away. */
static void headers(void) {
  struct client plain, with;
  struct nmreq_port_hdr hdr = {12, 0};
  EQUAL(open_port(&plain, "valeH:plain"), 0, "without");
  memset(&with, 0, sizeof with);
  with.reg.nr_flags = NR_ACCEPT_VNET_HDR;
  EQUAL(attach_to(&with, "valeH:with"), 0, "with");
  EQUAL(simple(NETMAP_REQ_PORT_HDR_SET, "valeH:with", &hdr), 0, "12 bytes");
  put(&plain, 0, ALL, MAC("p"), 60, 1);
  txsync(&plain);
  rxsync(&with);
  const struct netmap_ring *r = NETMAP_RXRING(with.nifp, 0);
  EQUAL(r->slot[0].len, 72, "a header was put before it");
  EQUAL(memcmp(NETMAP_BUF((struct netmap_ring *)r, r->slot[0].buf_idx), "\0\0\0\0\0\0\0\0\0\0\0", 12), 0,
        "of zeros");
  EQUAL(take(&with, 0), 1, "and the frame behind it");
  struct netmap_ring *t = NETMAP_TXRING(with.nifp, 0);
  char *p = NETMAP_BUF(t, t->slot[t->head].buf_idx);
  memset(p, 0, 72);
  memcpy(p + 12, ALL MAC("w"), 12);
  p[71] = 2;
  t->slot[t->head].len = 72;
  t->head = t->cur = next_slot(t, t->head);
  txsync(&with);
  rxsync(&plain);
  r = NETMAP_RXRING(plain.nifp, 0);
  EQUAL(r->slot[0].len, 60, "the header was taken away");
  EQUAL(take(&plain, 0), 2, "the frame stays");
  close_port(&with);
  close_port(&plain);
}

/* Who gives up the rights to open a port keeps those that are open, and reaches whom they reached. */
static void privileges(void) {
  struct client receiver;
  EQUAL(open_port(&receiver, "valeU:receiver"), 0, "a receiver");
  const pid_t child = fork();
  if (child == 0) {
    struct client c;
    if (open_port(&c, "valeU:sender") != 0) _exit(1);
    const uid_t user = getuid() == 0 ? 65534 : getuid();
    if (setuid(user) != 0 || chdir("/") != 0) _exit(2);
    put(&c, 0, ALL, MAC("u"), 60, 44);
    if (txsync(&c) != 0) _exit(3);
    if (ask(c.fd, POLLOUT, 0) != POLLOUT) _exit(4);
    if (map(&c) != 0 && user != 65534) _exit(5);
    _exit(close(c.fd));
  }
  int status = -1;
  waitpid(child, &status, 0);
  EQUAL(status, 0, "who changed its user");
  rxsync(&receiver);
  EQUAL(take(&receiver, 0), 44, "sent");
  const int fd = device();
  struct nmreq_vale_list l;
  EQUAL(control(fd, NETMAP_REQ_VALE_LIST, "valeU:sender", &l), 0, "looked for");
  EQUAL(l.nr_port_idx, 255, "its port is gone");
  close(fd);
  close_port(&receiver);
}

/* Numbers that come in messages of several, and those that a close-on-exec span leaves open. */
static void messages(void) {
  int pair[2];
  struct client a, b;
  EQUAL(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0, "socketpair");
  EQUAL(open_port(&a, "valeX:a"), 0, "a");
  EQUAL(open_port(&b, "valeX:b"), 0, "b");
  char space[CMSG_SPACE(2 * sizeof(int))], byte = 'x';
  struct iovec v = {&byte, 1};
  struct mmsghdr m;
  memset(&m, 0, sizeof m);
  memset(space, 0, sizeof space);
  m.msg_hdr.msg_iov = &v;
  m.msg_hdr.msg_iovlen = 1;
  m.msg_hdr.msg_control = space;
  m.msg_hdr.msg_controllen = sizeof space;
  struct cmsghdr *c = CMSG_FIRSTHDR(&m.msg_hdr);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const int fds[2] = {a.fd, b.fd};
  memcpy(CMSG_DATA(c), fds, sizeof fds);
  EQUAL(sendmmsg(pair[0], &m, 1, 0), 1, "two ports in a message");
  close_port(&a);
  close_port(&b);
  memset(space, 0, sizeof space);
  const struct timespec second = {1, 0};
  struct timespec patience = second;
  EQUAL(recvmmsg(pair[1], &m, 1, 0, &patience), 1, "received");
  int got[2];
  memcpy(got, CMSG_DATA(CMSG_FIRSTHDR(&m.msg_hdr)), sizeof got);
  for (unsigned i = 0; i < 2; i++) EQUAL(ioctl(got[i], NIOCTXSYNC, 0) ? errno : 0, 0, "port %u", i);
  EQUAL(close_range((unsigned)got[0], (unsigned)got[0], 4 /* CLOSE_RANGE_CLOEXEC */), 0, "a span");
  EQUAL(fcntl(got[0], F_GETFD), FD_CLOEXEC, "closes on exec");
  EQUAL(ioctl(got[0], NIOCTXSYNC, 0) ? errno : 0, 0, "and not yet");
  for (unsigned i = 0; i < 2; i++) EQUAL(close(got[i]), 0, "closed");
  close(pair[0]);
  close(pair[1]);
}

int main(void) {
  memory();
  states();
  rings();
  chains();
  swapping();
  steering();
  headers();
  privileges();
  messages();
  return finish();
}
