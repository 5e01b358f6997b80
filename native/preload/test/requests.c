/* SPDX-License-Identifier: BSD-2-Clause */
/* What /dev/netmap answers to names, requests, wishes: errno by errno. */
#include "client.h"

static const char *const kLong20 = "vale0:12345678901234567890";

static void headers(void) {
  const int fd = device();
  CHECK(fd >= 0, "open");
  struct nmreq_port_info_get info;
  struct nmreq_header h;
#define FRESH(type)                          \
  (memset(&h, 0, sizeof h), memset(&info, 0, sizeof info), h.nr_version = NETMAP_API, \
   h.nr_reqtype = (type), strcpy(h.nr_name, "vale0:h"), h.nr_body = (uintptr_t)&info)
#define ANSWER() (ioctl(fd, NIOCCTRL, &h) == 0 ? 0 : errno)
  for (int version = 12; version <= 17; version++) {
    FRESH(NETMAP_REQ_PORT_INFO_GET);
    h.nr_version = (uint16_t)version;
    EQUAL(ANSWER(), version == 14 || version == 15 ? 0 : EINVAL, "version %d", version);
  }
  FRESH(NETMAP_REQ_PORT_INFO_GET);
  h.nr_reserved = 1;
  EQUAL(ANSWER(), EINVAL, "reserved");
  FRESH(NETMAP_REQ_PORT_INFO_GET);
  h.nr_body = 16;
  EQUAL(ANSWER(), EFAULT, "body nowhere");
  FRESH(NETMAP_REQ_PORT_INFO_GET);
  h.nr_options = 16;
  EQUAL(ANSWER(), EFAULT, "option nowhere");
  for (unsigned type = 0; type <= 20; type++) {
    FRESH(type);
    const int none = type == NETMAP_REQ_VALE_DELIF || type == NETMAP_REQ_SYNC_KLOOP_STOP ||
                     type == NETMAP_REQ_CSB_ENABLE;
    if (!none) h.nr_body = 0;
    EQUAL(ANSWER(), EINVAL, "body of request %u %s", type, none ? "too many" : "missing");
  }
  FRESH(0);
  EQUAL(ANSWER(), EINVAL, "request 0");
  FRESH(77);
  EQUAL(ANSWER(), EINVAL, "request 77 with a body");
  EQUAL(ioctl(fd, NIOCCTRL, NULL) ? errno : 0, EINVAL, "no header");
  EQUAL(ioctl(fd, NIOCCTRL, (void *)16) ? errno : 0, EFAULT, "header nowhere");
  EQUAL(ioctl(fd, NIOCREGIF, NULL) ? errno : 0, EINVAL, "no nmreq");
  EQUAL(ioctl(fd, NIOCGINFO, (void *)16) ? errno : 0, EFAULT, "nmreq nowhere");
  EQUAL(ioctl(fd, _IO('i', 140), NULL) ? errno : 0, EOPNOTSUPP, "some other ioctl");
  EQUAL(ioctl(fd, NIOCTXSYNC, NULL) ? errno : 0, ENXIO, "txsync unregistered");
  EQUAL(ioctl(fd, NIOCRXSYNC, 0) ? errno : 0, ENXIO, "rxsync unregistered");
  CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EINVAL,
        "mmap unregistered");
  EQUAL(ask(fd, POLLIN, 0), POLLERR, "poll unregistered");
  EQUAL(ask(fd, POLLOUT, 1000), POLLERR, "poll unregistered does not wait");
  char byte = 0;
  CHECK(read(fd, &byte, 1) == -1 && errno == EINVAL, "read");
  CHECK(write(fd, &byte, 1) == -1 && errno == EINVAL, "write");
  EQUAL(close(fd), 0, "close");
  CHECK(close(fd) == -1 && errno == EBADF, "close twice");
}

