// SPDX-License-Identifier: BSD-2-Clause
// What is reported about a run of the generator, however it is shown.
import type { EngineSample, PktGenFunction } from '../native-types.js';
import type { Interval, Total } from '../session/meter.js';

/** What is fixed when a run starts. */
export interface PktGenRun {
  function: PktGenFunction;
  /** Full name of the port; for a wire the interface's. */
  port: string;
  /** The port's name as typed. */
  typed: string;
  device: string;
  /** Rings of the port in the function's direction, host rings included. */
  queues: number;
  threads: number;
  cpus: number;
  /** "10.0.0.1 -> 10.1.0.1 (00:… -> ff:…)"; shown by senders. */
  route: string;
  /** Frame size in bytes without FCS; sizeMin > 0: random in [sizeMin, size). */
  size: number;
  sizeMin: number;
  burst: number;
  /** Frames to send or receive in all; 0 = no end. */
  count: number;
  /** Frames per second and thread; 0 = no limit. */
  rate: number;
  seed: number;
  /** Bytes added to each frame in bit rates: 24 with -B, else 0. */
  framing: number;
  /** false with -N: plain numbers instead of K, M, G. */
  scale: boolean;
  /** -A: mean and deviation beside each rate. */
  statistics: boolean;
}

export type EngineMessage = EngineSample['messages'][number];

/** One way to show a run. Called in this order: start, waiting, intervals, final. */
export interface PktGenReporter {
  start(run: PktGenRun): void;
  /** The run starts only after that many seconds; not called when it starts at once. */
  waiting(seconds: number): void;
  /** A line of the engine: a dump (out), or something it noticed (err). May have newlines inside. */
  message(line: EngineMessage): void;
  interval(interval: Interval): void;
  final(total: Total): void;
}

export type Direction = 'sender' | 'receiver' | 'other';

export function direction(fn: PktGenFunction): Direction {
  if (fn === 'tx' || fn === 'txseq') return 'sender';
  return fn === 'rx' || fn === 'rxseq' ? 'receiver' : 'other';
}
