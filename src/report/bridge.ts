// SPDX-License-Identifier: BSD-2-Clause
// What is reported about a run of the bridge, however it is shown.
import type { Interval, Total } from '../session/meter.js';
import type { EngineMessage } from './pkt-gen.js';

export interface BridgeEnd {
  /** Full name; for a wire the interface's. */
  name: string;
  device: string;
  firstRx: number;
  rxRings: number;
}

export interface BridgeRun {
  /** The same twice in loopback. */
  ends: [a: BridgeEnd, b: BridgeEnd];
  /** Buffers are swapped, not copied. */
  zeroCopy: boolean;
  burst: number;
}

/** A→B, then B→A; only the first in loopback. Drops: what the receiving end missed, and the sending end lost. */
export type Directions<T> = T[];

/** One way to show a run. Called in this order: opened, waiting, ready, intervals, final. */
export interface BridgeReporter {
  /** The engine's lines about idle waits belong to this form. */
  readonly tellsIdle: boolean;
  opened(run: BridgeRun): void;
  waiting(seconds: number): void;
  ready(): void;
  /** A line of the engine: something it noticed. */
  message(line: EngineMessage): void;
  interval(parts: Directions<Interval>): void;
  final(parts: Directions<Total>): void;
}

/** "vale0:a -> vale1:b" */
export function directionName(run: BridgeRun, i: number): string {
  const [from, to] = directionEnds(run, i);
  return `${from.name} -> ${to.name}`;
}

export function directionEnds(run: BridgeRun, i: number): [from: BridgeEnd, to: BridgeEnd] {
  const [a, b] = run.ends;
  return i === 0 ? [a, b] : [b, a];
}
