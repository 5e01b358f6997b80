// SPDX-License-Identifier: BSD-2-Clause
// From a capture's running totals to what happened in an interval and in all.
import type { EngineSample, PortCounters } from '../native-types.js';
import { RECEIVER_DROPS } from './meter.js';

/** What a capture did over a span of time. */
export interface CaptureFlow {
  /** Frames that came from the port, and their bytes. */
  received: bigint;
  receivedBytes: bigint;
  /** Of those, the ones that the filter let through. */
  passed: bigint;
  /** Of those, the ones that are in files. */
  captured: bigint;
  files: bigint;
  fileBytes: bigint;
  /**
   * By reason: the port's rings were full, …; buffer: writing was too slow and memory ran out. Undefined
   * where the device does not count.
   */
  drops: Record<string, bigint | undefined>;
}

export interface CaptureInterval extends CaptureFlow {
  /** Since the capture started, s. */
  time: number;
  /** Length of the interval, s. */
  seconds: number;
}

export interface CaptureTotal extends CaptureFlow {
  /** Time of the capture, s. */
  seconds: number;
}

/** Lanes of the engine, in the order of native/engine/capture.h's enum CaptureLane. */
const [RECEIVED, KEPT, WRITTEN] = [0, 1, 2];

export class CaptureMeter {
  private previous: CaptureFlow;
  private previousTime: bigint;

  constructor(
    private readonly started: bigint,
    private readonly base: PortCounters | undefined,
  ) {
    this.previous = flow(undefined, base, base);
    this.previousTime = started;
  }

  interval(
    now: bigint,
    samples: EngineSample[],
    counters: PortCounters | undefined,
  ): CaptureInterval {
    const total = flow(samples, counters, this.base);
    const before = this.previous;
    const result = {
      ...subtract(total, before),
      time: Number(now - this.started) / 1e9,
      seconds: Number(now - this.previousTime) / 1e9,
    };
    this.previous = total;
    this.previousTime = now;
    return result;
  }

  /** Everything; `samples` as they are once the engine is done. */
  total(samples: EngineSample[], counters: PortCounters | undefined): CaptureTotal {
    const seconds = Number(this.previousTime - this.started) / 1e9;
    return { ...flow(samples, counters, this.base), seconds };
  }
}

function flow(
  samples: EngineSample[] | undefined,
  now: PortCounters | undefined,
  base: PortCounters | undefined,
): CaptureFlow {
  const received = samples?.[RECEIVED!];
  const kept = samples?.[KEPT!];
  const written = samples?.[WRITTEN!];
  const passed = received?.accepted ?? 0n;
  const lost = passed - (kept?.frames ?? 0n);
  const atPort = RECEIVER_DROPS.map((reason): [string, bigint | undefined] => [
    reason,
    now && base && now.drops[reason] - base.drops[reason],
  ]);
  return {
    received: received?.frames ?? 0n,
    receivedBytes: received?.bytes ?? 0n,
    passed,
    captured: written?.frames ?? 0n,
    files: written?.events ?? 0n,
    fileBytes: written?.bytes ?? 0n,
    // The lanes are read one after the other: while it runs, kept may be ahead.
    drops: Object.fromEntries([...atPort, ['buffer', lost > 0n ? lost : 0n]]),
  };
}

function subtract(a: CaptureFlow, b: CaptureFlow): CaptureFlow {
  const drops = Object.entries(a.drops).map(([reason, n]): [string, bigint | undefined] => [
    reason,
    n === undefined ? n : n - (b.drops[reason] ?? 0n),
  ]);
  return {
    received: a.received - b.received,
    receivedBytes: a.receivedBytes - b.receivedBytes,
    passed: a.passed - b.passed,
    captured: a.captured - b.captured,
    files: a.files - b.files,
    fileBytes: a.fileBytes - b.fileBytes,
    drops: Object.fromEntries(drops),
  };
}
