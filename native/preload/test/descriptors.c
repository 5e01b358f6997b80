/* SPDX-License-Identifier: BSD-2-Clause */
/* The descriptor as a descriptor: copies, children, other programs, messages, daemons, inodes. */
#include "client.h"

#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

extern char **environ;
static const char *self;

static struct client receiver;

/* Whether a frame with this mark arrives within a second. */
static int arrives(int mark) {
  for (int i = 0; i < 50; i++) {
    if (ask(receiver.fd, POLLIN, 20) != POLLIN) continue;
    const int got = take(&receiver, 0);
    rxsync(&receiver);
    if (got == mark) return 1;
  }
  return 0;
}

static int is_open(const char *name) {
  const int fd = device();
  struct nmreq_vale_list l;
  const int err = control(fd, NETMAP_REQ_VALE_LIST, name, &l);
  close(fd);
  return err == 0 && l.nr_port_idx != 255;
}

static int result_of(pid_t child) {
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* What a program does that got only the number: map the region (its length is told), send. */
static int send_by_number(int fd, uint64_t memsize, uint64_t offset, int mark) {
  struct client c;
  memset(&c, 0, sizeof c);
  c.fd = fd;
  c.reg.nr_memsize = memsize;
  c.reg.nr_offset = offset;
  if (map(&c) != 0) return 10;
  if (!put(&c, 0, ALL, MAC("n"), 60, (unsigned char)mark)) return 11;
  if (txsync(&c) != 0) return 12;
  return ask(fd, POLLOUT, 0) == POLLOUT ? 0 : 13;
}

static void copies(void) {
  struct client a;
  EQUAL(open_port(&a, "valeD:copies"), 0, "open");
  int fds[4];
  fds[0] = dup(a.fd);
  fds[1] = fcntl(a.fd, F_DUPFD, 50);
  fds[2] = fcntl(a.fd, F_DUPFD_CLOEXEC, 60);
  fds[3] = dup2(a.fd, 70);
  CHECK(fds[1] >= 50 && fds[2] >= 60 && fds[3] == 70, "numbers");
  EQUAL(fcntl(fds[2], F_GETFD), FD_CLOEXEC, "close-on-exec");
  EQUAL(fcntl(fds[1], F_GETFD), 0, "no close-on-exec");
  EQUAL(dup3(a.fd, 70, O_CLOEXEC), 70, "dup3 onto a copy");
  EQUAL(dup2(70, 70), 70, "dup2 onto itself");
  EQUAL(close(a.fd), 0, "close the first");
  for (int i = 0; i < 4; i++) {
    a.fd = fds[i];
    put(&a, 0, ALL, MAC("c"), 60, (unsigned char)(20 + i));
    EQUAL(txsync(&a), 0, "sync by copy %d", i);
    CHECK(arrives(20 + i), "arrives by copy %d", i);
    CHECK(is_open("valeD:copies"), "open still");
    EQUAL(close(fds[i]), 0, "close copy %d", i);
  }
  CHECK(!is_open("valeD:copies"), "gone with the last");
  EQUAL(ioctl(fds[3], NIOCTXSYNC, NULL) ? errno : 0, EBADF, "closed is closed");
  /* Copies made before there is a port are of the same open. */
  const int first = device(), second = dup(first);
  struct nmreq_register reg;
  memset(&reg, 0, sizeof reg);
  reg.nr_mode = NR_REG_ALL_NIC;
  EQUAL(control(second, NETMAP_REQ_REGISTER, "valeD:early", &reg), 0, "register by the copy");
  EQUAL(ioctl(first, NIOCTXSYNC, NULL) ? errno : 0, 0, "sync by the first");
  EQUAL(control(first, NETMAP_REQ_REGISTER, "valeD:early", &reg), EBUSY, "it is registered");
  close(second);
  CHECK(is_open("valeD:early"), "open by the first");
  /* Another file in the place of the last one. */
  const int null = open("/dev/null", O_RDWR);
  EQUAL(dup2(null, first), first, "dup2 over it");
  CHECK(!is_open("valeD:early"), "which closed it");
  CHECK(write(first, "x", 1) == 1, "and it is another file now");
  close(first);
  close(null);
  EQUAL(open_port(&a, "valeD:range"), 0, "open");
  CHECK(a.fd < receiver.fd || a.fd > receiver.fd, "numbers differ");
  const unsigned n = (unsigned)a.fd;
  EQUAL(close_range(n, n, 0), 0, "close_range");
  CHECK(!is_open("valeD:range"), "closed by it");
}

static void children(void) {
  struct client a;
  EQUAL(open_port(&a, "valeD:child"), 0, "open");
  /* The parent closes, the child goes on. */
  int go[2];
  EQUAL(pipe(go), 0, "pipe");
  pid_t child = fork();
  if (child == 0) {
    char byte;
    if (read(go[0], &byte, 1) != 1) _exit(20);
    put(&a, 0, ALL, MAC("d"), 60, 30);
    _exit(txsync(&a));
  }
  close_port(&a);
  CHECK(is_open("valeD:child"), "open by the child");
  CHECK(write(go[1], "x", 1) == 1, "go");
  EQUAL(result_of(child), 0, "the child");
  CHECK(arrives(30), "its frame");
  CHECK(!is_open("valeD:child"), "gone with the child");
  /* The child closes, the parent goes on. */
  EQUAL(open_port(&a, "valeD:child"), 0, "open");
  child = fork();
  if (child == 0) {
    close_port(&a);
    exit(0);
  }
  EQUAL(result_of(child), 0, "the child");
  put(&a, 0, ALL, MAC("d"), 60, 31);
  EQUAL(txsync(&a), 0, "the parent syncs");
  CHECK(arrives(31), "its frame");
  /* A child that is killed takes nothing with it. */
  child = fork();
  if (child == 0) {
    for (;;) {
      put(&a, 0, MAC("d"), MAC("d"), 60, 0);
      txsync(&a);
    }
  }
  usleep(20000);
  kill(child, SIGKILL);
  EQUAL(result_of(child), 1000 + SIGKILL, "killed");
  int sent = 0;
  for (int i = 0; i < 100 && !sent; i++) {
    put(&a, 0, ALL, MAC("d"), 60, 32);
    txsync(&a);
    sent = arrives(32);
  }
  CHECK(sent, "the parent goes on");
  /* vfork and exec of something else leave the parent's alone. */
  child = vfork();
  if (child == 0) {
    close(a.fd);
    execl("/bin/true", "true", (char *)NULL);
    _exit(9);
  }
  EQUAL(result_of(child), 0, "true");
  put(&a, 0, ALL, MAC("d"), 60, 33);
  EQUAL(txsync(&a), 0, "open still");
  CHECK(arrives(33), "and working");
  close_port(&a);
  close(go[0]);
  close(go[1]);
}

/* Another program that inherits the number, or gets it in a message. */
static void programs(void) {
  struct client a;
  char number[16], memsize[32], offset[32], mark[16];
#define WORDS(how)                                                              \
  (char *[]) { (char *)self, (char *)(how), number, memsize, offset, mark, NULL }
  for (int way = 0; way < 4; way++) {
    EQUAL(open_port(&a, "valeD:prog"), 0, "open");
    snprintf(number, sizeof number, "%d", a.fd);
    snprintf(memsize, sizeof memsize, "%llu", (unsigned long long)a.reg.nr_memsize);
    snprintf(offset, sizeof offset, "%llu", (unsigned long long)a.reg.nr_offset);
    snprintf(mark, sizeof mark, "%d", 40 + way);
    pid_t child = -1;
    int pair[2] = {-1, -1};
    if (way == 0) {
      child = fork();
      if (child == 0) {
        execv(self, WORDS("inherit"));
        _exit(30);
      }
    }
    if (way == 1) {
      char *bare[] = {NULL}; /* an environment with nothing in it */
      EQUAL(posix_spawn(&child, self, NULL, NULL, WORDS("inherit"), bare), 0, "posix_spawn");
    }
    if (way == 2) {
      child = fork();
      if (child == 0) {
        char *bare[] = {"A=b", NULL};
        execle(self, self, "inherit", number, memsize, offset, mark, NULL, bare);
        _exit(30);
      }
    }
    if (way == 3) {
      EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0, "socketpair");
      fcntl(a.fd, F_SETFD, FD_CLOEXEC);
      snprintf(number, sizeof number, "%d", pair[1]);
      EQUAL(posix_spawn(&child, self, NULL, NULL, WORDS("message"), environ), 0, "posix_spawn");
      char control_[CMSG_SPACE(sizeof(int))];
      memset(control_, 0, sizeof control_);
      struct iovec v = {"x", 1};
      struct msghdr m = {.msg_iov = &v,
                         .msg_iovlen = 1,
                         .msg_control = control_,
                         .msg_controllen = sizeof control_};
      struct cmsghdr *c = CMSG_FIRSTHDR(&m);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(sizeof(int));
      memcpy(CMSG_DATA(c), &a.fd, sizeof(int));
      EQUAL(sendmsg(pair[0], &m, 0), 1, "sendmsg");
      /* In flight, or in the receiver's hands, it stays open. */
      close_port(&a);
      CHECK(is_open("valeD:prog"), "open in flight");
    }
    EQUAL(result_of(child), 0, "the program, way %d", way);
    CHECK(arrives(40 + way), "its frame, way %d", way);
    if (way < 3) close_port(&a);
    if (way == 3) {
      close(pair[0]);
      close(pair[1]);
    }
    CHECK(!is_open("valeD:prog"), "gone, way %d", way);
  }
}