static void options(void) {
  const int fd = device();
  struct nmreq_port_info_get info;
  struct nmreq_header h;
  struct nmreq_option o[100];
  memset(o, 0, sizeof o);
  FRESH(NETMAP_REQ_PORT_INFO_GET);
  h.nr_options = (uintptr_t)&o[0];
  EQUAL(ANSWER(), EINVAL, "option of type 0");
  EQUAL(o[0].nro_status, EINVAL, "its status");
  o[0].nro_reqtype = 99;
  FRESH(NETMAP_REQ_PORT_INFO_GET);
  h.nr_options = (uintptr_t)&o[0];
  EQUAL(ANSWER(), 0, "an unknown option is no failure here");
  EQUAL(o[0].nro_status, EOPNOTSUPP, "its status");
  o[0].nro_next = (uintptr_t)&o[0];
  FRESH(NETMAP_REQ_PORT_INFO_GET);
  h.nr_options = (uintptr_t)&o[0];
  EQUAL(ANSWER(), EMSGSIZE, "an unknown option that names itself");
  for (unsigned i = 0; i < 99; i++) {
    o[i].nro_reqtype = 50 + i;
    o[i].nro_next = (uintptr_t)&o[i + 1];
  }
  o[99].nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS;
  o[99].nro_size = 1000;
  FRESH(NETMAP_REQ_PORT_INFO_GET);
  h.nr_options = (uintptr_t)&o[0];
  EQUAL(ANSWER(), EMSGSIZE, "more than a request can hold");
  memset(o, 0, sizeof o);
  o[0].nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS;
  o[0].nro_size = 5000;
  FRESH(NETMAP_REQ_PORT_INFO_GET);
  h.nr_options = (uintptr_t)&o[0];
  EQUAL(ANSWER(), EMSGSIZE, "an option of 5000 bytes");
  struct {
    struct nmreq_option o;
    uint64_t body[4];
  } twice[2];
  memset(twice, 0, sizeof twice);
  twice[0].o.nro_reqtype = twice[1].o.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_MODE;
  twice[0].o.nro_next = (uintptr_t)&twice[1];
  FRESH(NETMAP_REQ_PORT_INFO_GET);
  h.nr_options = (uintptr_t)&twice[0];
  EQUAL(ANSWER(), EINVAL, "a known option twice");
  EQUAL(twice[0].o.nro_status, EINVAL, "status of the first");
  EQUAL(twice[1].o.nro_status, EINVAL, "status of the second");
  twice[0].o.nro_next = (uintptr_t)&twice[0];
  FRESH(NETMAP_REQ_PORT_INFO_GET);
  h.nr_options = (uintptr_t)&twice[0];
  EQUAL(ANSWER(), EINVAL, "a known option that names itself");
  /* Only a registration fails because of what nobody understood; then there is no port. */
  struct nmreq_register reg;
  memset(&reg, 0, sizeof reg);
  reg.nr_mode = NR_REG_ALL_NIC;
  memset(o, 0, sizeof o);
  o[0].nro_reqtype = 99;
  FRESH(NETMAP_REQ_REGISTER);
  h.nr_options = (uintptr_t)&o[0];
  h.nr_body = (uintptr_t)&reg;
  EQUAL(ANSWER(), EOPNOTSUPP, "an unknown option of a registration");
  EQUAL(o[0].nro_status, EOPNOTSUPP, "its status");
  EQUAL(ioctl(fd, NIOCTXSYNC, NULL) ? errno : 0, ENXIO, "not registered by it");
  close(fd);
}

static void names(void) {
  static const struct {
    const char *name;
    int err;
  } table[] = {
      {"vale0:a", 0},
      {"vale:a", 0},
      {"vale0:", 0},
      {"vale:", 0},
      {"vale0:v.1", 0},
      {"vale0:0", 0},
      {"vale0:a-b", 0},
      {"vale_x9:a", 0},
      {"valeABCDEFGHIJK:a", 0},
      {"valeABCDEFGHIJKL:a", ENOMEM},
      {"vale0:123456789012345", 0},
      {"vale0:1234567890123456", ENOMEM},
      {"vale-x:a", ENOMEM},
      {"vale.x:a", ENOMEM},
      {"vale0", ENOMEM},
      {"vale", ENOMEM},
      {"eth-none", ENXIO},
      {"none", ENXIO},
      {"", ENXIO},
  };
  for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
    struct client c;
    const int err = open_port(&c, table[i].name);
    EQUAL(err, table[i].err, "register '%s'", table[i].name);
    if (err == 0) {
      EQUAL(strncmp(c.nifp->ni_name, table[i].name, 15), 0, "ni_name of %s", table[i].name);
      close_port(&c);
    }
  }
  struct client c;
  memset(&c, 0, sizeof c);
  EQUAL(open_port(&c, kLong20), ENOMEM, "a long port");
}

