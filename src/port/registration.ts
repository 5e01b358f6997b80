// SPDX-License-Identifier: BSD-2-Clause
/** Which rings a registration binds and how: the values of native/abi/netmap.h that names can select. */

/** NR_REG_*, the values of OpenRequest.mode. */
export const RegMode = {
  AllNic: 1,
  Host: 2,
  NicAndHost: 3,
  OneNic: 4,
  OneHost: 8,
} as const;
export type RegMode = (typeof RegMode)[keyof typeof RegMode];

/** NR_* bits of OpenRequest.flags. */
export const RegFlag = {
  MonitorTx: 0x100,
  MonitorRx: 0x200,
  ZcopyMonitor: 0x400,
  Exclusive: 0x800,
  RxRingsOnly: 0x2000,
  TxRingsOnly: 0x4000,
} as const;

/** The letters after "/" in a name. */
export const FLAG_LETTERS: Readonly<Record<string, number>> = {
  x: RegFlag.Exclusive,
  z: RegFlag.ZcopyMonitor,
  t: RegFlag.MonitorTx,
  r: RegFlag.MonitorRx,
  R: RegFlag.RxRingsOnly,
  T: RegFlag.TxRingsOnly,
};

/** Ring numbers in a name are 0 to this. */
export const MAX_RING = 4094;
/** A memory id is 1 to this. */
export const MAX_MEM_ID = 65535;