/* main() of the other program. */
static int as_program(char **argv) {
  int fd = atoi(argv[2]);
  if (strcmp(argv[1], "message") == 0) {
    char byte, control_[CMSG_SPACE(sizeof(int))];
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control_, .msg_controllen = sizeof control_};
    if (recvmsg(fd, &m, 0) != 1) return 40;
    usleep(100000); /* so that the sender's check finds it in our hands */
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
  }
  return send_by_number(fd, strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
                        atoi(argv[5]));
}

static void daemons(void) {
  const pid_t child = fork();
  if (child == 0) {
    if (fork() != 0) _exit(0);
    setsid();
    if (chdir("/") != 0) _exit(50);
    const long most = sysconf(_SC_OPEN_MAX);
    for (int fd = 0; fd < most; fd++) close(fd);
    struct client a;
    if (open_port(&a, "valeD:daemon") != 0) _exit(51);
    put(&a, 0, ALL, MAC("m"), 60, 60);
    txsync(&a);
    /* And once more with everything in use. */
    for (int fd = 0; fd < most; fd++) {
      if (fd != a.fd) close(fd);
    }
    closefrom(a.fd + 1);
    put(&a, 0, ALL, MAC("m"), 60, 61);
    txsync(&a);
    struct client b;
    if (open_port(&b, "valeD:daemon2") == 0) {
      put(&b, 0, ALL, MAC("m"), 60, 62);
      txsync(&b);
    }
    sleep(1);
    _exit(0);
  }
  EQUAL(result_of(child), 0, "the daemon's parent");
  CHECK(arrives(60), "the daemon sends");
  CHECK(arrives(61), "and after it closed everything");
  CHECK(arrives(62), "and opens another port");
}

