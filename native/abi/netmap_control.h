/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is asked of /dev/netmap, API 14, as this project states it for itself: the numbers of its
 * ioctls, the header of a control request, the bodies and options. Plain C. netmap.h has the memory.
 */
#ifndef VALE_ABI_NETMAP_CONTROL_H
#define VALE_ABI_NETMAP_CONTROL_H

#include <stdint.h>
#include <sys/ioctl.h>

#include "netmap.h"

/* Every request but the legacy ones. */
struct nmreq_header {
  uint16_t nr_version; /* NETMAP_API */
  uint16_t nr_reqtype; /* NETMAP_REQ_* */
  uint32_t nr_reserved;
  char nr_name[NETMAP_REQ_IFNAMSIZ];
  uint64_t nr_options; /* address of the first nmreq_option, 0 = none */
  uint64_t nr_body;    /* address of the body, 0 exactly for requests without one */
};

enum {
  NETMAP_REQ_REGISTER = 1,              /* nmreq_register */
  NETMAP_REQ_PORT_INFO_GET = 2,         /* nmreq_port_info_get */
  NETMAP_REQ_VALE_ATTACH = 3,           /* nmreq_vale_attach */
  NETMAP_REQ_VALE_DETACH = 4,           /* nmreq_vale_detach */
  NETMAP_REQ_VALE_LIST = 5,             /* nmreq_vale_list */
  NETMAP_REQ_PORT_HDR_SET = 6,          /* nmreq_port_hdr */
  NETMAP_REQ_PORT_HDR_GET = 7,          /* nmreq_port_hdr */
  NETMAP_REQ_VALE_NEWIF = 8,            /* nmreq_vale_newif */
  NETMAP_REQ_VALE_DELIF = 9,            /* no body */
  NETMAP_REQ_VALE_POLLING_ENABLE = 10,  /* nmreq_vale_polling */
  NETMAP_REQ_VALE_POLLING_DISABLE = 11, /* nmreq_vale_polling */
  NETMAP_REQ_POOLS_INFO_GET = 12,       /* nmreq_pools_info */
  NETMAP_REQ_SYNC_KLOOP_START = 13,     /* nmreq_sync_kloop_start */
  NETMAP_REQ_SYNC_KLOOP_STOP = 14,      /* no body */
  NETMAP_REQ_CSB_ENABLE = 15            /* no body */
};

struct nmreq_option {
  uint64_t nro_next; /* address of the next one, 0 = last */
  uint32_t nro_reqtype;
  uint32_t nro_status; /* out: 0 or an errno */
  uint64_t nro_size;   /* of the whole option, where that varies */
};

enum {
  NETMAP_REQ_OPT_EXTMEM = 1,
  NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS = 2,
  NETMAP_REQ_OPT_CSB = 3,
  NETMAP_REQ_OPT_SYNC_KLOOP_MODE = 4,
  NETMAP_REQ_OPT_OFFSETS = 5,
  NETMAP_REQ_OPT_MAX = 6
};

/* Frames that begin at an offset into their buffers: slot->ptr, as far as ring->offset_mask. */
struct nmreq_opt_offsets {
  struct nmreq_option nro_opt;
  uint64_t nro_max_offset; /* in: no slot has a larger one; out: the larger one already in use */
  uint64_t nro_initial_offset; /* in all slots, if the ring is not in use yet */
  uint32_t nro_offset_bits;    /* of slot->ptr, 0 = all; out: as many as are in use */
  uint32_t nro_tx_align;       /* not looked at */
  uint64_t nro_min_gap;        /* not looked at */
};

/* Control blocks: one of each for every bound ring, tx before rx, 64 bytes aligned. */
struct nmreq_opt_csb {
  struct nmreq_option nro_opt;
  uint64_t csb_atok; /* address of the array that the application writes */
  uint64_t csb_ktoa; /* of the one that the loop writes */
};
struct nm_csb_atok {
  uint32_t head;
  uint32_t cur;            /* written before head */
  uint32_t appl_need_kick; /* the loop is to signal irqfd */
  uint32_t sync_flags;
  uint32_t pad[12];
};
struct nm_csb_ktoa {
  uint32_t hwcur;
  uint32_t hwtail;         /* written after hwcur */
  uint32_t kern_need_kick; /* the application is to signal ioeventfd */
  uint32_t pad[13];
};

/* How a loop sleeps. EVENTFDS has an nm_loop_eventfd for every block after its header. */
struct nm_loop_eventfd {
  int32_t ioeventfd; /* of the application; any below 0: the loop sleeps for sleep_us instead */
  int32_t irqfd;     /* of the loop; below 0: none */
};
struct nmreq_opt_sync_kloop_mode {
  struct nmreq_option nro_opt;
  uint32_t mode;
  uint32_t pad1;
};
#define NM_OPT_SYNC_KLOOP_DIRECT_TX 1
#define NM_OPT_SYNC_KLOOP_DIRECT_RX 2

struct nmreq_register {
  uint64_t nr_offset;   /* out: of the netmap_if in the region */
  uint64_t nr_memsize;  /* out: bytes of the region */
  uint32_t nr_tx_slots; /* in: a wish, out: what is there; so are the next five */
  uint32_t nr_rx_slots;
  uint16_t nr_tx_rings;
  uint16_t nr_rx_rings;
  uint16_t nr_host_tx_rings;
  uint16_t nr_host_rx_rings;
  uint16_t nr_mem_id; /* in: 0 = any; out: the region's */
  uint16_t nr_ringid;
  uint32_t nr_mode;       /* NR_REG_* */
  uint32_t nr_extra_bufs; /* in: wanted, out: given */
  uint64_t nr_flags;      /* NR_* */
};

