// SPDX-License-Identifier: BSD-2-Clause
// Rates between two looks at running totals.
import type { PortCounters } from '../native-types.js';
import type { Snapshot } from './control.js';

/** Frames, bits (without FCS) and dropped copies a second. */
export interface Rate {
  rxFrames: number;
  rxBits: number;
  txFrames: number;
  txBits: number;
  drops: number;
}

/** By name: ports as listed, switches with a ":" at the end. */
export type Rates = ReadonlyMap<string, Rate>;

/** Of one port or switch: all copies it dropped, for whatever reason. */
export function allDrops(counters: PortCounters): bigint {
  return Object.values(counters.drops).reduce((sum, n) => sum + n, 0n);
}

/** A snapshot's counters, where there are any, by the names that Rates uses. */
export function countersByName({ switches, ports }: Snapshot): [string, PortCounters][] {
  const all: [string, PortCounters | undefined][] = [
    ...switches.map((row): [string, typeof row.totals] => [`${row.name}:`, row.totals]),
    ...ports.map((row): [string, typeof row.counters] => [row.name, row.counters]),
  ];
  return all.filter((entry): entry is [string, PortCounters] => entry[1] !== undefined);
}

/** What happened between two snapshots; something new, or made anew, counts from zero. */
export function ratesBetween(before: Snapshot, now: Snapshot): Rates {
  const seconds = now.time - before.time;
  const old = new Map(countersByName(before));
  const perSecond = (a: bigint, b: bigint): number =>
    seconds > 0 ? Number(a >= b ? a - b : a) / seconds : 0;
  return new Map(
    countersByName(now).map(([name, c]) => {
      const o = old.get(name);
      return [
        name,
        {
          rxFrames: perSecond(c.rxFrames, o?.rxFrames ?? 0n),
          rxBits: perSecond(c.rxBytes, o?.rxBytes ?? 0n) * 8,
          txFrames: perSecond(c.txFrames, o?.txFrames ?? 0n),
          txBits: perSecond(c.txBytes, o?.txBytes ?? 0n) * 8,
          drops: perSecond(allDrops(c), o ? allDrops(o) : 0n),
        },
      ];
    }),
  );
}
