// SPDX-License-Identifier: BSD-2-Clause
// What is reported about a capture, and the ways to show it: all on standard error, for standard output
// may be the capture itself; JSON on standard output where it is not.
import type { CaptureFlow, CaptureInterval, CaptureTotal } from '../session/capture-meter.js';
import type { EngineMessage } from './pkt-gen.js';
import { Columns, fields } from './columns.js';
import { UNKNOWN } from './drops.js';
import { toJson } from './json.js';
import type { Output } from './output.js';
import { bitRate, frameRate } from './rates.js';
import * as units from './units.js';

export interface CaptureRun {
  /** As typed, with "/rt" where somebody else's port is watched. */
  port: string;
  device: string;
  /** As typed. */
  file: string;
  filter: string;
  snaplen: number;
}

/** One way to show a run. Called in this order: started, intervals, final. */
export interface CaptureReporter {
  started(run: CaptureRun): void;
  /** A line of the engine: the name of a file, something it noticed. */
  message(line: EngineMessage): void;
  interval(part: CaptureInterval): void;
  final(part: CaptureTotal): void;
}

/** Undefined where some of it is not counted. */
function dropped(part: CaptureFlow): bigint | undefined {
  return Object.values(part.drops).reduce(
    (sum, n) => (sum === undefined || n === undefined ? undefined : sum + n),
    0n,
  );
}

const reasons = (part: CaptureFlow) =>
  Object.entries(part.drops).filter((entry): entry is [string, bigint] => (entry[1] ?? 0n) > 0n);

const target = (file: string) => (file === '-' ? 'standard output' : file);

abstract class TextReport implements CaptureReporter {
  constructor(protected readonly output: Output) {}

  started({ port, device, file, filter }: CaptureRun): void {
    this.output.err(
      `Capturing on ${port} (${device}) to ${target(file)}${filter && `, filter: ${filter}`}`,
    );
  }

  message({ text }: EngineMessage): void {
    this.output.err(text);
  }

  abstract interval(part: CaptureInterval): void;
  abstract final(part: CaptureTotal): void;
}

/** For the eyes of whoever started it: a row a second. */
export class TerminalCaptureReport extends TextReport {
  private readonly table: Columns;

  constructor(output: Output, heading: (text: string) => string) {
    super(output);
    this.table = new Columns(
      [
        { title: 'time s', width: 7 },
        { title: 'Mpps', width: 8 },
        { title: 'Gbit/s', width: 8 },
        { title: 'received', width: 12 },
        { title: 'captured', width: 12 },
        { title: 'dropped', width: 10 },
        { title: 'written', width: 11 },
      ],
      (line) => output.err(line),
      heading,
    );
  }

  interval(part: CaptureInterval): void {
    const rate = { ...part, frames: part.received, bytes: part.receivedBytes };
    const lost = dropped(part);
    this.table.row([
      part.time.toFixed(1),
      (frameRate(rate) / 1e6).toFixed(3),
      (bitRate(rate, 0) / 1e9).toFixed(3),
      units.count(part.received),
      units.count(part.captured),
      lost === undefined ? '-' : units.count(lost),
      units.byteCount(part.fileBytes),
    ]);
  }

  final(part: CaptureTotal): void {
    const why = reasons(part).map(([name, n]) => `${name} ${units.count(n)}`);
    const lost = dropped(part);
    const plural = part.files === 1n ? 'file' : 'files';
    const rows: [string, string][] = [
      [
        'captured',
        `${units.count(part.captured)} frames; ${units.count(part.files)} ${plural}, ${units.count(part.fileBytes)} bytes`,
      ],
      [
        'received',
        `${units.count(part.received)} frames, ${units.count(part.receivedBytes)} bytes; ${units.count(part.passed)} passed the filter`,
      ],
      [
        'dropped',
        (lost === undefined ? UNKNOWN : units.count(lost)) +
          (why.length > 0 ? `: ${why.join(', ')}` : ''),
      ],
    ];
    this.output.err('');
    for (const line of fields(rows)) this.output.err(line);
  }
}

/** For scripts and logs: a line a second with the names of the values in it. */
export class PlainCaptureReport extends TextReport {
  interval(part: CaptureInterval): void {
    this.output.err(`${part.time.toFixed(3)} ${this.values(part)}`);
  }

  final(part: CaptureTotal): void {
    const why = reasons(part).map(([name, n]) => ` ${name} ${n}`);
    this.output.err(`total ${this.values(part)} files ${part.files}${why.join('')}`);
  }

  private values(part: CaptureFlow): string {
    return `received ${part.received} passed ${part.passed} captured ${part.captured} dropped ${dropped(part) ?? UNKNOWN} bytes ${part.fileBytes}`;
  }
}

/** Nothing but what went wrong. */
export class QuietCaptureReport implements CaptureReporter {
  started(): void {}
  message(): void {}
  interval(): void {}
  final(): void {}
}

/** One JSON object at the end; as NDJSON also one line an interval. docs/json.md has the schema. */
export class JsonCaptureReport implements CaptureReporter {
  private run!: CaptureRun;

  constructor(
    private readonly output: Output,
    private readonly lines: boolean,
  ) {}

  started(run: CaptureRun): void {
    this.run = run;
  }

  message({ text }: EngineMessage): void {
    this.output.err(text);
  }

  interval(part: CaptureInterval): void {
    if (!this.lines) return;
    this.output.out(toJson({ event: 'interval', time: part.time, ...this.values(part) }));
  }

  final(part: CaptureTotal): void {
    const { port, device, file, filter, snaplen } = this.run;
    this.output.out(
      toJson({
        event: 'final',
        tool: 'capture',
        port,
        device,
        file,
        filter,
        snaplen,
        ...this.values(part),
      }),
    );
  }

  private values(part: CaptureFlow & { seconds: number }) {
    const rate = { ...part, frames: part.received, bytes: part.receivedBytes };
    return {
      seconds: part.seconds,
      received: part.received,
      received_bytes: part.receivedBytes,
      passed: part.passed,
      captured: part.captured,
      files: part.files,
      file_bytes: part.fileBytes,
      dropped: dropped(part) ?? null,
      frames_per_second: frameRate(rate),
      bits_per_second: bitRate(rate, 0),
      drops: Object.fromEntries(Object.entries(part.drops).map(([why, n]) => [why, n ?? null])),
    };
  }
}
