// SPDX-License-Identifier: BSD-2-Clause
// What the words of a bridge's command line mean together.
import { UsageError } from '../errors.js';

/** Names as typed. */
export interface BridgePorts {
  a: string;
  b: string;
}

/**
 * The two ports out of -i options and positional words; words win, as in the reference. With one port
 * only, b is a (loopback) or a's host stack. Throws UsageError.
 */
export function bridgePorts(
  options: readonly string[],
  first: string | undefined,
  second: string | undefined,
  loopback: boolean,
  warn: (line: string) => void,
): BridgePorts {
  for (const extra of options.slice(2)) warn(`-i ${extra} ignored: a bridge has two ports`);
  const a = first ?? options[0];
  const b = second ?? options[1] ?? a;
  if (a === undefined || b === undefined)
    throw new UsageError('missing ports: give two, as in -i vale0:a -i vale1:b');
  if (a !== b) {
    if (loopback) warn(`-L ignored: it is for one port, not ${a} and ${b}`);
    return { a, b };
  }
  return { a: loopback ? a : `${a}^`, b };
}

/** The value, or with a warning the default when it is out of range, as in the reference. */
export function withinOr(
  value: number,
  min: number,
  max: number,
  fallback: number,
  option: string,
  warn: (line: string) => void,
): number {
  if (value >= min && value <= max) return value;
  warn(`${option} ${value} is not from ${min} to ${max}: using ${fallback}`);
  return fallback;
}
