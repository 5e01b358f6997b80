// SPDX-License-Identifier: BSD-2-Clause
// From running totals to what happened in an interval and in all.
import type { DropReason, EngineSample, PortCounters } from '../native-types.js';

/** Round trips of ping: ns; bucket k of the histogram counts times in [2^k, 2^(k+1)). */
export interface RoundTrips {
  count: bigint;
  min: bigint;
  sum: bigint;
  histogram: bigint[];
}

/** What a port did over a span of time. */
export interface Flow {
  /** Put on the tx rings (tx), or taken from the rx rings (rx). */
  frames: bigint;
  bytes: bigint;
  /** Syncs that moved something. */
  events: bigint;
  /** Of the frames offered, those txsync took. */
  accepted: bigint;
  /** What became of the frames; undefined where the device does not count it. */
  fate: Fate | undefined;
}

export interface Fate {
  /** Copies that reached an rx ring; a flooded frame has one per receiver. */
  delivered: bigint;
  /** Copies that should have: delivered + dropped, once nothing is in flight. */
  copies: bigint;
  /** This port's own counters: what it could not send, and what did not fit its rx rings. */
  drops: Record<DropReason, bigint>;
}

export interface Interval extends Flow {
  /** Since the engine started, s. */
  time: number;
  /** Length of the interval, s. */
  seconds: number;
  /** Sum of the threads' smallest free space; undefined when none was seen. */
  minSpace: number | undefined;
  roundTrips: RoundTrips | undefined;
}

export interface Total extends Flow {
  /** From the first frame to the last, s; 0 with fewer than two instants. */
  seconds: number;
  roundTrips: RoundTrips | undefined;
}

/** Why a frame was dropped before it reached any receiver's ring. */
export const SOURCE_DROPS: readonly DropReason[] = [
  'no_destination',
  'same_port',
  'not_open',
  'bad_slot',
  'runt',
  'too_long',
  'peer_stalled',
  'unmappable',
  'sender_died',
  'link_down',
];

/** Why a receiver's ring did not take a copy. */
export const RECEIVER_DROPS: readonly DropReason[] = [
  'ring_full',
  'too_big',
  'header_mismatch',
  'bad_header',
];

/** Turns the engine's running totals and the port's counters into intervals and one total. */
export class Meter {
  private readonly started: bigint;
  private readonly base: PortCounters | undefined;
  private previousTime: bigint;
  private previous: Flow;
  private current: EngineSample[] = [];
  private trips: RoundTrips | undefined;

  /** now: CLOCK_MONOTONIC ns; base: the port's counters before the engine runs, if it has any. */
  constructor(now: bigint, base: PortCounters | undefined) {
    this.started = this.previousTime = now;
    this.base = base;
    this.previous = flow([], base, base);
  }

  /** What happened since the last call. Each EngineSample may be given only once. */
  interval(now: bigint, samples: EngineSample[], counters: PortCounters | undefined): Interval {
    const total = flow(samples, counters, this.base);
    const roundTrips = samples.map(tripsOf).reduce(addTrips, undefined);
    this.trips = addTrips(this.trips, roundTrips);
    const spaces = samples.map((s) => s.minSpace).filter((space) => space >= 0);
    const result: Interval = {
      ...subtract(total, this.previous),
      time: Number(now - this.started) / 1e9,
      seconds: Number(now - this.previousTime) / 1e9,
      minSpace: spaces.length > 0 ? spaces.reduce((a, b) => a + b) : undefined,
      roundTrips,
    };
    this.previous = total;
    this.previousTime = now;
    this.current = samples;
    return result;
  }

  /** Everything up to the last interval() call, with counters read after the ports went quiet. */
  total(counters: PortCounters | undefined): Total {
    const firsts = this.current.map((s) => s.first).filter((t) => t > 0n);
    const lasts = this.current.map((s) => s.last).filter((t) => t > 0n);
    const first = firsts.reduce<bigint | undefined>(least, undefined);
    const last = lasts.reduce((a, b) => (a > b ? a : b), 0n);
    return {
      ...flow(this.current, counters, this.base),
      seconds: first === undefined ? 0 : Number(last - first) / 1e9,
      roundTrips: this.trips,
    };
  }
}

/** Drops counted at the source; the rest of copies − delivered happened at receivers' rings. */
export function sourceDrops(drops: Record<DropReason, bigint>): bigint {
  return SOURCE_DROPS.reduce((sum, reason) => sum + drops[reason], 0n);
}

/** Copies that receivers' rings refused (full, too small, other header): known only as a sum. */
export function receiverDrops({ copies, delivered, drops }: Fate): bigint {
  const rest = copies - delivered - sourceDrops(drops);
  return rest > 0n ? rest : 0n;
}

function flow(
  samples: EngineSample[],
  now: PortCounters | undefined,
  base: PortCounters | undefined,
): Flow {
  const sum = (pick: (s: EngineSample) => bigint) => samples.reduce((a, s) => a + pick(s), 0n);
  return {
    frames: sum((s) => s.frames),
    bytes: sum((s) => s.bytes),
    events: sum((s) => s.events),
    accepted: sum((s) => s.accepted),
    fate: now &&
      base && {
        delivered: now.txDelivered - base.txDelivered,
        copies: now.txCopies - base.txCopies,
        drops: subtractDrops(now.drops, base.drops),
      },
  };
}

function subtract(a: Flow, b: Flow): Flow {
  return {
    frames: a.frames - b.frames,
    bytes: a.bytes - b.bytes,
    events: a.events - b.events,
    accepted: a.accepted - b.accepted,
    fate: a.fate &&
      b.fate && {
        delivered: a.fate.delivered - b.fate.delivered,
        copies: a.fate.copies - b.fate.copies,
        drops: subtractDrops(a.fate.drops, b.fate.drops),
      },
  };
}

function subtractDrops(
  a: Record<DropReason, bigint>,
  b: Record<DropReason, bigint>,
): Record<DropReason, bigint> {
  const entries = Object.entries(a) as [DropReason, bigint][];
  return Object.fromEntries(entries.map(([reason, n]) => [reason, n - b[reason]])) as Record<
    DropReason,
    bigint
  >;
}

function tripsOf(sample: EngineSample): RoundTrips | undefined {
  if (sample.rttCount === 0n) return undefined;
  return {
    count: sample.rttCount,
    min: sample.rttMin,
    sum: sample.rttSum,
    histogram: [...sample.rttHistogram],
  };
}

function addTrips(a: RoundTrips | undefined, b: RoundTrips | undefined): RoundTrips | undefined {
  if (!a || !b) return a ?? b;
  return {
    count: a.count + b.count,
    min: a.min < b.min ? a.min : b.min,
    sum: a.sum + b.sum,
    histogram: a.histogram.map((n, k) => n + (b.histogram[k] ?? 0n)),
  };
}

function least(a: bigint | undefined, b: bigint): bigint {
  return a === undefined || b < a ? b : a;
}
