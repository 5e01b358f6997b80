/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of the program's own as a port's region (NETMAP_REQ_OPT_EXTMEM). */

#include "client.h"

#include <sys/socket.h>
#include <sys/stat.h>

#define SIZE (8u << 20)

static struct nmreq_opt_extmem wish(void* at, uint64_t bytes) {
  struct nmreq_opt_extmem o;
  memset(&o, 0, sizeof o);
  o.nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM;
  o.nro_usrptr = (uintptr_t)at;
  o.nro_info.nr_memsize = bytes;
  return o;
}

static void* fresh_memory(int flags, int fd, off_t offset) {
  return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, offset);
}

static int file_of_size(int fd) {
  if (fd >= 0 && ftruncate(fd, SIZE) != 0) return -1;
  return fd;
}

/* The port is used where the program's memory is, without a mapping of the device. */
static void use(const char* what, char* at, const struct nmreq_opt_extmem* o, struct client* c) {
  EQUAL(o->nro_opt.nro_status, 0, "%s: its status", what);
  EQUAL(o->nro_info.nr_memsize, c->reg.nr_memsize, "%s: as much as the region", what);
  CHECK(c->reg.nr_memsize <= SIZE, "%s: no more than there is", what);
  EQUAL(o->nro_info.nr_mem_id, c->reg.nr_mem_id, "%s: its memory", what);
  CHECK(o->nro_info.nr_ring_pool_offset >=
            (uint64_t)o->nro_info.nr_if_pool_objtotal * o->nro_info.nr_if_pool_objsize,
        "%s: rings behind the objects", what);
  CHECK(o->nro_info.nr_buf_pool_offset +
                (uint64_t)o->nro_info.nr_buf_pool_objtotal * o->nro_info.nr_buf_pool_objsize <=
            c->reg.nr_memsize,
        "%s: buffers within it", what);
  struct netmap_if* nifp = NETMAP_IF(at, c->reg.nr_offset);
  CHECK(strncmp(nifp->ni_name, "valeM:", 6) == 0, "%s: the name is in it", what);
  struct client here = *c, other;
  here.nifp = nifp;
  EQUAL(open_port(&other, "valeM:other"), 0, "%s: another port", what);
  put(&other, 0, ALL, MAC("o"), 60, 77);
  EQUAL(txsync(&other), 0, "%s: sent to it", what);
  EQUAL(rxsync(c), 0, "%s: rxsync", what);
  EQUAL(take(&here, 0), 77, "%s: the frame is in the program's memory", what);
  put(&here, 0, ALL, MAC("m"), 60, 78);
  EQUAL(txsync(c), 0, "%s: sent from it", what);
  rxsync(&other);
  EQUAL(take(&other, 0), 78, "%s: arrives", what);
  close_port(&other);
}

