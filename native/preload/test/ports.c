/* SPDX-License-Identifier: BSD-2-Clause */
/* Persistent ports, listings, attachments, several opens of a port, and the older requests. */
#include "client.h"

static int simple(uint16_t type, const char *name, void *body) {
  const int fd = device();
  const int err = control(fd, type, name, body);
  close(fd);
  return err;
}

static void persistent(void) {
  struct nmreq_vale_newif wish = {100, 200, 2, 3, 0, 0};
  EQUAL(simple(NETMAP_REQ_VALE_NEWIF, "pp0", &wish), 0, "create");
  EQUAL(wish.nr_tx_slots, 100, "tx slots");
  EQUAL(wish.nr_rx_rings, 3, "rx rings");
  CHECK(wish.nr_mem_id != 0, "memory");
  EQUAL(simple(NETMAP_REQ_VALE_NEWIF, "pp0", &wish), EEXIST, "twice");
  EQUAL(simple(NETMAP_REQ_VALE_NEWIF, "lo", &wish), EEXIST, "an interface's name");
  EQUAL(simple(NETMAP_REQ_VALE_NEWIF, "valexyz", &wish), EINVAL, "a switch's name");
  EQUAL(simple(NETMAP_REQ_VALE_NEWIF, "1234567890123456", &wish), EINVAL, "16 characters");
  wish.nr_mem_id = 54321;
  EQUAL(simple(NETMAP_REQ_VALE_NEWIF, "pp1", &wish), EINVAL, "unknown memory");
  struct client c, d;
  EQUAL(open_port(&c, "pp0"), 0, "open while attached to nothing");
  EQUAL(c.reg.nr_tx_slots, 100, "its slots");
  EQUAL(c.reg.nr_rx_rings, 3, "its rings");
  put(&c, 0, ALL, MAC("p"), 60, 1);
  EQUAL(txsync(&c), 0, "into nothing");
  EQUAL(open_port(&d, "valeN:pp0"), EINVAL, "as a port of a switch that it is not on");
  struct nmreq_vale_attach at;
  memset(&at, 0, sizeof at);
  at.reg.nr_mode = NR_REG_ALL_NIC;
  EQUAL(simple(NETMAP_REQ_VALE_ATTACH, "valeN:pp0", &at), 0, "attach");
  EQUAL(at.port_index, 0, "its index");
  EQUAL(simple(NETMAP_REQ_VALE_ATTACH, "valeN:pp0", &at), EBUSY, "twice");
  EQUAL(simple(NETMAP_REQ_VALE_ATTACH, "valeN:nothing", &at), EINVAL, "what is not there");
  EQUAL(simple(NETMAP_REQ_VALE_ATTACH, "pp0", &at), EINVAL, "no switch in the name");
  EQUAL(simple(NETMAP_REQ_VALE_DELIF, "pp0", NULL), EBUSY, "remove while attached");
  EQUAL(open_port(&d, "valeN:x"), 0, "another port there");
  put(&d, 0, ALL, MAC("x"), 60, 33);
  txsync(&d);
  rxsync(&c);
  EQUAL(take(&c, 0), 33, "it is on the switch");
  close_port(&d);
  EQUAL(open_port(&d, "valeN:pp0"), 0, "by both names");
  EQUAL(d.reg.nr_mem_id, c.reg.nr_mem_id, "the same port");
  close_port(&d);
  struct nmreq_vale_detach de = {99, 0};
  EQUAL(simple(NETMAP_REQ_VALE_DETACH, "pp0", &de), EINVAL, "detach without a switch");
  EQUAL(simple(NETMAP_REQ_VALE_DETACH, "valeN:none", &de), ENXIO, "detach nothing");
  EQUAL(simple(NETMAP_REQ_VALE_DETACH, "valeN:pp0", &de), 0, "detach while open");
  EQUAL(de.port_index, 0, "which index");
  EQUAL(txsync(&c), 0, "sync goes on");
  EQUAL(rxsync(&c), 0, "sync goes on");
  EQUAL(simple(NETMAP_REQ_VALE_DELIF, "pp0", NULL), EBUSY, "remove while open");
  close_port(&c);
  EQUAL(simple(NETMAP_REQ_VALE_DELIF, "pp0", NULL), 0, "remove");
  EQUAL(simple(NETMAP_REQ_VALE_DELIF, "pp0", NULL), ENXIO, "twice");
  EQUAL(open_port(&c, "pp0"), ENXIO, "gone");
}