static void modes(void) {
  for (unsigned mode = 0; mode <= 12; mode++) {
    const int fd = device();
    struct nmreq_register reg;
    memset(&reg, 0, sizeof reg);
    reg.nr_mode = mode;
    const int err = control(fd, NETMAP_REQ_REGISTER, "vale0:modes", &reg);
    const int good = mode == NR_REG_ALL_NIC || mode == NR_REG_ONE_NIC;
    if (mode == NR_REG_NULL) {
      CHECK(err != 0, "a null port without memory");
    } else {
      EQUAL(err, good ? 0 : EINVAL, "mode %u", mode);
    }
    close(fd);
  }
  static const struct {
    unsigned tx, rx, ring;
    int err;
    int tx_bound, rx_bound; /* which ring, -1 none */
  } rings[] = {
      {1, 1, 0, 0, 0, 0},        {1, 1, 1, EINVAL, 0, 0},  {4, 4, 3, 0, 3, 3},
      {4, 4, 4, EINVAL, 0, 0},   {4, 2, 3, 0, 3, 0},       {2, 4, 3, 0, 0, 3},
      {4, 2, 65535, EINVAL, 0, 0},
  };
  for (unsigned i = 0; i < sizeof rings / sizeof *rings; i++) {
    struct client c;
    memset(&c, 0, sizeof c);
    c.reg.nr_mode = NR_REG_ONE_NIC;
    c.reg.nr_ringid = (uint16_t)rings[i].ring;
    c.reg.nr_tx_rings = (uint16_t)rings[i].tx;
    c.reg.nr_rx_rings = (uint16_t)rings[i].rx;
    const int err = attach_to(&c, "vale0:one");
    EQUAL(err, rings[i].err, "ring %u of %u/%u", rings[i].ring, rings[i].tx, rings[i].rx);
    if (err != 0) continue;
    for (unsigned k = 0; k < rings[i].tx; k++)
      EQUAL(c.nifp->ring_ofs[k] != 0, (int)k == rings[i].tx_bound, "tx %u bound", k);
    for (unsigned k = 0; k < rings[i].rx; k++)
      EQUAL(c.nifp->ring_ofs[rings[i].tx + 1 + k] != 0, (int)k == rings[i].rx_bound, "rx %u", k);
    EQUAL(c.reg.nr_ringid, rings[i].ring, "ringid stays");
    EQUAL(c.reg.nr_mode, NR_REG_ONE_NIC, "mode stays");
    close_port(&c);
  }
  for (int rx = 0; rx < 2; rx++) {
    struct client c;
    memset(&c, 0, sizeof c);
    c.reg.nr_flags = rx ? NR_RX_RINGS_ONLY : NR_TX_RINGS_ONLY;
    EQUAL(attach_to(&c, "vale0:only"), 0, "one direction");
    EQUAL(c.nifp->ring_ofs[0] != 0, !rx, "tx bound");
    EQUAL(c.nifp->ring_ofs[2] != 0, rx, "rx bound");
    EQUAL(c.reg.nr_flags, rx ? NR_RX_RINGS_ONLY : NR_TX_RINGS_ONLY, "flags stay");
    close_port(&c);
  }
}

static void geometry(void) {
  static const struct {
    uint32_t txs, rxs;
    uint16_t txr, rxr;
    uint32_t got_txs, got_rxs;
    uint16_t got_txr, got_rxr;
  } table[] = {
      {0, 0, 0, 0, 1024, 1024, 1, 1},       {1, 1, 1, 1, 1, 1, 1, 1},
      {2, 3, 2, 3, 2, 3, 2, 3},             {100, 200, 1, 1, 100, 200, 1, 1},
      {4096, 4096, 1, 1, 4096, 4096, 1, 1}, {4097, 9999, 1, 1, 4096, 4096, 1, 1},
      {256, 0, 16, 16, 256, 1024, 16, 16},  {256, 256, 17, 100, 256, 256, 16, 16},
  };
  for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
    struct client c;
    memset(&c, 0, sizeof c);
    c.reg.nr_tx_slots = table[i].txs;
    c.reg.nr_rx_slots = table[i].rxs;
    c.reg.nr_tx_rings = table[i].txr;
    c.reg.nr_rx_rings = table[i].rxr;
    EQUAL(attach_to(&c, "vale0:geo"), 0, "geometry %u", i);
    EQUAL(c.reg.nr_tx_slots, table[i].got_txs, "tx slots %u", i);
    EQUAL(c.reg.nr_rx_slots, table[i].got_rxs, "rx slots %u", i);
    EQUAL(c.reg.nr_tx_rings, table[i].got_txr, "tx rings %u", i);
    EQUAL(c.reg.nr_rx_rings, table[i].got_rxr, "rx rings %u", i);
    EQUAL(c.reg.nr_host_tx_rings, 0, "host tx rings");
    EQUAL(c.reg.nr_host_rx_rings, 0, "host rx rings");
    EQUAL(NETMAP_TXRING(c.nifp, 0)->num_slots, table[i].got_txs, "tx num_slots");
    EQUAL(NETMAP_RXRING(c.nifp, table[i].got_rxr - 1)->num_slots, table[i].got_rxs, "rx num_slots");
    /* Who comes later wishes in vain. */
    struct client d;
    memset(&d, 0, sizeof d);
    d.reg.nr_tx_slots = 77;
    d.reg.nr_rx_rings = 5;
    EQUAL(attach_to(&d, "vale0:geo"), 0, "the second open");
    EQUAL(d.reg.nr_tx_slots, table[i].got_txs, "its tx slots");
    EQUAL(d.reg.nr_rx_rings, table[i].got_rxr, "its rx rings");
    EQUAL(d.reg.nr_mem_id, c.reg.nr_mem_id, "its memory");
    CHECK(d.reg.nr_offset != c.reg.nr_offset, "a netmap_if of its own");
    close_port(&d);
    close_port(&c);
  }
}