static void kinds(void) {
  char name[64];
  snprintf(name, sizeof name, "/tmp/vale-own-memory-%d", (int)getpid());
  static const char* const what[] = {"private", "shared", "memfd", "file", "file beside the ports"};
  for (int kind = 0; kind < 5; kind++) {
    int fd = -1;
    if (kind == 2) fd = file_of_size(memfd_create("own", MFD_CLOEXEC));
    if (kind == 3) fd = file_of_size(open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
    if (kind == 4) {
      /* Where a second name can be given to it. */
      snprintf(name, sizeof name, "%.40s.%d", getenv("VALE_DIR"), (int)getpid());
      fd = file_of_size(open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
    }
    CHECK(kind < 2 || fd >= 0, "%s: a file", what[kind]);
    char* at = fresh_memory(kind == 0   ? MAP_PRIVATE | MAP_ANONYMOUS
                            : kind == 1 ? MAP_SHARED | MAP_ANONYMOUS
                                        : MAP_SHARED,
                            fd, 0);
    struct client c;
    struct nmreq_opt_extmem o = wish(at, SIZE);
    EQUAL(fresh_with(&c, "valeM:own", &o), 0, "%s", what[kind]);
    if (c.fd < 0) continue;
    use(what[kind], at, &o, &c);
    if (fd >= 0) {
      const char* again = fresh_memory(MAP_SHARED, fd, 0);
      CHECK(memcmp(again + c.reg.nr_offset, "valeM:own", 10) == 0, "%s is the region", what[kind]);
      munmap((void*)again, SIZE);
      /* The same memory once more is the same region. */
      struct client d;
      struct nmreq_opt_extmem twice = wish(at, SIZE);
      memset(&d, 0, sizeof d);
      d.reg.nr_tx_slots = d.reg.nr_rx_slots = 64;
      EQUAL(open_with(&d, "valeM:twice", &twice), 0, "%s: a second port in it", what[kind]);
      EQUAL(d.reg.nr_mem_id, c.reg.nr_mem_id, "%s: the same memory", what[kind]);
      close_port(&d);
    }
    close_port(&c);
    /* What it held is the program's again, and good for another port. */
    at[SIZE - 1] = 1;
    struct nmreq_opt_extmem later = wish(at, SIZE);
    EQUAL(fresh_with(&c, "valeM:later", &later), 0, "%s: used again", what[kind]);
    if (c.fd >= 0) use("again", at, &later, &c);
    close_port(&c);
    munmap(at, SIZE);
    if (fd >= 0) close(fd);
    if (kind >= 3) {
      EQUAL(unlink(name), 0, "%s stays the program's", what[kind]);
    }
  }
}

/* What lay in its buffers stays there. */
static void contents(void) {
  char* at = fresh_memory(MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct client c;
  struct nmreq_opt_extmem o = wish(at, SIZE);
  o.nro_info.nr_buf_pool_objsize = 2048;
  o.nro_info.nr_buf_pool_objtotal = 2500;
  o.nro_info.nr_ring_pool_objtotal = 8;
  EQUAL(fresh_with(&c, "valeM:first", &o), 0, "sizes as wished");
  EQUAL(o.nro_info.nr_buf_pool_objsize, 2048, "of buffers");
  EQUAL(o.nro_info.nr_buf_pool_objtotal, 2500, "how many");
  EQUAL(o.nro_info.nr_ring_pool_objtotal, 8, "rings");
  const uint64_t buffers = o.nro_info.nr_buf_pool_offset;
  close_port(&c);
  munmap(at, SIZE);
  at = fresh_memory(MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (unsigned i = 2; i < 2500; i++) memset(at + buffers + i * 2048, (int)(i % 251), 2048);
  o = wish(at, SIZE);
  o.nro_info.nr_buf_pool_objsize = 2048;
  o.nro_info.nr_buf_pool_objtotal = 2500;
  o.nro_info.nr_ring_pool_objtotal = 8;
  memset(&c, 0, sizeof c);
  c.reg.nr_extra_bufs = 3;
  EQUAL(open_with(&c, "valeM:second", &o), 0, "memory with something in it");
  const struct netmap_ring* r = NETMAP_TXRING(NETMAP_IF(at, c.reg.nr_offset), 0);
  for (unsigned i = 0; i < 1024; i += 100) {
    const unsigned b = r->slot[i].buf_idx;
    EQUAL((unsigned char)NETMAP_BUF((struct netmap_ring*)r, b)[2047], b % 251, "buffer %u", b);
    EQUAL((unsigned char)NETMAP_BUF((struct netmap_ring*)r, b)[0], b % 251, "from its start");
  }
  const unsigned extra = c.nifp->ni_bufs_head;
  CHECK(extra >= 2, "extra buffers");
  EQUAL((unsigned char)at[buffers + extra * 2048 + 4], extra % 251, "theirs too, behind the link");
  close_port(&c);
  munmap(at, SIZE);
}

static void errors(void) {
  char* at = fresh_memory(MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char* fixed = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const int fd = memfd_create("own", MFD_CLOEXEC);
  EQUAL(ftruncate(fd, 2 * SIZE), 0, "a file");
  char* within = fresh_memory(MAP_SHARED, fd, 4096);
  const int brief = memfd_create("brief", MFD_CLOEXEC);
  EQUAL(ftruncate(brief, 4096), 0, "a file of a page");
  char* beyond = fresh_memory(MAP_PRIVATE, brief, 0);
  struct client c;
  const struct {
    const char* what;
    void* at;
    uint64_t bytes;
    uint32_t ring_size, buf_size;
    int err;
  } table[] = {
      {"nowhere", NULL, SIZE, 0, 0, EINVAL},
      {"not at a page", at + 64, SIZE - 4096, 0, 0, EINVAL},
      {"of no length", at, 0, 0, 0, EINVAL},
      {"not mapped", (void*)(uintptr_t)4096, SIZE, 0, 0, EFAULT},
      {"longer than what is mapped", at, UINT64_MAX / 2, 0, 0, EFAULT},
      {"in the kernel's half", (void*)(uintptr_t)0xffff800000000000u, SIZE, 0, 0, EFAULT},
      {"round the end", (void*)(UINTPTR_MAX - 4095), SIZE, 0, 0, EFAULT},
      {"only for reading", fixed, SIZE, 0, 0, EFAULT},
      {"too small", at, 4096, 0, 0, ENOMEM},
      {"rings too large", at, SIZE, 1u << 20, 0, EINVAL},
      {"buffers too large", at, SIZE, 0, 1u << 17, EINVAL},
      {"rings too small for the slots", at, SIZE, 512, 0, ENOMEM},
      {"of its own, beyond the end of what it is of", beyond, SIZE, 0, 0, EFAULT},
      {"from the middle of a file", within, SIZE, 0, 0, EOPNOTSUPP},
  };
  for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
    struct nmreq_opt_extmem o = wish(table[i].at, table[i].bytes);
    o.nro_info.nr_ring_pool_objsize = table[i].ring_size;
    o.nro_info.nr_buf_pool_objsize = table[i].buf_size;
    EQUAL(fresh_with(&c, "valeM:bad", &o), table[i].err, "%s", table[i].what);
    if (table[i].ring_size != 512)
      EQUAL(o.nro_opt.nro_status, table[i].err, "%s: its status", table[i].what);
    if (c.fd >= 0) close_port(&c);
  }
  struct nmreq_opt_extmem two[2] = {wish(at, SIZE), wish(at, SIZE)};
  two[0].nro_opt.nro_next = (uintptr_t)&two[1];
  EQUAL(fresh_with(&c, "valeM:bad", two), EINVAL, "twice");
  /* A port that has its memory keeps it. */
  struct client there;
  EQUAL(open_port(&there, "valeM:there"), 0, "a port");
  struct nmreq_opt_extmem o = wish(at, SIZE);
  EQUAL(fresh_with(&c, "valeM:there", &o), EINVAL, "which has memory");
  close_port(&there);
  /* None of it left anything. */
  const int d = device();
  struct nmreq_vale_list l;
  EQUAL(control(d, NETMAP_REQ_VALE_LIST, "valeM:bad", &l), ENOENT, "nothing is left");
  close(d);
  at[0] = 5;
  EQUAL(at[0], 5, "the memory is what it was");
  munmap(at, SIZE);
  munmap(fixed, SIZE);
  munmap(within, SIZE);
  munmap(beyond, SIZE);
  close(fd);
  close(brief);
}

/* A process that never saw the memory sends into it. */
static void elsewhere(void) {
  int pair[2];
  EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0, "socketpair");
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    struct client c;
    if (read(pair[1], &byte, 1) != 1 || open_port(&c, "valeM:child") != 0) _exit(9);
    put(&c, 0, ALL, MAC("c"), 60, 99);
    txsync(&c);
    if (write(pair[1], "x", 1) != 1) _exit(10);
    _exit(0);
  }
  const int fd = file_of_size(memfd_create("own", MFD_CLOEXEC));
  char* at = fresh_memory(MAP_SHARED, fd, 0);
  struct client c;
  struct nmreq_opt_extmem o = wish(at, SIZE);
  EQUAL(fresh_with(&c, "valeM:here", &o), 0, "a memfd");
  close(fd); /* the port goes on with it */
  char byte = 0;
  CHECK(write(pair[0], "x", 1) == 1 && read(pair[0], &byte, 1) == 1, "another process");
  EQUAL(rxsync(&c), 0, "rxsync");
  c.nifp = NETMAP_IF(at, c.reg.nr_offset);
  EQUAL(take(&c, 0), 99, "its frame is in our memory");
  int status = -1;
  waitpid(child, &status, 0);
  EQUAL(status, 0, "the other process");
  close_port(&c);
  munmap(at, SIZE);
  close(pair[0]);
  close(pair[1]);
}

/* Pipes and null ports live in such memory too. */
static void relatives(void) {
  char* at = fresh_memory(MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct client a, b;
  struct nmreq_opt_extmem o = wish(at, SIZE);
  EQUAL(fresh_with(&a, "valeM:p{1", &o), 0, "a pipe");
  EQUAL(open_port(&b, "valeM:p}1"), 0, "its other end");
  EQUAL(a.reg.nr_mem_id, b.reg.nr_mem_id, "one memory");
  a.nifp = NETMAP_IF(at, a.reg.nr_offset);
  put(&a, 0, ALL, MAC("a"), 60, 11);
  EQUAL(txsync(&a), 0, "sent");
  rxsync(&b);
  EQUAL(take(&b, 0), 11, "arrived");
  close_port(&b);
  close_port(&a);
  munmap(at, SIZE);
  at = fresh_memory(MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  o = wish(at, SIZE);
  memset(&a, 0, sizeof a);
  a.reg.nr_mode = NR_REG_NULL;
  a.reg.nr_extra_bufs = 10;
  EQUAL(open_with(&a, "x", &o), 0, "a null port");
  EQUAL(a.reg.nr_extra_bufs, 10, "extra buffers in it");
  close_port(&a);
  munmap(at, SIZE);
}

int main(void) {
  kinds();
  contents();
  errors();
  elsewhere();
  relatives();
  return finish();
}
