/* SPDX-License-Identifier: BSD-2-Clause */
/* As much of FreeBSD's <net/if_dl.h> as the core uses, for compiling as if there: see test/device.test.ts. */
#ifndef VALE_TEST_FREEBSD_NET_IF_DL_H
#define VALE_TEST_FREEBSD_NET_IF_DL_H

#define AF_LINK 18

struct sockaddr_dl {
  unsigned char sdl_len, sdl_family;
  unsigned short sdl_index;
  unsigned char sdl_type, sdl_nlen, sdl_alen, sdl_slen;
  char sdl_data[46];
};
#define LLADDR(s) ((s)->sdl_data + (s)->sdl_nlen)

#endif