static void registrations(void) {
  struct client a, b;
  EQUAL(open_port(&a, "vale0:r"), 0, "register");
  struct nmreq_register again = a.reg;
  EQUAL(control(a.fd, NETMAP_REQ_REGISTER, "vale0:other", &again), EBUSY, "twice on one fd");
  memset(&b, 0, sizeof b);
  b.reg.nr_flags = NR_EXCLUSIVE;
  EQUAL(attach_to(&b, "vale0:r"), EBUSY, "exclusive beside another");
  close_port(&a);
  memset(&b, 0, sizeof b);
  b.reg.nr_flags = NR_EXCLUSIVE;
  EQUAL(attach_to(&b, "vale0:r"), 0, "exclusive alone");
  EQUAL(open_port(&a, "vale0:r"), EBUSY, "beside an exclusive one");
  close_port(&b);
  EQUAL(open_port(&a, "vale0:r"), 0, "when it is gone");
  close_port(&a);
  /* Exclusive is by ring. */
  memset(&a, 0, sizeof a);
  a.reg.nr_tx_rings = a.reg.nr_rx_rings = 2;
  a.reg.nr_mode = NR_REG_ONE_NIC;
  a.reg.nr_flags = NR_EXCLUSIVE;
  EQUAL(attach_to(&a, "vale0:two"), 0, "ring 0 alone");
  memset(&b, 0, sizeof b);
  b.reg.nr_mode = NR_REG_ONE_NIC;
  b.reg.nr_ringid = 1;
  b.reg.nr_flags = NR_EXCLUSIVE;
  EQUAL(attach_to(&b, "vale0:two"), 0, "ring 1 alone");
  close_port(&b);
  memset(&b, 0, sizeof b);
  EQUAL(attach_to(&b, "vale0:two"), EBUSY, "all rings");
  close_port(&a);
  memset(&b, 0, sizeof b);
  b.reg.nr_mem_id = 54321;
  EQUAL(attach_to(&b, "vale0:mem"), EINVAL, "memory that is not there");
  memset(&b, 0, sizeof b);
  b.reg.nr_extra_bufs = 100;
  EQUAL(attach_to(&b, "vale0:extra"), 0, "extra buffers");
  EQUAL(b.reg.nr_extra_bufs, 100, "how many");
  uint32_t n = 0;
  const struct netmap_ring *r = NETMAP_TXRING(b.nifp, 0);
  for (uint32_t i = b.nifp->ni_bufs_head; i >= 2 && n < 200; i = *(uint32_t *)NETMAP_BUF(r, i)) n++;
  EQUAL(n, 100, "the list of them");
  close_port(&b);
}

static void headers_of_ports(void) {
  struct client c;
  struct nmreq_port_hdr hdr = {12, 0};
  const int fd = device();
  EQUAL(control(fd, NETMAP_REQ_PORT_HDR_SET, "vale0:none", &hdr), ENXIO, "of no port");
  EQUAL(open_port(&c, "vale0:hdr"), 0, "a port");
  for (unsigned length = 0; length < 16; length++) {
    hdr.nr_hdr_len = length;
    const int good = length == 0 || length == 10 || length == 12;
    EQUAL(control(fd, NETMAP_REQ_PORT_HDR_SET, "vale0:hdr", &hdr), good ? 0 : EINVAL, "%u", length);
    hdr.nr_hdr_len = 99;
    EQUAL(control(fd, NETMAP_REQ_PORT_HDR_GET, "vale0:hdr", &hdr), 0, "get");
    if (good) EQUAL(hdr.nr_hdr_len, length, "what was set");
  }
  struct client d;
  EQUAL(open_port(&d, "vale0:hdr"), EIO, "who does not accept headers");
  memset(&d, 0, sizeof d);
  d.reg.nr_flags = NR_ACCEPT_VNET_HDR;
  EQUAL(attach_to(&d, "vale0:hdr"), 0, "who accepts them");
  close_port(&d);
  close_port(&c);
  hdr.nr_hdr_len = 0;
  EQUAL(control(fd, NETMAP_REQ_PORT_HDR_GET, "vale0:hdr", &hdr), ENXIO, "of a port that is gone");
  EQUAL(control(fd, NETMAP_REQ_PORT_HDR_SET, "eth9", &hdr), ENXIO, "of an interface");
  close(fd);
}

int main(void) {
  headers();
  options();
  names();
  modes();
  geometry();
  registrations();
  headers_of_ports();
  return finish();
}
