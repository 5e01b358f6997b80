/* SPDX-License-Identifier: BSD-2-Clause */
/* pcap_breakloop() ends one call that waits; the next one waits again, and sleeps while it does. */
#include "client.h"

#include <dlfcn.h>
#include <time.h>

#define MS 200

struct pcap_pkthdr;

static long long spent_ms(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

int main(void) {
  /* The preload library's: no libpcap is needed for these. */
  void *(*open_live)(const char *, int, int, int, char *);
  int (*next_ex)(void *, struct pcap_pkthdr **, const unsigned char **);
  void (*breakloop)(void *), (*close_it)(void *);
  *(void **)&open_live = dlsym(RTLD_DEFAULT, "pcap_open_live");
  *(void **)&next_ex = dlsym(RTLD_DEFAULT, "pcap_next_ex");
  *(void **)&breakloop = dlsym(RTLD_DEFAULT, "pcap_breakloop");
  *(void **)&close_it = dlsym(RTLD_DEFAULT, "pcap_close");
  CHECK(open_live && next_ex && breakloop && close_it, "functions of libpcap");
  if (failed) return finish();

  char error[256] = "";
  void *pcap = open_live("valeB:a", 65535, 1, MS, error);
  CHECK(pcap != NULL, "opened: %s", error);
  if (failed) return finish();
  struct pcap_pkthdr *header;
  const unsigned char *data;
  breakloop(pcap);
  EQUAL(next_ex(pcap, &header, &data), -2, "what was broken before it began");
  for (int i = 0; i < 2; i++) {
    const long long began = spent_ms(CLOCK_MONOTONIC), worked = spent_ms(CLOCK_PROCESS_CPUTIME_ID);
    /* The bell of the break may end one wait early: that is a look more, not an answer. */
    EQUAL(next_ex(pcap, &header, &data), 0, "a silence");
    CHECK(spent_ms(CLOCK_MONOTONIC) - began >= MS - 50, "it lasts as long as it should");
    CHECK(spent_ms(CLOCK_PROCESS_CPUTIME_ID) - worked < MS / 2, "and is slept through");
  }
  close_it(pcap);
  return finish();
}
