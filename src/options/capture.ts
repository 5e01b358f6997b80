// SPDX-License-Identifier: BSD-2-Clause
// What the options of a capture mean together: when a file, and when the capture, ends.
import { BadValue, UsageError } from '../errors.js';

/** Bytes kept of a frame at most, and when nothing else is asked for. */
export const MOST_SNAPLEN = 262_144;

const NAMES = ['duration', 'interval', 'filesize', 'packets', 'files'] as const;

/** One -b or -a: "filesize:1000". */
export interface Condition {
  name: (typeof NAMES)[number];
  value: number;
}

/** When the next file begins, and which are kept; nothing set: one file. */
export interface Rotation {
  nextAfterBytes: number;
  nextAfterFrames: number;
  nextAfterSeconds: number;
  nextEverySeconds: number;
  keepFiles: number;
}

/** When the capture ends by itself; 0: not for that. */
export interface Stop {
  count: number;
  duration: number;
  stopAfterBytes: number;
  stopAfterFiles: number;
}

/** Reads "NAME:NUMBER" of -b or -a. Throws BadValue. */
export function condition(text: string, names: readonly Condition['name'][]): Condition {
  const match = /^([a-z]+):([0-9]+(?:\.[0-9]+)?)$/.exec(text);
  const name = names.find((known) => known === match?.[1]);
  const value = Number(match?.[2]);
  const whole = name === 'filesize' || name === 'packets' || name === 'files';
  if (name === undefined || !(value > 0 && value <= 1e9) || (whole && !Number.isInteger(value)))
    throw new BadValue(`${names.join(':N, ')}:N, with N a number above 0`);
  return { name, value };
}

export const rotateCondition = (text: string): Condition => condition(text, NAMES);
export const stopCondition = (text: string): Condition =>
  condition(text, ['duration', 'filesize', 'packets', 'files']);

const valueOf = (conditions: readonly Condition[], name: Condition['name']): number =>
  conditions.findLast((one) => one.name === name)?.value ?? 0;

/** dumpcap's units: kilobytes of 1000 bytes. */
const KILOBYTE = 1000;

/** What all -b say. Throws UsageError. */
export function rotation(conditions: readonly Condition[]): Rotation {
  const found = {
    nextAfterBytes: valueOf(conditions, 'filesize') * KILOBYTE,
    nextAfterFrames: valueOf(conditions, 'packets'),
    nextAfterSeconds: valueOf(conditions, 'duration'),
    nextEverySeconds: valueOf(conditions, 'interval'),
    keepFiles: valueOf(conditions, 'files'),
  };
  if (found.keepFiles > 0 && !rotates(found))
    throw new UsageError(
      `-b files:${found.keepFiles}: says how many files are kept, but not when the next one begins; add -b filesize:KB, duration:SECONDS, interval:SECONDS or packets:N`,
    );
  return found;
}

export function rotates(r: Rotation): boolean {
  return r.nextAfterBytes + r.nextAfterFrames + r.nextAfterSeconds + r.nextEverySeconds > 0;
}

/** What all -a, -c and --duration say. Throws UsageError. */
export function stopping(
  conditions: readonly Condition[],
  { count, duration, several }: { count: number; duration: number; several: boolean },
): Stop {
  const least = (...values: number[]): number => {
    const set = values.filter((value) => value > 0);
    return set.length === 0 ? 0 : Math.min(...set);
  };
  const stop = {
    count: least(count, valueOf(conditions, 'packets')),
    duration: least(duration, valueOf(conditions, 'duration')),
    stopAfterBytes: valueOf(conditions, 'filesize') * KILOBYTE,
    stopAfterFiles: valueOf(conditions, 'files'),
  };
  if (stop.stopAfterFiles > 0 && !several)
    throw new UsageError(
      `-a files:${stop.stopAfterFiles}: there is one file only; say with -b when the next one begins`,
    );
  if (stop.stopAfterBytes > 0 && several)
    throw new UsageError(
      '-a filesize: with -b there are several files; end after a number of them with -a files:N',
    );
  return stop;
}