static void inode(void) {
  struct stat st;
  EQUAL(stat("/dev/netmap", &st), 0, "stat");
  CHECK(S_ISCHR(st.st_mode), "a character device");
  EQUAL(access("/dev/netmap", R_OK | W_OK), 0, "access");
  EQUAL(access("/dev/netmap", F_OK), 0, "exists");
  const int fd = device();
  memset(&st, 0, sizeof st);
  EQUAL(fstat(fd, &st), 0, "fstat");
  CHECK(S_ISCHR(st.st_mode), "a character device");
  EQUAL(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR, "access mode");
  EQUAL(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK), 0, "non-blocking");
  EQUAL(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK, "is");
  close(fd);
  struct client a;
  EQUAL(open_port(&a, "valeD:inode"), 0, "open");
  EQUAL(fstat(a.fd, &st), 0, "fstat of a port");
  CHECK(S_ISCHR(st.st_mode), "a character device");
  EQUAL(fcntl(a.fd, F_GETFL) & O_NONBLOCK, 0, "blocking, as it was opened");
  struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  EQUAL(fcntl(a.fd, F_OFD_SETLK, &lock) ? errno : 0, EINVAL, "no locks");
  CHECK(is_open("valeD:inode"), "still open");
  char byte;
  CHECK(read(a.fd, &byte, 1) == -1 && errno == EINVAL, "read");
  CHECK(write(a.fd, &byte, 1) == -1 && errno == EINVAL, "write");
  close_port(&a);
  const int c = open("/dev/netmap", O_RDWR | O_CLOEXEC);
  EQUAL(fcntl(c, F_GETFD), FD_CLOEXEC, "O_CLOEXEC");
  struct nmreq_register reg;
  memset(&reg, 0, sizeof reg);
  reg.nr_mode = NR_REG_ALL_NIC;
  EQUAL(control(c, NETMAP_REQ_REGISTER, "valeD:inode", &reg), 0, "register");
  EQUAL(fcntl(c, F_GETFD), FD_CLOEXEC, "stays");
  close(c);
  EQUAL(openat(AT_FDCWD, "/dev/netmap", O_RDWR) >= 0, 1, "openat");
}

int main(int argc, char **argv) {
  if (argc == 6) return as_program(argv);
  setvbuf(stdout, NULL, _IONBF, 0);
  self = argv[0];
  if (open_port(&receiver, "valeD:receiver") != 0) return 1;
  copies();
  children();
  programs();
  daemons();
  inode();
  return finish();
}
