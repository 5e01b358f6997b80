// SPDX-License-Identifier: BSD-2-Clause
// MAC addresses as they are typed on a command line.
import { BadValue } from '../errors.js';

export interface MacRange {
  start: string;
  end: string;
}

/** Six bytes in hexadecimal, one or two digits each, out in lower case and two. Throws BadValue. */
export function mac(text: string): string {
  const bytes = text.split(':');
  if (bytes.length !== 6 || !bytes.every((byte) => /^[0-9a-f]{1,2}$/i.test(byte)))
    throw new BadValue('a MAC address, as in 02:00:00:00:00:01');
  return bytes.map((byte) => byte.padStart(2, '0').toLowerCase()).join(':');
}

/** One address, or two joined by "-" of which the lower becomes the start. Throws BadValue. */
export function macRange(text: string): MacRange {
  const dash = text.indexOf('-');
  const start = mac(dash < 0 ? text : text.slice(0, dash));
  const end = dash < 0 ? start : mac(text.slice(dash + 1));
  return start <= end ? { start, end } : { start: end, end: start };
}