struct nmreq_port_info_get {
  uint64_t nr_memsize;
  uint32_t nr_tx_slots;
  uint32_t nr_rx_slots;
  uint16_t nr_tx_rings;
  uint16_t nr_rx_rings;
  uint16_t nr_host_tx_rings;
  uint16_t nr_host_rx_rings;
  uint16_t nr_mem_id;
  uint16_t pad1[3];
};

struct nmreq_vale_attach {
  struct nmreq_register reg;
  uint32_t port_index;
  uint32_t pad1;
};

struct nmreq_vale_detach {
  uint32_t port_index;
  uint32_t pad1;
};

struct nmreq_vale_list {
  uint16_t nr_bridge_idx;
  uint16_t pad1;
  uint32_t nr_port_idx;
};

struct nmreq_port_hdr {
  uint32_t nr_hdr_len;
  uint32_t pad1;
};

struct nmreq_vale_newif {
  uint32_t nr_tx_slots;
  uint32_t nr_rx_slots;
  uint16_t nr_tx_rings;
  uint16_t nr_rx_rings;
  uint16_t nr_mem_id;
  uint16_t pad1;
};

struct nmreq_vale_polling {
  uint32_t nr_mode;
  uint32_t nr_first_cpu_id;
  uint32_t nr_num_polling_cpus;
  uint32_t pad1;
};

struct nmreq_pools_info {
  uint64_t nr_memsize;
  uint16_t nr_mem_id;
  uint16_t pad1[3];
  uint64_t nr_if_pool_offset;
  uint32_t nr_if_pool_objtotal;
  uint32_t nr_if_pool_objsize;
  uint64_t nr_ring_pool_offset;
  uint32_t nr_ring_pool_objtotal;
  uint32_t nr_ring_pool_objsize;
  uint64_t nr_buf_pool_offset;
  uint32_t nr_buf_pool_objtotal;
  uint32_t nr_buf_pool_objsize;
};

/* Memory of the program's becomes the region of a new port. */
struct nmreq_opt_extmem {
  struct nmreq_option nro_opt;
  uint64_t nro_usrptr; /* where it is: at the start of a page */
  struct nmreq_pools_info
      nro_info; /* in: nr_memsize, and wishes, 0 = default; out: what is there */
};

struct nmreq_sync_kloop_start {
  uint32_t sleep_us;
  uint32_t pad1;
};

/* The request of programs from before API 12. */
struct nmreq {
  char nr_name[16];
  uint32_t nr_version;
  uint32_t nr_offset;
  uint32_t nr_memsize;
  uint32_t nr_tx_slots;
  uint32_t nr_rx_slots;
  uint16_t nr_tx_rings;
  uint16_t nr_rx_rings;
  uint16_t nr_ringid;
  uint16_t nr_cmd;
  uint16_t nr_arg1;
  uint16_t nr_arg2; /* memory id */
  uint32_t nr_arg3; /* extra buffers */
  uint32_t nr_flags;
  uint32_t spare2[1];
};

/* nmreq.nr_ringid */
#define NETMAP_HW_RING 0x4000
#define NETMAP_SW_RING 0x2000
#define NETMAP_RING_MASK 0x0fff
#define NETMAP_NO_TX_POLL 0x1000
#define NETMAP_DO_RX_POLL 0x8000

/* nmreq.nr_cmd */
#define NETMAP_BDG_ATTACH 1
#define NETMAP_BDG_DETACH 2
#define NETMAP_BDG_LIST 4
#define NETMAP_BDG_VNET_HDR 5
#define NETMAP_BDG_NEWIF 6
#define NETMAP_BDG_DELIF 7
#define NETMAP_BDG_POLLING_ON 10
#define NETMAP_BDG_POLLING_OFF 11
#define NETMAP_VNET_HDR_GET 12

#define NR_REG_MASK 0xf

#define NIOCGINFO _IOWR('i', 145, struct nmreq)
#define NIOCREGIF _IOWR('i', 146, struct nmreq)
#define NIOCTXSYNC _IO('i', 148)
#define NIOCRXSYNC _IO('i', 149)
#define NIOCCONFIG _IOWR('i', 150, char[272]) /* of switch modules: there is none */
#define NIOCCTRL _IOWR('i', 151, struct nmreq_header)

#ifdef __cplusplus
static_assert(sizeof(nmreq_header) == 88 && sizeof(nmreq_option) == 24, "header");
static_assert(sizeof(nmreq_register) == 56 && sizeof(nmreq_port_info_get) == 32, "body");
static_assert(sizeof(nmreq_vale_attach) == 64 && sizeof(nmreq_vale_detach) == 8, "body");
static_assert(sizeof(nmreq_vale_list) == 8 && sizeof(nmreq_port_hdr) == 8, "body");
static_assert(sizeof(nmreq_vale_newif) == 16 && sizeof(nmreq_vale_polling) == 16, "body");
static_assert(sizeof(nmreq_pools_info) == 64 && sizeof(nmreq) == 60, "body");
static_assert(sizeof(nmreq_opt_offsets) == 24 + 32 && sizeof(nmreq_opt_csb) == 24 + 16, "option");
static_assert(sizeof(nmreq_opt_extmem) == 24 + 72, "option");
static_assert(sizeof(nm_csb_atok) == 64 && sizeof(nm_csb_ktoa) == 64, "block");
static_assert(sizeof(nm_loop_eventfd) == 8 && sizeof(nmreq_opt_sync_kloop_mode) == 24 + 8,
              "option");
static_assert(NIOCGINFO == 0xc03c6991 && NIOCREGIF == 0xc03c6992 && NIOCCTRL == 0xc0586997, "");
#endif

#endif