static void listings(void) {
  struct client a, b, c;
  EQUAL(open_port(&a, "valeL0:a"), 0, "a");
  EQUAL(open_port(&b, "valeL0:b"), 0, "b");
  EQUAL(open_port(&c, "valeL1:c"), 0, "c");
  const int fd = device();
  struct nmreq_header h;
  struct nmreq_vale_list l;
  memset(&h, 0, sizeof h);
  memset(&l, 0, sizeof l);
  h.nr_version = NETMAP_API;
  h.nr_reqtype = NETMAP_REQ_VALE_LIST;
  h.nr_body = (uintptr_t)&l;
  static const char *const want[] = {"valeL0:a", "valeL0:b", "valeL1:c"};
  for (int i = 0; i < 3; i++) {
    memset(h.nr_name, 0, sizeof h.nr_name);
    EQUAL(ioctl(fd, NIOCCTRL, &h), 0, "list %d", i);
    EQUAL(strcmp(h.nr_name, want[i]), 0, "name %d is %s", i, h.nr_name);
    EQUAL(l.nr_port_idx, i == 1 ? 1 : 0, "index %d", i);
    l.nr_port_idx++;
  }
  memset(h.nr_name, 0, sizeof h.nr_name);
  CHECK(ioctl(fd, NIOCCTRL, &h) == -1 && errno == ENOENT, "the end");
  memset(&l, 0, sizeof l);
  EQUAL(control(fd, NETMAP_REQ_VALE_LIST, "valeL0:b", &l), 0, "by name");
  EQUAL(l.nr_port_idx, 1, "its index");
  EQUAL(control(fd, NETMAP_REQ_VALE_LIST, "valeL0:none", &l), 0, "a port that is not there");
  EQUAL(l.nr_port_idx, 255, "no index");
  EQUAL(control(fd, NETMAP_REQ_VALE_LIST, "valeL9:a", &l), ENOENT, "no such switch");
  EQUAL(control(fd, NETMAP_REQ_VALE_LIST, "eth0", &l), EINVAL, "no switch at all");
  struct nmreq_vale_detach de;
  EQUAL(control(fd, NETMAP_REQ_VALE_DETACH, "valeL0:a", &de), EBUSY, "an ephemeral port");
  EQUAL(control(fd, NETMAP_REQ_VALE_DELIF, "valeL0:a", NULL), ENXIO, "is no persistent one");
  struct nmreq_vale_polling p = {1, 0, 1, 0};
  EQUAL(control(fd, NETMAP_REQ_VALE_POLLING_ENABLE, "valeL0:a", &p), EOPNOTSUPP, "polling");
  EQUAL(control(fd, NETMAP_REQ_VALE_POLLING_DISABLE, "valeL0:none", &p), ENXIO, "of nothing");
  EQUAL(control(fd, NETMAP_REQ_VALE_POLLING_ENABLE, "eth0", &p), EINVAL, "of no port");
  /* The last index freed is the first given again. */
  close_port(&a);
  EQUAL(open_port(&a, "valeL0:d"), 0, "d");
  EQUAL(control(fd, NETMAP_REQ_VALE_LIST, "valeL0:d", &l), 0, "by name");
  EQUAL(l.nr_port_idx, 0, "in a's place");
  close_port(&a);
  close_port(&b);
  close_port(&c);
  EQUAL(control(fd, NETMAP_REQ_VALE_LIST, "valeL0:d", &l), ENOENT, "the switch went with its ports");
  close(fd);
}

