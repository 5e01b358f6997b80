/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The netmap ABI, version 14, as this project states it for itself: the layout of a region (struct
 * netmap_if, netmap_ring, netmap_slot), the values that select rings, and the flags of a slot. A
 * program compiled against the reference's own headers finds every field at the same offset; the
 * static assertions at the end hold that. Plain C, so that programs in C can include it.
 */
#ifndef VALE_ABI_NETMAP_H
#define VALE_ABI_NETMAP_H

#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>

#define NETMAP_API 14
#define NETMAP_MIN_API 14
#define NETMAP_MAX_API 15
#define NETMAP_REQ_IFNAMSIZ 64
#define NETMAP_MAX_FRAGS 64

/* netmap_slot.flags */
#define NS_BUF_CHANGED 0x0001 /* buf_idx was replaced by the application */
#define NS_REPORT 0x0002      /* ask for completion; a switch port completes at once */
#define NS_FORWARD 0x0004     /* NIC ports: hand the frame to the other side */
#define NS_NO_LEARN 0x0008    /* do not learn this frame's source address */
#define NS_INDIRECT 0x0010    /* the payload is at slot->ptr in the sender's memory */
#define NS_MOREFRAG 0x0020    /* the frame continues in the next slot */
#define NS_TXMON 0x0040       /* monitor: the frame was transmitted by the parent */
#define NS_PORT_SHIFT 8
#define NS_PORT_MASK (0xff << NS_PORT_SHIFT) /* tx: destination port index, 0 = look it up */
#define NS_RFRAGS(slot) (((slot)->flags >> 8) & 0xff) /* rx: number of slots of the frame */

struct netmap_slot {
  uint32_t buf_idx; /* 0 and 1 are reserved; an application uses 2 and up */
  uint16_t len;     /* bytes of this fragment */
  uint16_t flags;
  uint64_t ptr; /* NS_INDIRECT: address of the payload; otherwise the offset option's field */
};

/* netmap_ring.flags */
#define NR_TIMESTAMP 0x0002
#define NR_FORWARD 0x0004

struct netmap_ring {
  const int64_t buf_ofs; /* from the ring to buffer 0 */
  const uint32_t num_slots;
  const uint32_t nr_buf_size; /* stride of the buffers, and the most a fragment can hold */
  const uint16_t ringid;
  const uint16_t dir; /* 0 tx, 1 rx */
  uint32_t head;      /* application: first slot it still owns */
  uint32_t cur;       /* application: wake-up point */
  uint32_t tail;      /* switch: first slot the application does not own */
  uint32_t flags;
  struct timeval ts;          /* time of the last rxsync */
  const uint64_t offset_mask; /* which bits of slot->ptr are an offset into the buffer */
  uint64_t buf_align;
  uint8_t reserved_[56];
  uint8_t sem[128]; /* scratch space for applications, preserved */
  struct netmap_slot slot[];
};

/* netmap_if.ni_flags */
#define NI_PRIV_MEM 0x1

struct netmap_if {
  char ni_name[16];
  const uint32_t ni_version;
  const uint32_t ni_flags;
  const uint32_t ni_tx_rings;
  const uint32_t ni_rx_rings;
  uint32_t ni_bufs_head; /* first extra buffer, 0 = none; each starts with the index of the next */
  const uint32_t ni_host_tx_rings;
  const uint32_t ni_host_rx_rings;
  uint32_t ni_spare1[3];
  /* tx rings, host tx rings, rx rings, host rx rings; bytes from this struct; 0 = not bound */
  const int64_t ring_ofs[];
};

/* Which rings a registration binds. */
enum {
  NR_REG_DEFAULT = 0,
  NR_REG_ALL_NIC = 1,
  NR_REG_SW = 2,
  NR_REG_NIC_SW = 3,
  NR_REG_ONE_NIC = 4,
  NR_REG_PIPE_MASTER = 5,
  NR_REG_PIPE_SLAVE = 6,
  NR_REG_NULL = 7,
  NR_REG_ONE_SW = 8
};

/* nr_flags of a registration */
#define NR_MONITOR_TX 0x100
#define NR_MONITOR_RX 0x200
#define NR_ZCOPY_MON 0x400
#define NR_EXCLUSIVE 0x800
#define NR_PTNETMAP_HOST 0x1000
#define NR_RX_RINGS_ONLY 0x2000
#define NR_TX_RINGS_ONLY 0x4000
#define NR_ACCEPT_VNET_HDR 0x8000
#define NR_DO_RX_POLL 0x10000
#define NR_NO_TX_POLL 0x20000

#define NETMAP_IF(base, ofs) ((struct netmap_if*)((char*)(base) + (ofs)))
#define NETMAP_TXRING(nifp, i) ((struct netmap_ring*)((char*)(nifp) + (nifp)->ring_ofs[i]))
#define NETMAP_RXRING(nifp, i)           \
  ((struct netmap_ring*)((char*)(nifp) + \
                         (nifp)->ring_ofs[(i) + (nifp)->ni_tx_rings + (nifp)->ni_host_tx_rings]))
/* Where a frame begins in its buffer, on a ring that was opened with NETMAP_REQ_OPT_OFFSETS. */
#define NETMAP_ROFFSET(ring, slot) ((slot)->ptr & (ring)->offset_mask)
#define NETMAP_WOFFSET(ring, slot, offset) \
  ((slot)->ptr = ((slot)->ptr & ~(ring)->offset_mask) | ((offset) & (ring)->offset_mask))
#define NETMAP_BUF_OFFSET(ring, slot) \
  (NETMAP_BUF(ring, (slot)->buf_idx) + NETMAP_ROFFSET(ring, slot))
#define NETMAP_BUF(ring, i) ((char*)(ring) + (ring)->buf_ofs + (uint64_t)(i) * (ring)->nr_buf_size)

#ifdef __cplusplus
#include <cstddef>
static_assert(sizeof(netmap_slot) == 16, "slot");
static_assert(offsetof(netmap_slot, len) == 4 && offsetof(netmap_slot, flags) == 6, "slot");
static_assert(offsetof(netmap_slot, ptr) == 8, "slot");
static_assert(offsetof(netmap_ring, num_slots) == 8 && offsetof(netmap_ring, nr_buf_size) == 12,
              "");
static_assert(offsetof(netmap_ring, ringid) == 16 && offsetof(netmap_ring, dir) == 18, "ring");
static_assert(offsetof(netmap_ring, head) == 20 && offsetof(netmap_ring, cur) == 24, "ring");
static_assert(offsetof(netmap_ring, tail) == 28 && offsetof(netmap_ring, flags) == 32, "ring");
static_assert(offsetof(netmap_ring, ts) == 40 && offsetof(netmap_ring, offset_mask) == 56, "ring");
static_assert(offsetof(netmap_ring, buf_align) == 64 && offsetof(netmap_ring, sem) == 128, "ring");
static_assert(sizeof(netmap_ring) == 256, "ring");
static_assert(sizeof(netmap_if) == 56, "if");
static_assert(offsetof(netmap_if, ni_bufs_head) == 32, "if");
#endif

#endif
