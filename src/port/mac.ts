// SPDX-License-Identifier: BSD-2-Clause
// MAC addresses as numbers: 48 bits are exact in a JavaScript number, and make cheap Map keys.

import { failure } from './failure.js';

/** The address every station receives, ff:ff:ff:ff:ff:ff. */
export const BROADCAST = 0xffff_ffff_ffff;

/**
 * "02:00:00:00:00:01" of 0x020000000001.
 * @param mac 0 to 2^48 − 1, as {@link RxBatch.source} returns it
 */
export function formatMac(mac: number): string {
  return mac
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:');
}

/**
 * The number of "02:00:00:00:00:01".
 * @throws Error with code EINVAL when the text is not six bytes in hexadecimal, joined by ":"
 */
export function parseMac(text: string): number {
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(text))
    throw failure(
      'EINVAL',
      `${text}: not a MAC address; write six bytes, such as 02:00:00:00:00:01`,
    );
  return text.split(':').reduce((mac, byte) => mac * 256 + parseInt(byte, 16), 0);
}

/** Whether the group bit is set: multicast and broadcast. */
export function isGroup(mac: number): boolean {
  return Math.floor(mac / 2 ** 40) % 2 === 1;
}
