// SPDX-License-Identifier: BSD-2-Clause
// IP addresses and ranges of them as they are typed on a command line.
import { isIPv4, isIPv6 } from 'node:net';

import { BadValue } from '../errors.js';
import type { AddressRange } from '../native-types.js';

export const DEFAULT_PORT = 1234;

interface Endpoint {
  address: string;
  port?: number;
}

/** 4 for an IPv4 address or range, 6 for IPv6, by its spelling. */
export function familyOf(text: string): 4 | 6 {
  return /[[\]]|:[^:]*:/.test(text.split('-')[0] ?? '') ? 6 : 4;
}

/**
 * `address[:port[-address:port]]`, IPv6 with a port in brackets: `[2001:db8::1]:53`. In the end of a
 * range the port may be left out (then it is the start's). Ends written backwards are put in order, as in
 * the reference. Throws BadValue.
 */
export function addressRange(text: string, family: 4 | 6): AddressRange {
  const dash = text.indexOf('-');
  const first = endpoint(dash < 0 ? text : text.slice(0, dash), family);
  const last = dash < 0 ? first : endpoint(text.slice(dash + 1), family);
  const portFirst = first.port ?? DEFAULT_PORT;
  const portLast = last.port ?? portFirst;
  const a = addressBytes(first.address, family);
  const b = addressBytes(last.address, family);
  const [start, end] = Buffer.compare(a, b) <= 0 ? [a, b] : [b, a];
  return {
    start,
    end,
    portStart: Math.min(portFirst, portLast),
    portEnd: Math.max(portFirst, portLast),
  };
}

/** The address as people write it; IPv6 shortened by RFC 5952. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

function endpoint(part: string, family: 4 | 6): Endpoint {
  const match =
    family === 4
      ? /^(?<address>[^:[\]]*)(?::(?<port>.*))?$/.exec(part)
      : (/^\[(?<address>[^\]]*)\](?::(?<port>.*))?$/.exec(part) ?? /^(?<address>.*)$/.exec(part));
  const address = match?.groups?.['address'] ?? '';
  const port = match?.groups?.['port'];
  const example = family === 4 ? '10.0.0.1:1234-10.0.0.9:1300' : '[2001:db8::1]:1234';
  if (family === 4 ? !isIPv4(address) : !isIPv6(address) || address.includes('%'))
    throw new BadValue(`an IPv${family} address or range with optional ports, as in ${example}`);
  if (port === undefined) return { address };
  if (!/^[0-9]{1,5}$/.test(port) || Number(port) > 65535)
    throw new BadValue('ports from 0 to 65535');
  return { address, port: Number(port) };
}

function addressBytes(address: string, family: 4 | 6): Uint8Array {
  if (family === 4) return Uint8Array.from(address.split('.').map(Number));
  // URL's parser writes an embedded IPv4 tail as two groups and leaves only "::" to expand.
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = '', tail] = text.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail ? tail.split(':') : [];
  const zeros = tail === undefined ? 0 : 8 - front.length - back.length;
  const groups = [...front, ...Array<string>(zeros).fill('0'), ...back];
  return Uint8Array.from(
    groups.flatMap((group) => {
      const value = Number.parseInt(group, 16);
      return [value >> 8, value & 0xff];
    }),
  );
}
