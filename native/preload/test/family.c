/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To be killed: a program with ports open, children that use them and open their own, and ports in
 * flight and in other hands. Runs until then.
 */
#include "client.h"

#include <sys/socket.h>

static void pass(int socket_, int fd) {
  char control_[CMSG_SPACE(sizeof(int))];
  memset(control_, 0, sizeof control_);
  struct iovec v = {"x", 1};
  struct msghdr m = {
      .msg_iov = &v, .msg_iovlen = 1, .msg_control = control_, .msg_controllen = sizeof control_};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(c), &fd, sizeof(int));
  sendmsg(socket_, &m, MSG_DONTWAIT);
}

static int received(int socket_) {
  char byte, control_[CMSG_SPACE(sizeof(int))];
  struct iovec v = {&byte, 1};
  struct msghdr m = {
      .msg_iov = &v, .msg_iovlen = 1, .msg_control = control_, .msg_controllen = sizeof control_};
  if (recvmsg(socket_, &m, 0) <= 0 || CMSG_FIRSTHDR(&m) == NULL) return -1;
  int fd;
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
  return fd;
}

int main(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;
  struct client a;
  if (open_port(&a, "valeK:a") != 0) return 1;
  const pid_t taker = fork();
  for (unsigned n = 0; taker == 0; n++) { /* takes what it is passed, uses it, closes some of it */
    const int fd = received(pair[1]);
    if (fd < 0) continue;
    ioctl(fd, NIOCTXSYNC, NULL);
    if (n % 3 != 0) close(fd);
  }
  if (fork() == 0) { /* sends on its parent's port */
    for (;;) {
      put(&a, 0, ALL, MAC("a"), 60, 1);
      txsync(&a);
    }
  }
  char name[32];
  for (unsigned n = 0;; n++) {
    struct client b;
    snprintf(name, sizeof name, "valeK:b%u", n % 5);
    if (open_port(&b, name) != 0) continue;
    ask(b.fd, POLLIN, 1);
    pass(pair[0], b.fd);
    if (n % 4 == 0 && fork() == 0) {
      put(&b, 0, ALL, MAC("b"), 60, 1);
      txsync(&b);
      _exit(0);
    }
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    close_port(&b);
  }
}
