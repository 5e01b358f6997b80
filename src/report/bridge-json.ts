// SPDX-License-Identifier: BSD-2-Clause
// A run for programs: docs/json.md has the schema.
import type { Flow, Interval, Total } from '../session/meter.js';
import { directionEnds, type BridgeReporter, type BridgeRun, type Directions } from './bridge.js';
import type { EngineMessage } from './pkt-gen.js';
import { fateJson } from './fate-json.js';
import { toJson } from './json.js';
import type { Output } from './output.js';
import { averageBatch, bitRate, frameRate } from './rates.js';

/** One JSON object at the end; as NDJSON also one line an interval. */
export class JsonBridgeReport implements BridgeReporter {
  readonly tellsIdle = false;
  private run!: BridgeRun;

  constructor(
    private readonly output: Output,
    private readonly lines: boolean,
  ) {}

  opened(run: BridgeRun): void {
    this.run = run;
  }

  waiting(): void {}
  ready(): void {}

  /** Standard output holds nothing but JSON. */
  message({ text }: EngineMessage): void {
    this.output.err(text);
  }

  interval(parts: Directions<Interval>): void {
    if (!this.lines) return;
    this.output.out(
      toJson({
        event: 'interval',
        time: parts[0]?.time ?? 0,
        directions: this.directions(parts),
      }),
    );
  }

  final(parts: Directions<Total>): void {
    const { ends, zeroCopy, burst } = this.run;
    this.output.out(
      toJson({
        event: 'final',
        tool: 'bridge',
        ports: ends.map(({ name, device, rxRings }) => ({ port: name, device, queues: rxRings })),
        zero_copy: zeroCopy,
        burst,
        directions: this.directions(parts),
      }),
    );
  }

  private directions(parts: Directions<Flow & { seconds: number }>) {
    return parts.map((part, i) => {
      const [from, to] = directionEnds(this.run, i);
      return {
        from: from.name,
        to: to.name,
        seconds: part.seconds,
        frames: part.frames,
        accepted: part.accepted,
        ...fateJson(part.fate),
        bytes: part.bytes,
        events: part.events,
        frames_per_second: frameRate(part),
        bits_per_second: bitRate(part, 0),
        average_batch: averageBatch(part),
        drops: part.fate?.drops ?? null,
      };
    });
  }
}
