/* SPDX-License-Identifier: BSD-2-Clause */
/* Options of a registration: frames at an offset into their buffers. */
#include "client.h"

static struct nmreq_opt_offsets wish(uint64_t most, uint64_t initial, uint32_t bits) {
  struct nmreq_opt_offsets o;
  memset(&o, 0, sizeof o);
  o.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS;
  o.nro_max_offset = most;
  o.nro_initial_offset = initial;
  o.nro_offset_bits = bits;
  return o;
}

static void offset_errors(void) {
  static const struct {
    uint64_t most, initial;
    uint32_t bits;
    int err;
  } table[] = {
      {0, 0, 0, 0},
      {0, 0, 64, 0},
      {128, 0, 8, 0},
      {128, 128, 16, 0},
      {256, 0, 8, EINVAL},
      {16, 0, 65, EINVAL},
      {16, 17, 16, EINVAL},
      {100000, 0, 32, EINVAL},
      {1, 0, 1, 0},
      {2, 0, 1, EINVAL},
      {1ull << 40, 0, 64, EINVAL},
  };
  for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
    struct client c;
    struct nmreq_opt_offsets o = wish(table[i].most, table[i].initial, table[i].bits);
    EQUAL(fresh_with(&c, "valeX:a", &o), table[i].err, "offsets %u", i);
    EQUAL(o.nro_opt.nro_status, table[i].err, "status %u", i);
    EQUAL(o.nro_opt.nro_reqtype, NETMAP_REQ_OPT_OFFSETS, "type stays");
    close_port(&c);
  }
  struct client c, d;
  struct nmreq_opt_offsets o = wish(100, 0, 8);
  EQUAL(fresh_with(&c, "valeX:a", &o), 0, "some");
  EQUAL(o.nro_max_offset, 100, "the most");
  EQUAL(o.nro_offset_bits, 8, "the bits");
  EQUAL(NETMAP_TXRING(c.nifp, 0)->offset_mask, 0xff, "the mask");
  EQUAL(NETMAP_RXRING(c.nifp, 0)->offset_mask, 0xff, "of both rings");
  o = wish(101, 0, 8);
  EQUAL(fresh_with(&d, "valeX:a", &o), EBUSY, "larger ones");
  EQUAL(o.nro_opt.nro_status, EBUSY, "status");
  o = wish(100, 0, 16);
  EQUAL(fresh_with(&d, "valeX:a", &o), EBUSY, "more bits");
  o = wish(10, 5, 4);
  EQUAL(fresh_with(&d, "valeX:a", &o), 0, "less");
  EQUAL(o.nro_max_offset, 100, "the most in use");
  EQUAL(o.nro_offset_bits, 8, "the bits in use");
  EQUAL(NETMAP_RXRING(c.nifp, 0)->slot[1].ptr, 0, "slots in use stay");
  close_port(&d);
  close_port(&c);
  /* Two options of which one is not known: nothing is opened. */
  struct nmreq_option other;
  memset(&other, 0, sizeof other);
  other.nro_reqtype = 99;
  o = wish(100, 0, 8);
  o.nro_opt.nro_next = (uintptr_t)&other;
  EQUAL(fresh_with(&c, "valeX:a", &o), EOPNOTSUPP, "beside an unknown one");
  EQUAL(o.nro_opt.nro_status, 0, "its status");
  EQUAL(other.nro_status, EOPNOTSUPP, "the other's");
  struct nmreq_vale_list l;
  const int fd = device();
  memset(&l, 0, sizeof l);
  EQUAL(control(fd, NETMAP_REQ_VALE_LIST, "valeX:a", &l), ENOENT, "no port stays");
  close(fd);
  /* Another error leaves its status. */
  o = wish(100, 0, 8);
  EQUAL(fresh_with(&c, "no-such", &o), ENXIO, "of no port");
  EQUAL(o.nro_opt.nro_status, EOPNOTSUPP, "not looked at");
}

static void offsets(void) {
  struct client a, b, m;
  struct nmreq_opt_offsets o = wish(200, 64, 16);
  EQUAL(fresh_with(&a, "valeX:a", &o), 0, "a");
  o = wish(200, 32, 16);
  EQUAL(fresh_with(&b, "valeX:b", &o), 0, "b");
  memset(&m, 0, sizeof m);
  m.reg.nr_flags = NR_MONITOR_TX;
  o = wish(100, 10, 16);
  EQUAL(open_with(&m, "valeX:a", &o), 0, "a monitor");
  struct netmap_ring *t = NETMAP_TXRING(a.nifp, 0), *r = NETMAP_RXRING(b.nifp, 0);
  EQUAL(t->slot[0].ptr, 64, "initial offsets");
  EQUAL(r->slot[9].ptr, 32, "in all slots");
  for (unsigned i = 0; i < 3; i++) {
    struct netmap_slot* s = &t->slot[i];
    NETMAP_WOFFSET(t, s, 50 * i);
    char* p = NETMAP_BUF_OFFSET(t, s);
    memset(p, 0, 60);
    memcpy(p, ALL MAC("a"), 12);
    p[59] = (char)(i + 1);
    s->len = 60;
    s->flags = 0;
  }
  t->head = t->cur = 3;
  NETMAP_WOFFSET(r, &r->slot[1], 199);
  EQUAL(txsync(&a), 0, "txsync");
  EQUAL(rxsync(&b), 0, "rxsync");
  EQUAL(pending(r), 3, "three frames");
  for (unsigned i = 0; i < 3; i++) {
    const struct netmap_slot* s = &r->slot[i];
    EQUAL(NETMAP_ROFFSET(r, s), i == 1 ? 199 : 32, "where its receiver wants it");
    EQUAL(NETMAP_BUF_OFFSET(r, s)[59], i + 1, "the frame");
    EQUAL(s->len, 60, "its length");
  }
  rxsync(&m);
  const struct netmap_ring* w = NETMAP_RXRING(m.nifp, 0);
  EQUAL(pending(w), 3, "watched");
  EQUAL(NETMAP_BUF_OFFSET(w, &w->slot[2])[59], 3, "whole");
  EQUAL(w->slot[2].ptr, 10, "at the monitor's offset");
  close_port(&m);
  close_port(&b);
  close_port(&a);
  /* A pipe's descriptors pass with their offsets; a null port has none to mind. */
  o = wish(200, 64, 16);
  EQUAL(fresh_with(&a, "valeX:a{1", &o), 0, "a pipe");
  EQUAL(fresh_with(&b, "valeX:a}1", &o), 0, "its other end");
  t = NETMAP_TXRING(a.nifp, 0), r = NETMAP_RXRING(b.nifp, 0);
  t->slot[0].ptr = 77;
  t->slot[0].len = 60;
  t->head = t->cur = 1;
  txsync(&a);
  rxsync(&b);
  EQUAL(r->slot[0].ptr, 77, "passed on");
  memset(&m, 0, sizeof m);
  m.reg.nr_mode = NR_REG_NULL;
  m.reg.nr_mem_id = a.reg.nr_mem_id;
  o = wish(200, 64, 16);
  EQUAL(open_with(&m, "x", &o), 0, "a null port");
  close_port(&m);
  close_port(&b);
  close_port(&a);
}

int main(void) {
  offset_errors();
  offsets();
  return finish();
}