static void information(void) {
  struct nmreq_port_info_get i;
  memset(&i, 0, sizeof i);
  EQUAL(simple(NETMAP_REQ_PORT_INFO_GET, "valeI:new", &i), 0, "of a port to be");
  EQUAL(i.nr_tx_slots, 1024, "tx slots");
  EQUAL(i.nr_rx_slots, 1024, "rx slots");
  EQUAL(i.nr_tx_rings, 1, "tx rings");
  EQUAL(i.nr_rx_rings, 1, "rx rings");
  CHECK(i.nr_memsize > 20000000, "memsize");
  CHECK(i.nr_mem_id != 0, "memory");
  struct nmreq_vale_list l;
  EQUAL(simple(NETMAP_REQ_VALE_LIST, "valeI:new", &l), ENOENT, "it vanished again");
  EQUAL(simple(NETMAP_REQ_PORT_INFO_GET, "no-such-nic", &i), ENXIO, "of nothing");
  struct client c;
  memset(&c, 0, sizeof c);
  c.reg.nr_tx_rings = 4;
  EQUAL(attach_to(&c, "valeI:four"), 0, "four rings");
  memset(&i, 0, sizeof i);
  EQUAL(control(c.fd, NETMAP_REQ_PORT_INFO_GET, "valeI:four", &i), 0, "on a registered fd");
  EQUAL(i.nr_tx_rings, 4, "rings");
  EQUAL(i.nr_mem_id, c.reg.nr_mem_id, "memory");
  EQUAL(i.nr_memsize, c.reg.nr_memsize, "memsize");
  close_port(&c);
}

static void shared_port(void) {
  struct client a, b, s;
  EQUAL(open_port(&a, "valeS:p"), 0, "open");
  EQUAL(open_port(&b, "valeS:p"), 0, "open again");
  EQUAL(open_port(&s, "valeS:s"), 0, "a sender");
  struct netmap_ring *ra = NETMAP_RXRING(a.nifp, 0), *rb = NETMAP_RXRING(b.nifp, 0);
  EQUAL((char *)ra - a.mem, (char *)rb - b.mem, "the very same rings");
  put(&s, 0, ALL, MAC("s"), 60, 8);
  txsync(&s);
  rxsync(&a);
  EQUAL(rb->tail, 1, "one sync shows it to both");
  EQUAL(take(&b, 0), 8, "either takes it");
  EQUAL(ra->head, 1, "for both");
  close_port(&a);
  put(&s, 0, ALL, MAC("s"), 60, 9);
  txsync(&s);
  rxsync(&b);
  EQUAL(take(&b, 0), 9, "the port lives while one is open");
  close_port(&b);
  close_port(&s);
}

static int legacy(unsigned long request, struct nmreq *q) {
  const int fd = device();
  const int err = ioctl(fd, request, q) == 0 ? 0 : errno;
  close(fd);
  return err;
}

static struct nmreq older(const char *name, uint16_t cmd) {
  struct nmreq q;
  memset(&q, 0, sizeof q);
  q.nr_version = NETMAP_API;
  q.nr_cmd = cmd;
  snprintf(q.nr_name, sizeof q.nr_name, "%s", name);
  return q;
}

