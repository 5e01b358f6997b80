// SPDX-License-Identifier: BSD-2-Clause
// A signal for a program goes to its first thread, as the kernel prefers it, while another one reads by libpcap:
// programs whose handler ends the threads it finds would end the one it runs in.
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
  volatile int all, elsewhere, ready;
  volatile int over;  // of `all`: the first thread has left the handler; -1: it is not in its loop yet
}* seen;
static pthread_t first;

static void count(int signal_number) {
  (void)signal_number;
  if (!pthread_equal(pthread_self(), first)) seen->elsewhere++;
  seen->all++;
}

static void* reader(void* name) {
  void *library = dlopen("libpcap.so.0.8", RTLD_NOW), *header;
  const unsigned char* data;
  char why[256];
  void* (*open)(const char*, int, int, int, char*) = dlsym(library, "pcap_open_live");
  int (*next)(void*, void**, const unsigned char**) = dlsym(library, "pcap_next_ex");
  void* pcap = open(name, 65535, 1, 1, why);
  if (pcap == NULL) {
    puts(why);
    exit(1);
  }
  seen->ready = 1;
  while (next(pcap, &header, &data) >= 0) {
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const pid_t self = getpid();
  seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  seen->over = -1;  // starting a thread, it takes no signals
  first = pthread_self();
  signal(SIGUSR1, count);
  if (fork() == 0) {
    while (seen->ready == 0 || seen->over < 0) usleep(1000);
    for (int i = 1; i <= 300; i++) {
      kill(self, SIGUSR1);
      while (seen->over < i) usleep(50);
    }
    seen->ready = 2;
    _exit(0);
  }
  pthread_t thread;
  pthread_create(&thread, NULL, reader, argv[1]);
  struct pollfd input = {0, POLLIN, 0};
  while (seen->ready != 2) {
    poll(&input, 1, 10);
    seen->over = seen->all;
  }
  printf("signals %d, in the reader %d\n", seen->all, seen->elsewhere);
  return 0;
}
