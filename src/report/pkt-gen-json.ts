// SPDX-License-Identifier: BSD-2-Clause
import type { Flow, Interval, RoundTrips, Total } from '../session/meter.js';
import { fateJson } from './fate-json.js';
import { toJson } from './json.js';
import type { Output } from './output.js';
import { direction, type EngineMessage, type PktGenReporter, type PktGenRun } from './pkt-gen.js';
import { averageBatch, bitRate, frameRate } from './rates.js';

/** One JSON object at the end; as NDJSON also one line an interval. The schema is docs/json.md. */
export class JsonReport implements PktGenReporter {
  private run!: PktGenRun;

  constructor(
    private readonly output: Output,
    private readonly lines: boolean,
  ) {}

  start(run: PktGenRun): void {
    this.run = run;
  }

  waiting(): void {}

  /** Standard output holds nothing but JSON. */
  message({ text }: EngineMessage): void {
    this.output.err(text);
  }

  interval(part: Interval): void {
    if (!this.lines) return;
    this.output.out(
      toJson({
        event: 'interval',
        time: part.time,
        ...this.figures(part),
        min_space: part.minSpace ?? null,
      }),
    );
  }

  final(total: Total): void {
    const { run } = this;
    this.output.out(
      toJson({
        event: 'final',
        tool: 'pkt-gen',
        function: run.function,
        port: run.port,
        device: run.device,
        queues: run.queues,
        threads: run.threads,
        size: run.size,
        size_min: run.sizeMin,
        burst: run.burst,
        count: run.count,
        rate: run.rate,
        seed: run.seed,
        framing: run.framing,
        ...this.figures(total),
      }),
    );
  }

  private figures(part: Flow & { seconds: number; roundTrips: RoundTrips | undefined }) {
    const fn = this.run.function;
    const receives = direction(fn) === 'receiver' || fn === 'pong';
    return {
      seconds: part.seconds,
      received: receives ? part.frames : 0n,
      offered: fn === 'pong' ? part.accepted : receives ? 0n : part.frames,
      accepted: direction(fn) === 'receiver' ? 0n : part.accepted,
      ...fateJson(part.fate),
      bytes: part.bytes,
      events: part.events,
      frames_per_second: frameRate(part),
      bits_per_second: bitRate(part, this.run.framing),
      average_batch: averageBatch(part),
      drops: part.fate?.drops ?? null,
      round_trips: part.roundTrips ? roundTrips(part.roundTrips) : null,
    };
  }
}

function roundTrips(trips: RoundTrips) {
  return {
    count: trips.count,
    min: Number(trips.min) / 1e9,
    mean: Number(trips.sum) / Number(trips.count) / 1e9,
    histogram: trips.histogram.flatMap((count, k) =>
      count > 0n ? [{ from: 2 ** k / 1e9, below: 2 ** (k + 1) / 1e9, count }] : [],
    ),
  };
}