static void older_requests(void) {
  for (unsigned version = 11; version < 18; version += 1) {
    struct nmreq q = older("valeO:v", 0);
    q.nr_version = version;
    EQUAL(legacy(NIOCGINFO, &q), version < 14 ? EINVAL : 0, "version %u", version);
    EQUAL(q.nr_version, version, "stays");
  }
  struct nmreq q = older("valeO:a", 0);
  q.nr_tx_slots = 64;
  q.nr_rx_rings = 2;
  q.nr_flags = NR_REG_ALL_NIC;
  q.nr_arg3 = 10;
  const int fd = device();
  EQUAL(ioctl(fd, NIOCREGIF, &q), 0, "register");
  EQUAL(q.nr_tx_slots, 64, "tx slots");
  EQUAL(q.nr_rx_slots, 1024, "rx slots");
  EQUAL(q.nr_tx_rings, 1, "tx rings");
  EQUAL(q.nr_rx_rings, 2, "rx rings");
  EQUAL(q.nr_arg3, 10, "extra buffers");
  EQUAL(q.nr_flags, NR_REG_ALL_NIC, "flags stay");
  EQUAL(q.nr_ringid, 0, "ringid stays");
  CHECK(q.nr_arg2 != 0 && q.nr_memsize != 0, "memory");
  char *mem = mmap(NULL, q.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(mem != MAP_FAILED, "mmap");
  struct netmap_if *nifp = NETMAP_IF(mem, q.nr_offset);
  EQUAL(nifp->ni_rx_rings, 2, "the netmap_if");
  EQUAL(ioctl(fd, NIOCREGIF, &q) ? errno : 0, EBUSY, "twice");
  struct nmreq i = older("valeO:a", 0);
  EQUAL(legacy(NIOCGINFO, &i), 0, "info");
  EQUAL(i.nr_rx_rings, 2, "of the port");
  EQUAL(i.nr_arg2, q.nr_arg2, "its memory");
  munmap(mem, q.nr_memsize);
  close(fd);
  /* Rings by nr_ringid alone, as before there were flags. */
  static const struct {
    uint16_t ringid;
    uint32_t flags;
    int err;
  } rings[] = {{0, 0, 0},
               {NETMAP_HW_RING, 0, 0},
               {NETMAP_HW_RING | 5, 0, EINVAL},
               {NETMAP_SW_RING, 0, EINVAL},
               {0, NR_REG_SW, EINVAL},
               {0, NR_REG_NIC_SW, EINVAL},
               {0, NR_REG_ONE_NIC, 0},
               {3, NR_REG_ONE_NIC, EINVAL},
               {NETMAP_NO_TX_POLL, NR_REG_ALL_NIC, 0},
               {0, 13, EINVAL}};
  for (unsigned k = 0; k < sizeof rings / sizeof *rings; k++) {
    q = older("valeO:r", 0);
    q.nr_ringid = rings[k].ringid;
    q.nr_flags = rings[k].flags;
    EQUAL(legacy(NIOCREGIF, &q), rings[k].err, "ringid %x flags %x", rings[k].ringid,
          rings[k].flags);
    EQUAL(q.nr_ringid, rings[k].ringid, "ringid stays");
  }
  q = older("ppo", NETMAP_BDG_NEWIF);
  EQUAL(legacy(NIOCREGIF, &q), 0, "newif");
  EQUAL(q.nr_tx_slots, 1024, "its slots");
  q = older("valeO:ppo", NETMAP_BDG_ATTACH);
  EQUAL(legacy(NIOCREGIF, &q), 0, "attach");
  q = older("", NETMAP_BDG_LIST);
  EQUAL(legacy(NIOCGINFO, &q), 0, "list");
  EQUAL(strcmp(q.nr_name, "valeO:ppo"), 0, "the name");
  q.nr_name[0] = 0;
  q.nr_arg2++;
  EQUAL(legacy(NIOCGINFO, &q), ENOENT, "the end");
  q = older("valeO:ppo", NETMAP_BDG_VNET_HDR);
  q.nr_arg1 = 12;
  EQUAL(legacy(NIOCREGIF, &q), 0, "header length");
  q = older("valeO:ppo", NETMAP_VNET_HDR_GET);
  EQUAL(legacy(NIOCREGIF, &q), 0, "header length");
  EQUAL(q.nr_arg1, 12, "is 12");
  q = older("valeO:ppo", NETMAP_BDG_POLLING_ON);
  EQUAL(legacy(NIOCREGIF, &q), EOPNOTSUPP, "polling");
  q = older("valeO:ppo", NETMAP_BDG_DETACH);
  EQUAL(legacy(NIOCREGIF, &q), 0, "detach");
  q = older("ppo", NETMAP_BDG_DELIF);
  EQUAL(legacy(NIOCREGIF, &q), 0, "delif");
  q = older("ppo", NETMAP_BDG_DELIF);
  EQUAL(legacy(NIOCREGIF, &q), ENXIO, "twice");
  q = older("valeO:x", 8);
  EQUAL(legacy(NIOCREGIF, &q), ENOMEM, "command 8");
}

int main(void) {
  persistent();
  listings();
  information();
  shared_port();
  older_requests();
  return finish();
}
