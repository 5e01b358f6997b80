/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that is not linked with libpcap but opens it when it runs: its functions are ours for our
 * devices, and libpcap's for the rest. */

#include "client.h"

#include <dlfcn.h>

#define FUNCTION(library, name) *(void**)&name = dlsym(library, #name)

struct program {
  unsigned count;
  void* code;
};

int main(void) {
  void* library = dlopen("libpcap.so.0.8", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) library = dlopen("libpcap.so.1", RTLD_NOW | RTLD_LOCAL);
  CHECK(library != NULL, "libpcap: %s", dlerror());
  if (failed) return finish();
  void* (*pcap_open_live)(const char*, int, int, int, char*);
  void* (*pcap_open_dead)(int, int);
  int (*pcap_compile)(void*, struct program*, const char*, int, uint32_t);
  int (*pcap_setfilter)(void*, struct program*);
  void (*pcap_freecode)(struct program*);
  int (*pcap_next_ex)(void*, void**, const unsigned char**);
  int (*pcap_inject)(void*, const void*, size_t);
  int (*pcap_datalink)(void*);
  const char* (*pcap_lib_version)(void);
  void (*pcap_close)(void*);
  FUNCTION(library, pcap_open_live);
  FUNCTION(library, pcap_open_dead);
  FUNCTION(library, pcap_compile);
  FUNCTION(library, pcap_setfilter);
  FUNCTION(library, pcap_freecode);
  FUNCTION(library, pcap_next_ex);
  FUNCTION(library, pcap_inject);
  FUNCTION(library, pcap_datalink);
  FUNCTION(library, pcap_lib_version);
  FUNCTION(library, pcap_close);
  CHECK(strstr(pcap_lib_version(), "libpcap") != NULL, "what is not wrapped is libpcap's");
  CHECK(dlsym(library, "pcap_no_such_function") == NULL, "what libpcap has not is not there");
  CHECK(dlsym(library, "pcap_create") == dlsym(RTLD_DEFAULT, "pcap_create"), "ours, by both ways");

  char error[256] = "";
  void* a = pcap_open_live("valeO:a", 65535, 1, 200, error);
  CHECK(a != NULL, "ours: %s", error);
  void* b = pcap_open_live("valeO:b", 65535, 1, 200, error);
  CHECK(b != NULL, "another: %s", error);
  if (failed) return finish();
  struct program filter;
  EQUAL(pcap_compile(b, &filter, "ether[59] == 2", 1, ~0u), 0, "a filter");
  EQUAL(pcap_setfilter(b, &filter), 0, "set");
  pcap_freecode(&filter);
  unsigned char frame[60];
  memset(frame, 255, sizeof frame);
  memcpy(frame + 6, MAC("a"), 6);
  for (unsigned i = 0; i < 3; i++) {
    frame[59] = (unsigned char)i;
    EQUAL(pcap_inject(a, frame, sizeof frame), (int)sizeof frame, "sent");
  }
  void* header;
  const unsigned char* data;
  EQUAL(pcap_next_ex(b, &header, &data), 1, "one arrives");
  EQUAL(data[59], 2, "the one that was wanted");
  EQUAL(pcap_next_ex(b, &header, &data), 0, "and no other");
  EQUAL(pcap_datalink(b), 1, "Ethernet");
  pcap_close(b);
  pcap_close(a);

  void* dead = pcap_open_dead(12, 65535);
  CHECK(dead != NULL, "a handle of libpcap's own");
  EQUAL(pcap_datalink(dead), 12, "is answered by libpcap");
  pcap_close(dead);

  /* Who asks for the next definition gets the one that is next for him. */
  CHECK(dlsym(RTLD_NEXT, "open") == dlsym(RTLD_DEFAULT, "open"), "after the program comes ours");
  void* libc = dlopen("libc.so.6", RTLD_NOW);
  CHECK(libc != NULL && dlsym(libc, "open") != dlsym(RTLD_DEFAULT, "open"), "libc's own is there");
  CHECK(dlsym(RTLD_DEFAULT, "no_such_function") == NULL && dlerror() != NULL, "nothing, and why");
  return finish();
}
